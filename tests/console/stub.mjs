// Canned answers. The token says which: `hostile`, `many` (1,000 jobs), `big` (10,000 items, 3,000 failures), `running`, `queued`, `empty`,
// `enduser` (403), `busy` (429 once, then `empty`), `down` (a 500), `admin` (may have a search explained), `sender` (takes jobs: the first time it is
// busy, the third time a proxy answers). Any other is a 401.

const BASE = "/api/sunshine";
const NOW = Date.now();
const iso = (secondsAgo) => `${new Date(NOW - secondsAgo * 1000).toISOString().slice(0, 19)}Z`;
const uuid = (number) => `01a22762-80d7-7f5e-9d5c-${String(number).padStart(12, "0")}`;

export const HOSTILE = [
  `<img src=x onerror="window.ran=1">`,
  `"><script>window.ran=1</script>`,
  `javascript:window.ran=1`,
  `\u202Egnp.exe\u202C \u2067right to left\u2069`,
  `</bdi></span><svg onload=window.ran=1>`,
  `{{constructor.constructor('window.ran=1')()}}`,
  `${"long".repeat(2000)}`,
  `a\u0000b\u0007c\nline`,
];

function job(number, more = {}) {
  const states = ["completed", "completed", "failed", "completed", "aborted"];
  const state = more.job_status ?? states[number % states.length];
  const total = 100 + ((number * 37) % 9900);
  const processed = state === "completed" ? total : state === "failed" ? Math.floor(total / 2) : 0;
  const failed = number % 3 ? 0 : Math.floor(processed / 7);
  return {
    id: uuid(number), job_status: state, created_at: iso(30 + number * 40), updated_at: iso(20 + number * 40), completed_at: iso(20 + number * 40),
    type: number % 4 ? "resources" : "relationships", action: ["post", "update", "external_id_set", "delete"][number % 4],
    progress: { total, processed, succeeded: processed - failed, failed },
    ...(state === "failed" ? { error: { code: "Aborted", status: "409", title: "Aborted", detail: "The job was aborted" } } : {}), ...more,
  };
}

const problem = (detail, code = "UnprocessableEntity", status = "422", title = "Unprocessable Entity") => ({ code, status, title, detail });

function bigResult(position) {
  const at = { position, client_ref: `row ${position + 2}` };
  if (position % 10 === 3) return { ...at, success: false, errors: [problem(`attributes.name breaks the rule "required": the attribute is missing`)] };
  if (position % 10 === 5) {
    return { ...at, success: false, errors: [problem(`attributes.price breaks the rule "type": "cheap ${position}" is not of type "number"`), problem(`attributes.color breaks the rule "additionalProperties": the type has no such attribute`)] };
  }
  if (position % 10 === 7) return { ...at, success: false, errors: [problem(`No record has the id "${uuid(position)}"`, "NotFound", "404", "Not Found")] };
  return { ...at, success: true, data: { id: uuid(position) } };
}

const BIG = job(1, { job_status: "completed", progress: { total: 10_000, processed: 10_000, succeeded: 7_000, failed: 3_000 } });
const BIG_RESULTS = Array.from({ length: 10_000 }, (_, position) => bigResult(position));
const BAD = HOSTILE.map((text, number) => job(number, { type: text, action: text, job_status: number % 2 ? text : "failed", error: problem(text, text, text, text) }));
const BAD_RESULTS = HOSTILE.map((text, position) => ({ position, client_ref: text, success: false, data: { id: text }, errors: [problem(text, text, text, text), problem(`"${text}"`)] }));

const state = { busy: 0, begun: 0, aborted: false, asked: [], posts: [], written: [] };

/** Begins anew: what `running` has done, and what was asked for. */
export function reset() {
  Object.assign(state, { busy: 0, begun: Date.now(), aborted: false, asked: [], posts: [], written: [] });
}

export const askedFor = () => state.asked;
/** What was sent as jobs, and as changes of types and records. */
export const posted = () => state.posts;
export const changes = () => state.written;

function running() {
  const processed = Math.min(9_500, 1_500 + Math.floor((Date.now() - state.begun) / 1000) * 500);
  if (state.aborted) {
    return job(1, { job_status: "failed", progress: { total: 10_000, processed: 2_000, succeeded: 1_900, failed: 100 }, error: { code: "Aborted", status: "409", title: "Aborted", detail: "The job was aborted: 8000 items were not processed" } });
  }
  return job(1, { job_status: "processing", completed_at: null, progress: { total: 10_000, processed, succeeded: processed - 100, failed: 100 } });
}

const queued = () => job(2, { created_at: iso(12), job_status: state.aborted ? "aborted" : "queued", completed_at: state.aborted ? iso(0) : null, progress: { total: 480, processed: 0, succeeded: 0, failed: 0 } });

