// What needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

const module = (name) => import(new URL(`../../functions/status/console/js/${name}.js`, import.meta.url));
const { merge } = await module("pages");
const { group, reason } = await module("failures");
const { nextOf } = await module("api");
const { age, span } = await module("format");
const { Pace } = await module("poll");
const { parse, patch, stringify } = await module("json");
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

test("kinds and delimiters are guessed", () => {
  assert.deepEqual([["a.csv", "[1]"], ["a.txt", " [1]"], ["a", "{}"], ["a", "x,y"], ["a.jsonl", ""]].map(([name, head]) => guessKind(name, head)), ["csv", "json", "ndjson", "csv", "ndjson"]);
  assert.deepEqual(["a,b\n1,2\n", 'a;b\n"1,5";"2,5"\n', "a\tb,c\n1\t2\n", "a|b\n1|2\n", "one\ntwo\n"].map(guessDelimiter), [",", ";", "\t", "|", ","]);
});

test("a cell becomes what its attribute wants, or says why not", () => {
  const as = (cell, type, decimal) => stringify(convert(cell, { type }, decimal));
  assert.deepEqual([as("007", "integer"), as(" -5 ", "integer"), as("5.0", "integer"), as("9223372036854775807", "integer"), as("1e3", "integer"), as(".5", "number"), as("+1.50", "number"), as("1,5", "number", ","), as("12345678901234567890", "number"),
    as("YES", "boolean"), as("0", "boolean"), as("[1, 2]", "array"), as('{"a": 1}', "object"), as("5", "string"), as("5", ["string", "number"]), as("5", ["null", "number"]), as(5, "integer"), as(true, "boolean")],
  ["7", "-5", "5", "9223372036854775807", "1000", "0.5", "1.5", "1.5", "12345678901234567890", "true", "false", "[1,2]", '{"a":1}', '"5"', '"5"', "5", "5", "true"]);
  for (const [cell, type, decimal] of [["1.5", "integer"], ["cheap", "number"], ["1,5", "number"], ["1.000,5", "number", ","], ["", "number"], [".", "number"], ["e5", "number"], ["1e999", "number"], ["99999999999999999999", "integer"], ["maybe", "boolean"], ["[1", "array"], ["a", "object"], [5, "string"], [1.5, "integer"], [{}, "array"]]) {
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
