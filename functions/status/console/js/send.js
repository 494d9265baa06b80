// Sends the parts of a plan as jobs, one after the other, and follows them. What was interrupted goes on where it was.

import { BASE, Gone, Problem } from "./api.js";
import { count, isActive } from "./format.js";
import { digestText } from "./readfile.js";

const WAIT = 2;
const LONG_AGO = 60_000;
const MOST_FAILURES = 10_000;
/** The API knows an `Idempotency-Key` for 24 hours. */
const KEY_HOLDS = 23 * 3600 * 1000;

export class Sender {
  /**
   * Of each part: its job once it is there, whether the job was there before, since when it may have been sent without an answer,
   * and whether nobody can say any more how its job ended.
   */
  jobs = [];
  problem = null;
  running = false;
  /** Failed results of a check, of all its jobs. */
  failed = [];
  #session;
  #plan;
  #hash;
  #checks;
  #salt;
  #stop = null;
  #told;
  #read = new Set();

  /** `hash` is the file's, null where it is not known; `again`: it is sent anew even when the same was sent within the day. */
  constructor(session, plan, { hash, checks = false, again = false, told }) {
    [this.#session, this.#plan, this.#hash, this.#checks, this.#told] = [session, plan, hash, checks, told];
    // What is checked is checked against what is there now, and never against what was there an hour ago.
    this.#salt = checks || again || !hash ? random() : "";
    this.jobs = plan.parts.map(() => ({ job: null, before: false, tried: false, since: null, unknown: false }));
  }

  get sent() {
    return this.jobs.filter(({ job }) => job).length;
  }

  get ended() {
    return this.jobs.length > 0 && this.jobs.every(({ job }) => job && !isActive(job));
  }

  get done() {
    return this.ended && (!this.#checks || this.#read.size === this.jobs.length);
  }

  progress() {
    const sum = { total: this.#plan.good.length, processed: 0, succeeded: 0, failed: 0 };
    for (const { job } of this.jobs) {
      for (const name of ["processed", "succeeded", "failed"]) sum[name] += job?.progress[name] ?? 0;
    }
    return sum;
  }

  stop() {
    this.#stop?.abort();
  }

  /** What was not sent is not wanted any more. */
  drop() {
    this.stop();
    removeEventListener("beforeunload", this.#ask);
  }

  /** The browser asks before the page is left while there is something that was not sent, also when that was interrupted. */
  #ask = (event) => {
    if (this.#session.ended || this.sent === this.jobs.length) removeEventListener("beforeunload", this.#ask);
    else event.preventDefault();
  };

  /** Goes on until all has ended, or something is in the way. */
  async run() {
    if (this.running) return;
    this.#stop = new AbortController();
    const signal = this.#stop.signal;
    if (!this.#checks) addEventListener("beforeunload", this.#ask);
    this.running = true;
    this.problem = null;
    this.#told();
    try {
      for (let index = 0; index < this.jobs.length; index += 1) {
        if (!this.jobs[index].job) await this.#send(index, signal);
        // Jobs run beside each other: items of one record must not stand in two at once.
        if (this.#plan.acrossJobs || this.#checks) await this.#follow([this.jobs[index]], signal);
      }
      removeEventListener("beforeunload", this.#ask);
      await this.#follow(this.jobs, signal);
      if (this.#checks) await this.#results(signal);
    } catch (problem) {
      if (!(problem instanceof Gone)) this.problem = problem;
    } finally {
      this.running = false;
      if (!this.#session.ended) this.#told();
    }
  }

  async #send(index, signal) {
    const body = await this.#plan.body(this.#plan.parts[index], signal);
    if (body === null) throw new Gone();
    const entry = this.jobs[index];
    // Of the file, of what is made of it, and of where in it: the same sent again within a day is the same job.
    entry.key ??= `console-${await this.#keyOf(body)}`;
    const path = `${BASE}/jobs${this.#checks ? "?validate_only=true" : ""}`;
    const { tried } = entry;
    entry.since ??= Date.now();
    const until = this.#checks ? Infinity : entry.since + KEY_HOLDS;
    if (tried && Date.now() > until) throw this.#lost(index);
    entry.tried = true;
    let answer;
    try {
      answer = await this.#session.request(path, { method: "POST", body, key: entry.key, signal, until });
    } catch (problem) {
      // It was refused, and nothing of it will ever be done.
      if (!tried && problem instanceof Problem && !problem.unsure) Object.assign(entry, { tried: false, since: null });
      throw problem;
    }
    const { data } = await answer.json();
    const now = Date.parse(answer.headers.get("date") ?? "") || Date.now();
    entry.before = !tried && now - Date.parse(data.created_at) > LONG_AGO;
    entry.job = data;
    this.#told();
  }

  /** Sent again now, it would be another job, and what it does might be done twice. */
  #lost(index) {
    const [from, to] = this.#plan.rowsOf(this.#plan.parts[index]);
    const problem = new Problem(0, "Nobody knows whether this was sent", `Job ${count(index + 1)} was sent more than 23 hours ago, and no answer came. Whether it arrived cannot be found out any more, `
      + `and so it is not sent again: look whether ${from === to ? `row ${count(from)} of the file is` : `the rows ${count(from)} to ${count(to)} of the file are`} there.${index + 1 < this.jobs.length ? " The jobs after it were not sent." : ""} `
      + "Make a file of what is missing.");
    return Object.assign(problem, { final: true });
  }

  async #keyOf(body) {
    const content = this.#hash && (await digestText(body));
    return content ? `${this.#hash.slice(0, 32)}-${content.slice(0, 32)}${this.#salt && `-${this.#salt}`}` : random();
  }

  /** In turn, one request at a time. */
  async #follow(entries, signal) {
    for (;;) {
      const active = entries.filter(({ job }) => job && isActive(job));
      if (!active.length) return;
      for (const entry of active) {
        try {
          const { data } = await this.#session.json(`${BASE}/jobs/${encodeURIComponent(entry.job.id)}?wait=${WAIT}`, { signal });
          const { results, ...job } = data;
          entry.job = job;
        } catch (problem) {
          this.#forgotten(entry, problem);
        }
        this.#told();
      }
    }
  }

  /** The API shows a job for 24 hours. It has ended by then, and how it ended is not known here. */
  #forgotten(entry, problem) {
    if (!(problem instanceof Problem && problem.status === 404 && problem.requestId)) throw problem;
    entry.unknown = true;
    entry.job = { ...entry.job, job_status: "unknown" };
  }

  async #results(signal) {
    for (const entry of this.jobs) {
      const { job } = entry;
      if (this.#read.has(job.id)) continue;
      const found = [];
      let next = entry.unknown ? null : job.progress.failed || job.job_status === "failed" ? `${BASE}/jobs/${encodeURIComponent(job.id)}/results?success=false&per_page=1000` : null;
      while (next && this.failed.length + found.length < MOST_FAILURES) {
        try {
          const { data, links } = await this.#session.json(next, { signal });
          found.push(...data);
          next = links?.next ?? null;
        } catch (problem) {
          this.#forgotten(entry, problem);
          next = null;
        }
      }
      this.failed.push(...found);
      this.#read.add(job.id);
      this.#told();
    }
  }
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
