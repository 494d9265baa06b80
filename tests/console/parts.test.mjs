// What needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

const module = (name) => import(new URL(`../../functions/status/console/js/${name}.js`, import.meta.url));
const { merge } = await module("pages");
const { group, reason } = await module("failures");
const { Problem, Session, nextOf } = await module("api");
const { age, span } = await module("format");
const { Pace } = await module("poll");
const { isDeeper, parse, patch, sorted, stringify } = await module("json");
const { Csv, Elements, Lines, guessDelimiter, guessKind } = await module("readfile");
const { Plan, convert, guess } = await module("convert");
const { Sender } = await module("send");

test("a page goes into its place", () => {
  const list = ["e", "d", "c", "b", "a"];
  const check = (answer, at, wanted) => assert.deepEqual(merge(list, answer, at), wanted);
  check(["g", "f", "e"], { first: true, last: false }, ["g", "f", "e", "d", "c", "b", "a"]);
  check(["e", "c"], { first: true, last: false }, ["e", "c", "b", "a"]);
  check(["c", "a"], { first: false, last: false }, ["e", "d", "c", "a"]);
  check(["e", "d"], { first: true, last: true }, ["e", "d"]);
  check([], { first: true, last: true }, []);
  check([], { first: true, last: false }, list);
  check(["z", "y"], { first: true, last: false }, null);
});

test("the same words with other values are one reason", () => {
  const check = (detail, wanted) => assert.equal(reason({ detail }), wanted);
  check("External Id is already in use for the Resource Type key: product", "External Id is already in use for the Resource Type key: product");
  check(`attributes.price breaks the rule "type": "chea\\"p 7" is not of type "number"`, `attributes.price breaks the rule "type": “…” is not of type "number"`);
  check("No record has the id 01a22762-80d7-7f5e-9d5c-664181ca2f2c", "No record has the id ‹id›");
  check("12 is less than the minimum of -3.5e2", "‹n› is less than the minimum of ‹n›");
  check("attributes.line1 is missing", "attributes.line1 is missing");
  check(`"${"a".repeat(5000)}`, "“…”");
});

test("an item with two errors of one reason counts once", () => {
  const error = (detail) => ({ code: "UnprocessableEntity", detail });
  const [first, second] = group([
    { position: 1, errors: [error(`"a" is wrong`), error(`"b" is wrong`)] },
    { position: 2, errors: [error(`"c" is wrong`), error("missing")] },
  ]);
  assert.deepEqual([first.words, first.items.length, second.words, second.items.length], ["“…” is wrong", 2, "missing", 1]);
});

test("texts that mean harm to a pattern are read fast", () => {
  const begun = performance.now();
  for (const text of ['"\\'.repeat(5000), "1e".repeat(5000), "-+".repeat(5000), "0-".repeat(5000)]) group([{ errors: [{ detail: text }] }]);
  assert.ok(performance.now() - begun < 200);
});

test("the next page of a Link header", () => {
  assert.equal(nextOf(`</api/a?x=1,2>; rel="prev", </api/b?cursor=c>; rel="next"`), "/api/b?cursor=c");
  assert.equal(nextOf(`</api/a>; rel="prev"`), null);
  assert.equal(nextOf(null), null);
});

