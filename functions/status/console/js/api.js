// The one place that knows credentials. A session is used up when it ends: its requests are stopped, and what they still bring is dropped.

import { parse } from "./json.js";

export const BASE = "/api/sunshine";
const KEPT = "sundial.credentials";
const LONGEST_WAIT = 300;
const ATTEMPTS = 6;

/** An answer that is none, in words for the reader. */
export class Problem extends Error {
  /** Whether what was asked for may have been done all the same. */
  unsure = false;

  constructor(status, title, detail, id = null, details = [detail]) {
    super(detail);
    /** Each thing that is wrong: of a record there is one for each broken rule. */
    this.details = details;
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.requestId = id;
  }
}

/** The session ended, or the view was left: nobody waits for the answer. */
export class Gone extends Error {}

function base64(text) {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export const bearer = (token) => ({ header: `Bearer ${token}`, who: "Signed in by token" });
export const basic = (email, password) => ({ header: `Basic ${base64(`${email}:${password}`)}`, who: email });

export function keep(credentials) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(credentials));
  } catch {
    // Without storage they are kept in memory.
  }
}

export function kept() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT));
    return typeof found?.header === "string" ? { header: found.header, who: String(found.who) } : null;
  } catch {
    return null;
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // Nothing can have been kept.
  }
}

export class Session {
  #header;
  #ended = new AbortController();

  /** `told`: `{signedOut(reason), waiting(seconds, why), answered()}`. */
  constructor(credentials, told) {
    this.#header = credentials.header;
    this.who = credentials.who;
    this.told = told;
    /** What views leave for when the reader comes back to them. It ends with the session. */
    this.memory = new Map();
    /** `{limit, remaining, at}` of the last answer that said how many requests the minute has left. */
    this.rate = null;
  }

  get ended() {
    return this.#ended.signal.aborted;
  }

  end() {
    this.#header = null;
    this.memory.clear();
    this.#ended.abort();
  }

  /**
   * An answer of 2xx. Waits when the service asks for it, and asks again, but not after `until`.
   *
   * A 5xx without a request id is not the API's, and promises nothing: what may have been done is asked for again only where twice is once.
   */
  async request(path, { method = "GET", accept = "application/json", signal = null, body = null, key = null, until = Infinity } = {}) {
    const target = new URL(path, location.origin);
    if (target.origin !== location.origin || !target.pathname.startsWith(`${BASE}/`)) {
      throw new Problem(0, "Unexpected link", "The answer leads to another place than the API.");
    }
    const ends = signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal;
    const harmless = method === "GET" || key !== null || (method === "POST" && target.pathname === `${BASE}/objects/query`);
    let unsure = false;
    const doubt = (problem) => Object.assign(problem, { unsure });
    for (let attempt = 1; ; attempt += 1) {
      if (ends.aborted) throw new Gone();
      let answer;
      try {
        answer = await fetch(target, {
          method,
          headers: {
            Authorization: this.#header,
            Accept: accept,
            ...(body === null ? {} : { "Content-Type": "application/json" }),
            ...(key === null ? {} : { "Idempotency-Key": key }),
          },
          body,
          // Without this a browser would ask for a password itself at a 401, and keep it.
          credentials: "omit",
          cache: "no-store",
          redirect: "error",
          referrerPolicy: "no-referrer",
          signal: ends,
        });
      } catch {
        if (ends.aborted) throw new Gone();
        unsure = true;
        throw doubt(new Problem(0, "No answer", "The service cannot be reached. Check the connection."));
      }
      if (ends.aborted) throw new Gone();
      this.#note(answer);
      if (answer.ok) {
        this.told.answered();
        return answer;
      }
      if (answer.status === 401) {
        this.told.signedOut("These credentials are not accepted, or no longer. Sign in again.");
        throw new Gone();
      }
      const promised = answer.status < 500 || (answer.status === 503 && answer.headers.has("x-request-id"));
      unsure ||= !promised;
      const busy = answer.status === 429 || (answer.status === 503 && (promised || harmless));
      if (busy && attempt < ATTEMPTS) {
        await this.#wait(answer, ends);
        if (Date.now() > until) throw doubt(new Problem(0, "No answer", "There was no answer in time."));
        continue;
      }
      const problem = doubt(await read(answer));
      if (ends.aborted) throw new Gone();
      throw problem;
    }
  }

  #note(answer) {
    const read = (name) => Number.parseInt(answer.headers.get(name) ?? "", 10);
    const rate = { limit: read("x-rate-limit"), remaining: read("x-rate-limit-remaining"), at: Date.now() };
    if (Number.isFinite(rate.limit) && Number.isFinite(rate.remaining)) this.rate = rate;
  }

  async #wait(answer, ends) {
    const asked = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
    const seconds = Math.min(Math.max(Number.isFinite(asked) ? asked : 5, 1), LONGEST_WAIT);
    const why = answer.status === 429 ? "This account has asked for too much in a short time" : "The service is busy";
    answer.body?.cancel().catch(() => {});
    this.told.waiting(seconds, why);
    await new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.told.answered();
        reject(new Gone());
      };
      const timer = setTimeout(() => {
        ends.removeEventListener("abort", stop);
        resolve();
      }, seconds * 1000);
      ends.addEventListener("abort", stop, { once: true });
    });
  }

  async json(path, options) {
    return this.#read(path, options, (answer) => answer.json());
  }

  /** As `json`, with whole numbers of 64 bits as they are: what is shown here may be edited and sent back. */
  async exact(path, options) {
    return this.#read(path, options, async (answer) => (answer.status === 204 ? null : parse(await answer.text())));
  }

  async #read(path, options, how) {
    const answer = await this.request(path, options);
    let body;
    try {
      body = await how(answer);
    } catch {
      if (this.ended || options?.signal?.aborted) throw new Gone();
      throw Object.assign(new Problem(answer.status, "Broken answer", "The answer could not be read."), { unsure: true });
    }
    if (this.ended || options?.signal?.aborted) throw new Gone();
    return body;
  }
}

async function read(answer) {
  const id = answer.headers.get("x-request-id");
  let errors = [];
  try {
    errors = (await answer.json())?.errors ?? [];
  } catch {
    // Not one of the API's own.
  }
  const first = Array.isArray(errors) ? errors[0] : null;
  const status = answer.status;
  if (status === 403) {
    return new Problem(403, "Not for this user", "Only agents and admins may use jobs. This user is known, and is neither.", id);
  }
  const title = typeof first?.title === "string" ? first.title : `Error ${status}`;
  const detail = typeof first?.detail === "string" ? first.detail : "The service gave no reason.";
  const all = Array.isArray(errors) ? errors.map((error) => error?.detail).filter((text) => typeof text === "string") : [];
  return new Problem(status, title, detail, id, all.length ? all : [detail]);
}

/** The `rel="next"` of a Link header. */
export function nextOf(header) {
  for (const part of (header ?? "").split(/,(?=\s*<)/)) {
    const found = /^\s*<([^>]*)>(.*)$/.exec(part);
    if (found && /;\s*rel="?next"?(\s*;|\s*$)/i.test(found[2])) return found[1];
  }
  return null;
}