const SETS = {
  hostile: () => BAD, many: () => Array.from({ length: 1_000 }, (_, number) => job(number)), big: () => [BIG, ...Array.from({ length: 5 }, (_, number) => job(number + 2))],
  running: () => [running(), queued(), ...Array.from({ length: 6 }, (_, number) => job(number + 3))], queued: () => [queued()], empty: () => [], busy: () => [], enduser: () => [], down: () => [],
  admin: () => [running(), queued(), ...Array.from({ length: 9 }, (_, number) => job(number + 3))], sender: () => state.posts.filter(({ job: made }) => made).map(({ job: made }) => made),
};

const listed = ({ error, ...rest }) => (error ? { ...rest, error } : rest);

const at = { created_at: iso(90_000), updated_at: iso(4_000) };
const type = (key, schema, version = 3) => ({ key, schema: { ...schema, additionalProperties: false }, version, ...at });
const PRODUCT = type("product", { properties: { name: { type: "string", minLength: 2 }, price: { type: "number", minimum: 0 }, stock: { type: "integer" }, active: { type: "boolean" }, tags: { type: "array", items: { type: "string" } } }, required: ["name"] });
// A name of a property may not hold a control character, and has at most 255 characters.
const named = HOSTILE.map((text) => text.replace(/[\u0000-\u001f]/g, "").slice(0, 255));
const BAD_TYPES = [...HOSTILE.map((text) => type(text, { properties: { [text]: { type: text, pattern: text, description: text } }, required: [text] })),
  type("bad", { title: HOSTILE[0], properties: Object.fromEntries(named.map((text) => [text, { type: "string", description: text }])) })];
const BAD_RECORDS = HOSTILE.map((text, number) => ({ type: number % 2 ? text : "bad", id: uuid(number), external_id: text, attributes: { ...Object.fromEntries(named.map((name) => [name, text])), deep: { [text]: [text] } }, ...at, type_version: 1 }));
const BAD_RELATIONS = HOSTILE.map((text) => ({ key: text, source: [text], target: ["bad"], ...at }));
const LIMITS = [{ key: "resources", limit: 1_000_000, count: 871_204 }, { key: "relationships", limit: 1_000_000, count: 12_400 }, { key: "resource_types", limit: 50, count: 12 }, { key: "relationship_types", limit: 50, count: 50 }, { key: "jobs", limit: 1000, count: 2 }];

/** What is not a job. True when it was answered. */
async function objects(token, asked, url, send, fail, body) {
  const hostile = token === "hostile";
  const path = url.pathname.slice(BASE.length);
  const types = hostile ? BAD_TYPES : token === "empty" ? [] : [PRODUCT];
  if (path === "/limits") return send(200, { data: hostile ? HOSTILE.map((key) => ({ key, limit: 10, count: 9 })) : LIMITS }), true;
  if (path === "/objects/types") return send(200, { data: types, links: { next: null, previous: null } }), true;
  if (path === "/objects/query") {
    if (url.searchParams.has("explain")) return token === "admin" ? send(200, { data: { plan: "ids", of: [], records_read: 0, records_found: 0, has_more: false } }) : fail(403, "Forbidden", "Only admins may have a search explained"), true;
    if (body.includes("$broken")) return fail(400, "Bad Request", hostile ? HOSTILE[0] : "query.$broken is not an operator"), true;
    return send(200, { data: hostile ? BAD_RECORDS : [], links: { next: null, previous: null } }), true;
  }
  if (path === "/relationships/types") return send(200, { data: hostile ? BAD_RELATIONS : [], links: { next: null, previous: null } }), true;
  const one = /^\/objects\/(types|records)\/([^/]+)(\/relationships|\/related)?/.exec(path);
  if (!one) return false;
  if (one[3]) {
    const links = HOSTILE.map((text, number) => ({ id: text, relationship_type: text, source: text, target: number % 2 ? `zen:user:${text}` : text, created_at: iso(5) }));
    return send(200, { data: one[3] === "/related" ? BAD_RECORDS : links, links: { next: null, previous: null } }), true;
  }
  const key = decodeURIComponent(one[2]);
  const found = one[1] === "types" ? types.find((some) => some.key === key) : hostile ? BAD_RECORDS.find((some) => some.id === key) : null;
  if (!found) return fail(404, "Not Found", "There is none"), true;
  if (asked.method === "GET") return send(200, { data: found }), true;
  state.written.push({ method: asked.method, path, body });
  return send(422, { errors: HOSTILE.map((text) => problem(text, text, "422", text)) }), true;
}

const text = async (asked) => {
  const parts = [];
  for await (const part of asked) parts.push(part);
  return Buffer.concat(parts).toString();
};

/** Takes jobs, and has done each the second time that it is asked for. */
function take(asked, url, body, send, fail, reply) {
  const { action, data } = JSON.parse(body);
  const entry = { key: asked.headers["idempotency-key"], validate: url.searchParams.has("validate_only"), bytes: body.length, action, items: data, job: null };
  state.posts.push(entry);
  const number = state.posts.filter(({ validate }) => !validate).length;
  if (!entry.validate && number === 1) return fail(503, "Service Unavailable", "Come back", { "retry-after": "1" });
  // Of something in between: whether it arrived, nobody knows.
  if (!entry.validate && number === 3) return reply.writeHead(502, { "content-type": "text/html" }).end("Bad gateway");
  const before = state.posts.find((other) => other !== entry && other.key === entry.key && other.job);
  entry.job = before?.job ?? job(100 + state.posts.length, { job_status: "queued", created_at: iso(0), completed_at: null, type: "resources", action, progress: { total: data.length, processed: 0, succeeded: 0, failed: 0 }, ...(entry.validate ? { validate_only: true } : {}) });
  return send(201, { data: { ...entry.job, results: [] } });
}

