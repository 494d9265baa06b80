// What needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

const module = (name) => import(new URL(`../../functions/status/console/js/${name}.js`, import.meta.url));
const { merge } = await module("pages");
const { group, reason } = await module("failures");
const { nextOf } = await module("api");
const { age, span } = await module("format");
const { Pace } = await module("poll");

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