test("times in words", () => {
  assert.deepEqual([0, 59, 61, 600, 3_700].map(span), ["under 1 s", "59 s", "1 min 1 s", "10 min", "1 h 1 min"]);
  assert.equal(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T02:59:00Z")), "2 h ago");
});

test("the pace of successive answers", () => {
  const pace = new Pace();
  pace.note(0, 0);
  assert.equal(pace.perSecond, null);
  pace.note(1_000, 2_000);
  pace.note(2_000, 4_000);
  assert.deepEqual([pace.perSecond, pace.left(3_000)], [500, 2]);
});

test("JSON keeps what a script would round, and says where it is wrong", () => {
  const text = '{"a":[9007199254740993,-0.5,1e400,{"__proto__":{"b":null}}],"c\\n\\u00e9":"\\ud83d\\ude00"}';
  const value = parse(text);
  assert.equal(stringify(value), '{"a":[9007199254740993,-0.5,1e400,{"__proto__":{"b":null}}],"c\\né":"😀"}');
  assert.equal(Object.getPrototypeOf(value.a[3]), Object.prototype);
  assert.deepEqual(parse(stringify(value, 2)), value);
  for (const [wrong, words] of [['{"a" 1}', "Line 1, column 6: a colon"], ['{\n  "a": 1,\n}', "Line 3, column 1: a name"], ["[1 2]", "a comma or ]"], ['"a', "has no end"], ['{"a":1,"a":2}', "is given twice"],
    ["[01]", "a comma or ]"], ["nul", "does not belong"], ["", "ends too early"], ["1 2", "behind the end"], ["[".repeat(5000), "too deep"], ['"\u0001"', "control character"], ['"\\x"', "backslash"]]) {
    assert.throws(() => parse(wrong), (error) => error.message.includes(words), wrong);
  }
});

test("what JSON is for everybody, it is here", () => {
  for (const text of ['{"a":[true,false,null,"x",1.5,-3,0,1e3,{}],"b":[]}', "[]", '"\\"\\\\"', "-0", "  [ 1 , 2 ]\n"]) assert.deepEqual(parse(text), JSON.parse(text));
});

test("a patch has what was changed, and nothing else", () => {
  const check = (before, after, wanted) => assert.deepEqual(patch(before, after), wanted);
  check({ a: 1, b: { c: 1, d: [1] } }, { a: 1, b: { c: 1, d: [1] } }, {});
  check({ a: 1, b: { c: 1, d: [1] } }, { b: { c: 2, d: [1, 2] }, e: {} }, { a: null, b: { c: 2, d: [1, 2] }, e: {} });
  check({ a: { b: 1 } }, { a: [1] }, { a: [1] });
  check(parse('{"a":9007199254740993}'), parse('{"a":9007199254740993}'), {});
});

test("what means the same is the same text, and depth is counted", () => {
  assert.equal(sorted(parse('{"b":{"d":[{"z":1,"a":9007199254740993}],"c":"x"},"a":null}')), '{"a":null,"b":{"c":"x","d":[{"a":9007199254740993,"z":1}]}}');
  assert.notEqual(sorted({ a: [1, 2] }), sorted({ a: [2, 1] }));
  const nested = (levels) => JSON.parse(`${'{"a":['.repeat(levels / 2)}${"]}".repeat(levels / 2)}`);
  assert.deepEqual([isDeeper(nested(100), 100), isDeeper(nested(102), 100), isDeeper(nested(9_000), 100), isDeeper("text", 0), isDeeper(null, 0)], [false, true, true, false, false]);
});

test("cells, wherever the pieces end", () => {
  const text = 'a;"b ""x"";\r\ny"\r\n\r\n;\n"";"z"\r"q"r;s';
  const wanted = [["a", 'b "x";\r\ny'], ["", ""], ["", "z"], ["qr", "s"]];
  for (let size = 1; size <= text.length; size += 1) {
    const csv = new Csv(";");
    for (let at = 0; at < text.length; at += size) csv.push(text.slice(at, at + size));
    csv.end();
    assert.deepEqual(csv.rows, wanted, `pieces of ${size}`);
    assert.deepEqual(csv.numbers, [1, 3, 4, 5]);
  }
  assert.throws(() => {
    const csv = new Csv(",");
    csv.push('a,b\n1,"2\n');
    csv.end();
  }, /Row 2/);
});

test("objects, wherever the pieces end", () => {
  const elements = ' [ {"a": "]},[", "b": [1, {"c": 2}]} , "id-1",{"external_id": 9007199254740993, "attributes": {"a": "\\\\\\""}}, 5, {x} ] \n';
  for (let size = 1; size <= elements.length; size += 1) {
    const found = new Elements();
    for (let at = 0; at < elements.length; at += size) found.push(elements.slice(at, at + size));
    found.end();
    assert.deepEqual(found.columns, ["a", "b", "id", "external_id"]);
    assert.deepEqual([found.rows.length, found.numbers, found.broken.map(([number]) => number)], [3, [1, 2, 3], [4, 5]]);
    assert.equal(String(found.rows[2][3]), "9007199254740993");
  }
  for (const wrong of ["{}", "[1", "[] 1", "[{]"]) {
    assert.throws(() => {
      const found = new Elements();
      found.push(wrong);
      found.end();
    }, wrong);
  }
  const lines = new Lines();
  for (const piece of ['{"a"', ': 1}\n\n{"b": 2}\r\nno', "ne"]) lines.push(piece);
  lines.end();
  assert.deepEqual([lines.columns, lines.numbers, lines.broken.map(([number]) => number)], [["a", "b"], [1, 3], [4]]);
});

/** A plan of what stands in a file of lines. */
async function planOf(text, { properties = {}, required = [], action = "post", ...more } = {}) {
  const table = new Lines();
  table.push(text);
  table.end();
  table.kind = "ndjson";
  const type = { key: "product", schema: { properties, required } };
  const plan = new Plan({ table, type, action, targets: guess(table.columns, type, action), ...more });
  assert.ok(await plan.check(null));
  return { plan, table, wrong: plan.errors.map(({ number, words }) => [number, words]), items: plan.good.map((index) => plan.item(index).item) };
}

test("what cannot be read is counted to the last, named up to a number, and wrong", async () => {
  const { plan, table, wrong } = await planOf(`${"[1]\n".repeat(1_500)}{"n":1}\n${"no\n".repeat(1_500)}{"n":"x"}\n`, { properties: { n: { type: "number" } } });
  assert.deepEqual([table.brokenCount, table.broken.length, table.rows.length], [3_000, 100, 2]);
  assert.deepEqual([plan.wrongRows, plan.wrongCells, plan.good.length, plan.errors.length], [3_001, 3_001, 1, 101]);
  assert.deepEqual([wrong[0], wrong.at(-1)], [[1, "is no object"], [3_002, "must be a number"]]);
});

test("an empty text of JSON is one, and an empty cell of a table is none", async () => {
  const properties = { n: { type: "string" }, m: { type: "string" } };
  for (const clears of [false, true]) {
    const { items, wrong } = await planOf('{"external_id":"","n":"","m":null}\n', { properties, required: ["n"], clears });
    assert.deepEqual([items, wrong], [[{ type: "product", attributes: { n: "", m: null }, client_ref: "row 1" }], []]);
  }
  assert.deepEqual((await planOf('{"n":""}\n', { properties: { n: { type: "number" } } })).wrong, [[1, "must be a number"]]);
});

test("an item of another type is no item of this one", async () => {
  const words = "is of another type than product, which is chosen";
  const properties = { n: { type: "string" } };
  const item = (type) => `{"type":${JSON.stringify(type)},"external_id":"a","attributes":{"n":"x"}}\n`;
  assert.deepEqual((await planOf(`${item("PRODUCT")}${item("shop")}{"external_id":"b","attributes":{"n":"x"}}\n${item(5)}`, { properties })).wrong, [[2, words], [4, words]]);
  const bare = '{"type":"Product","external_id":"a"}\n{"type":"shop","external_id":"b"}\n';
  assert.deepEqual((await planOf(bare, { action: "external_id_delete" })).wrong, [[2, words]]);
  // An attribute of that name is an attribute, and an object that is no item may have a member of that name.
  assert.deepEqual((await planOf(bare, { action: "external_id_set", properties: { type: { type: "string" } } })).wrong, []);
  assert.deepEqual((await planOf('{"type":"sofa","n":"x"}\n', { properties })).wrong, []);
});

test("what is nested too deep is a wrong row, and large whole numbers are ids", async () => {
  const nested = (levels) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const { wrong } = await planOf([99, 100, 201, 9_000].map((levels) => `{"n":${nested(levels)}}`).join("\n"), { properties: { n: { type: "array" } } });
  assert.deepEqual(wrong, [[2, "is nested too deep: attributes have at most 100 levels"], [3, "is nested too deep"], [4, "is nested too deep"]]);
  const { items } = await planOf('{"external_id":12345678901234567890}\n{"external_id":7}\n');
  assert.deepEqual(items.map((item) => item.external_id), ["12345678901234567890", "7"]);
  assert.deepEqual((await planOf('{"external_id":1e400}\n{"external_id":{}}\n')).wrong, [[1, "must be text"], [2, "must be text"]]);
});

test("kinds and delimiters are guessed", () => {
  assert.deepEqual([["a.csv", "[1]"], ["a.txt", " [1]"], ["a", "{}"], ["a", "x,y"], ["a.jsonl", ""]].map(([name, head]) => guessKind(name, head)), ["csv", "json", "ndjson", "csv", "ndjson"]);
  assert.deepEqual(["a,b\n1,2\n", 'a;b\n"1,5";"2,5"\n', "a\tb,c\n1\t2\n", "a|b\n1|2\n", "one\ntwo\n"].map(guessDelimiter), [",", ";", "\t", "|", ","]);
});

test("a cell becomes what its attribute wants, or says why not", () => {
  const as = (cell, type, decimal) => stringify(convert(cell, { type }, decimal));
  assert.deepEqual([as("007", "integer"), as(" -5 ", "integer"), as("5.0", "integer"), as("9223372036854775807", "integer"), as("1e3", "integer"), as(".5", "number"), as("+1.50", "number"), as("1,5", "number", ","), as("12345678901234567890", "number"),
    as("YES", "boolean"), as("0", "boolean"), as("[1, 2]", "array"), as('{"a": 1}', "object"), as("5", "string"), as("5", ["string", "number"]), as("5", ["null", "number"]), as(5, "integer"), as(true, "boolean")],
  ["7", "-5", "5", "9223372036854775807", "1000", "0.5", "1.5", "1.5", "12345678901234567890", "true", "false", "[1,2]", '{"a":1}', '"5"', '"5"', "5", "5", "true"]);
  for (const [cell, type, decimal] of [["1.5", "integer"], ["cheap", "number"], ["1,5", "number"], ["1.000,5", "number", ","], ["1.000", "integer", ","], ["12.500", "number", ","], ["1.5", "number", ","], ["", "number"], [".", "number"], ["e5", "number"], ["1e999", "number"], ["99999999999999999999", "integer"], ["maybe", "boolean"], ["[1", "array"], ["a", "object"], [5, "string"], [1.5, "integer"], [{}, "array"]]) {
    assert.throws(() => convert(cell, { type }, decimal), `${cell} as ${type}`);
  }
});

test("columns are guessed by their names", () => {
  const type = { key: "t", schema: { properties: { "unit price": {}, id: {}, Näme: {} } } };
  assert.deepEqual(guess(["External_ID", "UNIT-PRICE", "näme", "other", "unit price"], type, "post"), ["@external_id", ".unit price", ".Näme", "", ""]);
  assert.deepEqual(guess(["id", "unit price"], type, "update"), ["@id", ".unit price"]);
  assert.deepEqual(guess(["id", "unit price"], { key: "t", schema: { properties: {} } }, "external_id_set"), ["@external_id", ""]);
});

test("a plan is cut into jobs by items and by bytes, and knows what is wrong", async () => {
  const type = { key: "t", schema: { properties: { n: { type: "string" }, p: { type: "number" } }, required: ["n"] } };
  const plan = async (rows, action = "post", targets = ["@external_id", ".n", ".p"], more = {}) => {
    const made = new Plan({ table: { rows, numbers: rows.map((_, index) => index + 2), columns: ["e", "n", "p"] }, type, action, targets, ...more });
    assert.ok(await made.check(null));
    return made;
  };
  const many = await plan(Array.from({ length: 10_001 }, (_, number) => [`e${number}`, "x", "1"]));
  assert.deepEqual(many.parts.map(({ from, to }) => [from, to]), [[0, 10_000], [10_000, 10_001]]);
  const wide = await plan(Array.from({ length: 400 }, (_, number) => [`e${number}`, '"'.repeat(14_000), ""]));
  for (const part of wide.parts) {
    const body = await wide.body(part);
    // As it is sent, quotation marks and backslashes counted twice.
    assert.ok(body.length + body.replace(/[^"\\]/g, "").length <= 5_100_000, `${body.length}`);
  }
  assert.equal(wide.parts.reduce((sum, { from, to }) => sum + to - from, 0), 400);
  const wrong = await plan([["a", "", "x"], ["A", "ok", "2"], ["a", "ok", ""], ["b", "ok", "1", "more"], ["c".repeat(256), "ok", "1"], ["d", "ö".repeat(20_000), "1"]]);
  assert.deepEqual(wrong.errors.map(({ number, words }) => [number, words.slice(0, 24)]), [[2, "must be a number"], [2, "is required, and is miss"], [5, "has 4 cells, of 3 column"], [6, "has an external id of mo"], [7, "has more than 32,768 byt"]]);
  assert.deepEqual([wrong.good, wrong.repeated, wrong.wrongRows], [[1, 2], 1, 4]);
  assert.deepEqual(JSON.parse(await wrong.body(wrong.parts[0])), { type: "resources", action: "post", data: [{ type: "t", external_id: "A", attributes: { n: "ok", p: 2 }, client_ref: "row 3" }, { type: "t", external_id: "a", attributes: { n: "ok" }, client_ref: "row 4" }] });
  const commas = await plan([["a", "ok", "1,5"], ["b", "ok", "1.000"], ["c", "ok", "12.500"]], "post", undefined, { decimal: "," });
  assert.deepEqual([commas.good, commas.errors], [[0], [3, 4].map((number) => ({ number, column: 2, value: number === 3 ? "1.000" : "12.500", words: "must be a number" }))]);
  const cleared = await plan([["a", "", ""]], "external_id_set", undefined, { clears: true });
  assert.deepEqual(cleared.item(0).item.attributes, { n: null, p: null });
  const stopped = new AbortController();
  stopped.abort();
  const half = new Plan({ table: { rows: Array.from({ length: 1e6 }, () => ["a", "b", "1"]), numbers: new Array(1e6).fill(1), columns: [] }, type, action: "post", targets: ["", ".n", ".p"] });
  assert.equal(await half.check(stopped.signal), false);
});

test("what was sent before is known, and what is sent again has the same key", async () => {
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  const keys = [];
  const answers = { created: "2026-01-01T00:00:00Z", date: "Thu, 01 Jan 2026 00:00:02 GMT" };
  const session = {
    ended: false,
    request: async (path, { key, body }) => {
      keys.push(key);
      const data = { id: "j", job_status: "completed", created_at: answers.created, progress: { total: 1, processed: 1, succeeded: 1, failed: 0 }, items: JSON.parse(body).data.length };
      return { json: async () => ({ data }), headers: new Headers({ date: answers.date }) };
    },
  };
  const plan = new Plan({ table: { rows: [["a"]], numbers: [2], columns: ["n"] }, type: { key: "t", schema: { properties: { n: { type: "string" } } } }, action: "post", targets: [".n"] });
  await plan.check(null);
  const send = async (more) => {
    const sender = new Sender(session, plan, { hash: "f".repeat(64), told: () => {}, ...more });
    await sender.run();
    assert.ok(sender.done && !sender.problem, String(sender.problem));
    return sender.jobs[0].before;
  };
  assert.equal(await send({}), false);
  answers.date = "Thu, 01 Jan 2026 08:00:00 GMT";
  assert.equal(await send({}), true);
  await send({ again: true });
  await send({ hash: null });
  await send({ hash: "e".repeat(64) });
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 4);
  assert.ok(keys.every((key) => /^[ -~]{1,255}$/.test(key)));
});

/** A sender of two jobs of one row each, whose requests are answered by `answer(path, options)`. */
async function senderOf(answer, more = {}) {
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  const request = async (path, options = {}) => {
    const data = await answer(path, options);
    return { json: async () => ({ data, links: { next: null } }), headers: new Headers() };
  };
  const session = { ended: false, request, json: async (path, options) => (await request(path, options)).json() };
  const table = { rows: [["a"], ["b"]], numbers: [2, 3], columns: ["n"] };
  const plan = new Plan({ table, type: { key: "t", schema: { properties: { n: { type: "string" } } } }, action: "post", targets: [".n"] });
  await plan.check(null);
  plan.parts = [{ from: 0, to: 1 }, { from: 1, to: 2 }];
  return new Sender(session, plan, { hash: "f".repeat(64), told: () => {}, ...more });
}

const HOUR = 3_600_000;
const jobOf = (id, job_status) => ({ id, job_status, created_at: new Date().toISOString(), progress: { total: 1, processed: 1, succeeded: 1, failed: 0 } });

test("what may have been sent a day ago is never sent again", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-01-01T00:00:00Z") });
  let posts = 0;
  let answers = () => {
    throw Object.assign(new Problem(0, "No answer", "The service cannot be reached."), { unsure: true });
  };
  const answer = () => {
    posts += 1;
    return answers();
  };
  const sender = await senderOf(answer);
  await sender.run();
  assert.equal(sender.problem.title, "No answer");
  context.mock.timers.tick(22 * HOUR);
  await sender.run();
  assert.equal(posts, 2);
  context.mock.timers.tick(2 * HOUR);
  answers = () => jobOf("j", "completed");
  for (const again of [1, 2]) {
    await sender.run();
    assert.equal(posts, 2, `${again}`);
    assert.match(sender.problem.detail, /whether row 2 of the file is there\. The jobs after it were not sent/);
    assert.deepEqual([sender.problem.final, sender.done, sender.sent], [true, false, 0]);
  }
  // A trial writes nothing: it can be made again. What was refused was not done: it can be sent.
  for (const [more, unsure] of [[{ checks: true }, true], [{}, false]]) {
    answers = () => {
      throw Object.assign(new Problem(503, "Busy", "Come back"), { unsure });
    };
    const other = await senderOf(answer, more);
    await other.run();
    context.mock.timers.tick(30 * HOUR);
    answers = () => jobOf("j", "completed");
    await other.run();
    assert.deepEqual([other.problem, other.sent], [null, 2]);
  }
});

test("a job that the API has forgotten has ended, nobody knows how, and the rest goes on", async () => {
  const ids = ["one", "two"];
  const asked = [];
  const sender = await senderOf((path, { method = "GET" }) => {
    asked.push(`${method} ${path.split("/").at(-1)}`);
    if (method === "POST") return jobOf(ids[asked.filter((one) => one.startsWith("POST")).length - 1], "processing");
    if (path.includes("one")) throw new Problem(404, "Not Found", "No job has this id", "request");
    return jobOf("two", "completed");
  });
  await sender.run();
  assert.deepEqual([sender.problem, sender.done, sender.jobs.map(({ unknown, job }) => [unknown, job.job_status])], [null, true, [[true, "unknown"], [false, "completed"]]]);
  assert.deepEqual(asked, ["POST jobs", "POST jobs", "GET one?wait=2", "GET two?wait=2"]);
  // Something in between knows nothing about jobs.
  const other = await senderOf((path, { method = "GET" }) => {
    if (method === "POST") return jobOf("one", "processing");
    throw new Problem(404, "Not Found", "No such page");
  });
  await other.run();
  assert.deepEqual([other.problem.status, other.done], [404, false]);
});

test("what may have been done is not asked for again by itself, unless twice is once", async (context) => {
  const had = [globalThis.location, globalThis.fetch];
  context.after(() => ([globalThis.location, globalThis.fetch] = had));
  context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  globalThis.location = { origin: "http://localhost" };
  const ask = async (path, options, ...answers) => {
    let asked = 0;
    globalThis.fetch = async () => answers[Math.min(asked++, answers.length - 1)]();
    const session = new Session({ header: "x", who: "x" }, { answered: () => {}, waiting: () => setImmediate(() => context.mock.timers.tick(60_000)), signedOut: () => {} });
    try {
      await session.request(`/api/sunshine${path}`, options);
      return [asked, "ok"];
    } catch (problem) {
      return [asked, problem.status, problem.unsure];
    }
  };
  const answer = (status, ours) => () => new Response(status === 200 ? "{}" : "busy", { status, headers: { "retry-after": "1", ...(ours ? { "x-request-id": "r" } : {}) } });
  const [done, foreign, own, limited] = [answer(200, true), answer(503, false), answer(503, true), answer(429, false)];
  const [remove, change, make, search, keyed] = [{ method: "DELETE" }, { method: "PATCH", body: "{}" }, { method: "POST", body: "{}" }, { method: "POST", body: "{}" }, { method: "POST", body: "{}", key: "k" }];
  for (const [path, options] of [["/objects/records/a", remove], ["/objects/records/a", change], ["/jobs/a/abort", make]]) {
    assert.deepEqual(await ask(path, options, foreign, done), [1, 503, true]);
    assert.deepEqual(await ask(path, options, own, limited, done), [3, "ok"]);
    assert.deepEqual(await ask(path, options, own), [6, 503, false]);
  }
  for (const [path, options] of [["/jobs/a", {}], ["/objects/query?per_page=50", search], ["/jobs", keyed]]) assert.deepEqual(await ask(path, options, foreign, done), [2, "ok"]);
  // An answer of the API says nothing about the request before it.
  assert.deepEqual(await ask("/jobs", keyed, foreign, answer(422, true)), [2, 422, true]);
  assert.deepEqual(await ask("/jobs", keyed, answer(422, true)), [1, 422, false]);
  assert.deepEqual(await ask("/jobs", { ...keyed, until: -1 }, foreign, done), [1, 0, true]);
});