export async function answer(asked, reply) {
  const url = new URL(asked.url, "http://localhost");
  const token = /^Bearer (\w+)$/.exec(asked.headers.authorization ?? "")?.[1];
  state.asked.push(`${asked.method} ${url.pathname}${url.search}`);
  const sent = asked.method === "GET" ? "" : await text(asked);
  const send = (status, body, headers = {}) => reply.writeHead(status, { "x-rate-limit": "700", "x-rate-limit-remaining": "655", "content-type": "application/json; charset=utf-8", "x-request-id": uuid(7), "cache-control": "no-store", ...headers }).end(typeof body === "string" ? body : JSON.stringify(body));
  const fail = (status, title, detail, headers) => send(status, { errors: [{ code: title.replaceAll(" ", ""), status: String(status), title, detail, message: detail }] }, headers);
  if (!token || !Object.hasOwn(SETS, token)) return send(401, { error: "Couldn't authenticate you" }, { "www-authenticate": "Basic" });
  if (token === "enduser") return fail(403, "Forbidden", "Only agents and admins may do this");
  if (token === "down" && !url.search.includes("per_page=1&") && !url.search.endsWith("per_page=1")) return fail(500, "Internal Server Error", "Something is wrong here");
  if (token === "busy" && (state.busy += 1) % 4 === 2) return fail(429, "Too Many Requests", "Too many requests", { "retry-after": "2" });
  if (!url.pathname.startsWith(`${BASE}/jobs`) && (await objects(token, asked, url, send, fail, sent))) return;
  if (asked.method === "POST" && url.pathname === `${BASE}/jobs` && token === "sender") return take(asked, url, sent, send, fail, reply);
  const jobs = SETS[token]();
  const page = (all, name) => {
    const size = Number(url.searchParams.get("per_page") ?? 1000);
    const from = Number(url.searchParams.get("cursor") ?? 0);
    url.searchParams.set("cursor", from + size);
    return { data: all.slice(from, from + size), next: from + size < all.length ? `${BASE}${name}?${url.searchParams}` : null };
  };
  if (url.pathname === `${BASE}/jobs`) {
    const wanted = (name, member) => (one) => !url.searchParams.get(name) || one[member] === url.searchParams.get(name);
    const { data, next } = page(jobs.filter(wanted("status", "job_status")).filter(wanted("type", "type")).filter(wanted("action", "action")), "/jobs");
    return send(200, { data: data.map(listed), links: { next, previous: null } });
  }
  const found = /^\/api\/sunshine\/jobs\/([^/]+)(\/results|\/abort)?$/.exec(url.pathname);
  const one = found && jobs.find((some) => some.id === decodeURIComponent(found[1]));
  if (!one) return fail(404, "Not Found", "No job has this id");
  if (token === "sender" && !found[2] && one.job_status !== "completed") {
    one.job_status = one.job_status === "queued" ? "processing" : "completed";
    const failed = one.job_status === "completed" && one.validate_only ? Math.min(3, one.progress.total) : 0;
    if (one.job_status === "completed") Object.assign(one, { completed_at: iso(0), progress: { total: one.progress.total, processed: one.progress.total, succeeded: one.progress.total - failed, failed } });
    return send(200, { data: { ...one, results: [] } });
  }
  const results = token === "hostile" ? BAD_RESULTS : token === "big" && one === jobs[0] ? BIG_RESULTS
    : Array.from({ length: one.progress.processed }, (_, position) => ({ position, ...(position < one.progress.failed ? { success: false, errors: [problem("External Id is already in use for the Resource Type key: product")] } : { success: true, data: { id: uuid(position) } }) }));
  if (found[2] === "/abort") {
    if (one.job_status === "completed" || one.job_status === "failed") return fail(409, "Conflict", "The job has ended");
    const before = one.job_status === "processing" ? one : null;
    state.aborted = true;
    return send(before ? 202 : 200, { data: { ...(before ?? SETS[token]().find((some) => some.id === one.id)), results: [] } });
  }
  if (found[2]) {
    const success = url.searchParams.get("success");
    const { data, next } = page(results.filter((result) => !success || String(result.success) === success), `/jobs/${found[1]}/results`);
    const link = next ? { link: `<${next}>; rel="next"` } : {};
    if (asked.headers.accept === "application/x-ndjson") return send(200, data.map((result) => `${JSON.stringify(result)}\n`).join(""), { ...link, "content-type": "application/x-ndjson" });
    return send(200, { data, links: { next, previous: null } });
  }
  return send(200, { data: { ...one, results: one.job_status === "completed" || one.job_status === "failed" ? results.map(({ position, ...rest }) => rest) : [] } });
}
