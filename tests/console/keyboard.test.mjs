// Every flow of the console by keyboard alone, on canned answers. What it needs is said in `console.test.mjs`.
//
// Once a page is open, keys are all that reaches it: the first test reads this file for anything else. The one exception is the file of a new job:
// a browser opens the file dialog of the operating system, which no driver of a browser can press keys in. The test goes to the control by Tab,
// and then gives it the file (`setInputFiles`), as that dialog would.
//
// At each stop of Tab the focus must be seen, and what has the focus must be in sight. After each action something must have the focus.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { start, stop, visit } from "./drive.mjs";
import { posted } from "./stub.mjs";

before(start);
after(stop);

const MOST = 200;
const sessions = new WeakMap();

const fitting = (wanted, name) => (wanted instanceof RegExp ? wanted.test(name) : wanted === name);

/** What has the focus: its name and role as the browser tells them to those who hear the page, and whether the focus can be seen. */
async function focused(page) {
  if (!sessions.has(page)) sessions.set(page, await page.context().newCDPSession(page));
  const session = sessions.get(page);
  const seen = await page.evaluate(() => {
    const element = document.activeElement;
    const { top, bottom, left, right, width, height } = element.getBoundingClientRect();
    const drawn = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 && !/, 0\)$|^transparent$/.test(style.outlineColor);
    const own = getComputedStyle(element);
    const around = ["::before", "::after"].map((part) => getComputedStyle(element, part)).filter(({ content }) => content !== "none");
    // A control that is laid unseen over what is shown for it: that has the outline.
    const shown = [element.nextElementSibling, element.parentElement].filter(Boolean).map((one) => getComputedStyle(one));
    const ringed = own.opacity === "0" ? shown.some(drawn) : drawn(own) || own.boxShadow !== "none" || around.some(drawn);
    return {
      tag: element.tagName, ringed, inDialog: Boolean(element.closest("dialog")),
      inSight: width > 0 && height > 0 && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
    };
  });
  const { result } = await session.send("Runtime.evaluate", { expression: "document.activeElement" });
  const { nodes: [node] } = await session.send("Accessibility.getPartialAXTree", { objectId: result.objectId, fetchRelatives: false });
  await session.send("Runtime.releaseObject", { objectId: result.objectId });
  return { ...seen, name: (node?.name?.value ?? "").replace(/\s+/g, " ").trim(), role: node?.role?.value ?? "" };
}

const said = ({ tag, name }) => `${tag.toLowerCase()} "${name}"`;

/** Presses Tab until what has this name (and role) has the focus. At each stop the focus must be seen. `back`: Shift and Tab. */
async function tabTo(page, name, { role = null, back = false, most = MOST } = {}) {
  const passed = [];
  for (let steps = 0; steps <= most; steps += 1) {
    const on = await focused(page);
    if (steps && !["BODY", "HTML"].includes(on.tag)) {
      assert.ok(on.ringed, `the focus is not seen on ${said(on)}`);
      assert.ok(on.inSight, `${said(on)} has the focus out of sight`);
    }
    if (on.tag !== "BODY" && fitting(name, on.name) && (!role || role === on.role)) return on;
    passed.push(said(on));
    if (steps < most) await page.keyboard.press(back ? "Shift+Tab" : "Tab");
  }
  return assert.fail(`${name} is not reached by ${most} times ${back ? "Shift and Tab" : "Tab"}. Passed: ${passed.join(", ")}`);
}

/** Once the page has come to rest, something in it has the focus. Answers what. */
async function held(page, after) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 30)))));
  const on = await focused(page);
  assert.ok(!["BODY", "HTML"].includes(on.tag), `the focus is lost after ${after}`);
  return on;
}

/** Waits for a text, after which something must have the focus. */
async function shows(page, text, timeout = 10_000) {
  await page.getByText(text).first().waitFor({ timeout });
  return held(page, `“${text}” was shown`);
}

/** Waits until what has this name has the focus. */
async function lands(page, name, { tag = null, timeout = 10_000 } = {}) {
  const until = Date.now() + timeout;
  for (;;) {
    const on = await focused(page);
    if (on.tag !== "BODY" && fitting(name, on.name) && (!tag || tag === on.tag)) return held(page, name);
    assert.ok(Date.now() < until, `the focus is on ${said(on)}, and not on ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A page of the console has opened, with the focus on its title. */
const opens = (page, title) => lands(page, title, { tag: "H1" });

async function press(page, key) {
  await page.keyboard.press(key);
  return held(page, key);
}

const enter = async (page, name, more) => {
  await tabTo(page, name, more);
  await page.keyboard.press("Enter");
};

async function write(page, text) {
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
}

async function signIn(page, token) {
  await lands(page, "Token");
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
}

/** To a part of the console, from wherever the focus is below the links. */
async function part(page, name, title = name) {
  await enter(page, name, { role: "link", back: true });
  await opens(page, title);
}

const asks = (page) => page.getByRole("dialog").waitFor();
const answered = (page) => page.getByRole("dialog").waitFor({ state: "detached" });

/** Within a question Tab leads to nothing behind it. */
async function staysInside(page) {
  for (let steps = 0; steps < 5; steps += 1) {
    await page.keyboard.press("Tab");
    const on = await focused(page);
    assert.ok(on.inDialog || on.tag === "BODY", `${said(on)} is behind the dialog`);
  }
}

test("nothing but keys reaches a page in this file", async () => {
  const text = await readFile(fileURLToPath(import.meta.url), "utf8");
  const others = text.match(/\.(?:click|dblclick|tap|fill|selectOption|selectText|check|uncheck|setChecked|focus|hover|dispatchEvent|dragTo|pressSequentially|goBack|reload|mouse|touchscreen)\b/g);
  assert.deepEqual(others, null);
  assert.ok(text.match(/(?<!keyboard)\.press\(/g) === null, "only page.keyboard presses keys");
  assert.equal(text.match(/\.setInputFiles\(/g).length, 1);
});

describe("by keyboard alone: signing in and out", () => {
  for (const size of ["desktop", "phone"]) {
    test(`refused, waited for, taken in, and out again, ${size}`, () => visit(async (page) => {
      await signIn(page, "wrong");
      await shows(page, "This token is not accepted");
      await lands(page, "Token");

      // The radio buttons by arrow.
      await tabTo(page, "Token", { role: "radio", back: true });
      assert.equal((await press(page, "ArrowRight")).name, "Email and password");
      await tabTo(page, "Email");
      await page.keyboard.type("agent@example.com");
      await tabTo(page, "Password");
      await page.keyboard.type("sunshine");
      await page.keyboard.press("Enter");
      await shows(page, "This email and password are not accepted.");
      await lands(page, "Password");
      await tabTo(page, "Email and password", { role: "radio", back: true });
      assert.equal((await press(page, "ArrowLeft")).name, "Token");

      // Busy for long: the button keeps the focus, and so does what there was before when the reader gives up.
      let busy = true;
      await page.route("**/api/sunshine/jobs?per_page=1", (route) => (busy ? route.fulfill({ status: 429, headers: { "retry-after": "60" }, json: {} }) : route.continue()));
      await tabTo(page, "Token", { role: "textbox" });
      await write(page, "big");
      await tabTo(page, /^Stay signed in while this tab is open/);
      await page.keyboard.press("Space");
      await enter(page, "Sign in", { role: "button" });
      await shows(page, "Asking again in");
      assert.equal((await focused(page)).name, "Signing in…");
      await enter(page, "Cancel");
      assert.equal((await held(page, "Cancel")).name, "Sign in");
      busy = false;
      await page.keyboard.press("Enter");
      await opens(page, "Jobs");
      assert.ok(await page.evaluate(() => sessionStorage.length), "the tick was set by Space");
      await shows(page, /\d+ jobs shown/);

      await enter(page, "Skip to the content", { back: true });
      assert.equal((await held(page, "skipping")).tag, "MAIN");
      await enter(page, "Sign out", { back: true });
      await lands(page, "Token");
      assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    }, { size, quiet: ["401", "429"] }));
  }
});

describe("by keyboard alone: jobs", () => {
  test("a filter, a job, its failures, and its results to the last", () => visit(async (page) => {
    await signIn(page, "big");
    await opens(page, "Jobs");
    await shows(page, "6 jobs shown");
    await tabTo(page, "State");
    await page.keyboard.type("Failed");
    await page.waitForURL(/#\/jobs\?status=failed$/);
    await shows(page, "1 job shown");
    assert.equal((await focused(page)).name, "State");
    // A field of a date has a stop for each of its parts, and their order and number are the browser's language's.
    await tabTo(page, "Created from");
    await page.keyboard.type("02022020");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.type("0304AM");
    await page.waitForURL(/created_after=2020-02-02T02%3A04%3A00Z/, { timeout: 5_000 });
    await shows(page, "1 job shown");
    await enter(page, "Clear filters");
    await page.waitForURL(/#\/jobs$/);
    await shows(page, "6 jobs shown");
    assert.equal((await focused(page)).name, "State");

    await enter(page, "Object records: update", { role: "link" });
    await opens(page, "Object records: update");
    await shows(page, "3,000 failed items, 4 reasons");

    // One reason, and back to all.
    await enter(page, /^Show the 1,000 items that failed so/);
    await shows(page, "1,000 items shown");
    assert.equal((await focused(page)).name, "Items");
    await enter(page, /show all items again$/);
    assert.match((await held(page, "the reason was taken away")).name, /^All 10,000$/);
    assert.match((await press(page, "ArrowRight")).name, /^Failed 3,000$/);
    await shows(page, "3,000 items shown");

    // The items are one stop, and the arrow keys move in it.
    await tabTo(page, "Details of item 3");
    assert.equal((await press(page, "ArrowDown")).name, "Details of item 5");
    await press(page, "PageDown");
    await press(page, "Home");
    const { name } = await press(page, "ArrowDown");
    assert.equal(name, "Details of item 5");
    await page.keyboard.press("Enter");
    await asks(page);
    await held(page, "the details opened");
    await staysInside(page);
    await page.keyboard.press("Escape");
    await answered(page);
    assert.equal((await held(page, "the details were closed by Escape")).name, name);

    // The last of all is not loaded yet: the focus goes there, and waits for it.
    await tabTo(page, /^Failed 3,000$/, { back: true });
    assert.match((await press(page, "ArrowLeft")).name, /^All 10,000$/);
    await tabTo(page, "Details of item 3");
    await press(page, "End");
    await lands(page, "Details of item 9,999", { timeout: 20_000 });
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Close");
    await answered(page);
    assert.equal((await held(page, "the details were closed")).name, "Details of item 9,999");

    await tabTo(page, "Failed items only", { back: true });
    await page.keyboard.press("Space");
    await tabTo(page, "Download NDJSON", { back: true });
    const [file] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
    assert.equal((await readFile(await file.path(), "utf8")).trim().split("\n").length, 3_000);
    await shows(page, "The file is ready.");
    assert.equal((await focused(page)).name, "Download NDJSON");

    await enter(page, "‹ All jobs", { back: true });
    await shows(page, "6 jobs shown");
    assert.equal((await focused(page)).name, "Object records: update");
  }));

  test("more of them, until there are no more", () => visit(async (page) => {
    await signIn(page, "many");
    await shows(page, "100 jobs shown");
    await tabTo(page, "Load more");
    for (const shown of ["400", "700"]) {
      await page.keyboard.press("Enter");
      await shows(page, `${shown} jobs shown`);
      assert.equal((await lands(page, "Load more")).name, "Load more");
    }
    await page.keyboard.press("Enter");
    await shows(page, "1,000 jobs shown");
    assert.equal((await focused(page)).role, "link", "the first of those that came");
    assert.equal(await page.evaluate(() => [...document.querySelectorAll(".job-link")].indexOf(document.activeElement)), 700);
  }));

  test("what still loads, could not be loaded, or is given up takes no focus with it", () => visit(async (page) => {
    let [release, broken, waits] = [null, true, true];
    await page.route(/\/jobs\/[^/]+\/results\?/, async (route) => {
      const url = route.request().url();
      const file = route.request().headers().accept === "application/x-ndjson";
      if (file || (waits && url.includes("success=false") && url.includes("cursor"))) await new Promise((resolve) => (release = resolve));
      if (!file && broken && url.includes("success=true")) return route.fulfill({ status: 500, headers: { "x-request-id": "r" }, json: { errors: [{ title: "Internal Server Error", detail: "Something is wrong here" }] } });
      return route.continue().catch(() => {});
    });
    await signIn(page, "big");
    await shows(page, "6 jobs shown");
    await enter(page, "Object records: update", { role: "link" });
    await opens(page, "Object records: update");
    await shows(page, "1,000 of 3,000 failed items loaded");
    await tabTo(page, /^Show the \d+ items that failed so/);
    waits = false;
    release();
    await shows(page, "3,000 failed items, 4 reasons");
    assert.equal((await focused(page)).name, "Show the 1,000 items that failed so");

    await tabTo(page, /^All /, { role: "radio" });
    await press(page, "ArrowRight");
    await press(page, "ArrowRight");
    await shows(page, "Items could not be loaded");
    await tabTo(page, "Try again");
    broken = false;
    await page.keyboard.press("Enter");
    assert.equal((await held(page, "trying again")).name, "Items");
    await tabTo(page, "Details of item 0");

    await enter(page, "Download NDJSON", { back: true });
    await enter(page, "Cancel");
    await shows(page, "The download was cancelled.");
    assert.equal((await focused(page)).name, "Download NDJSON");
    release();
  }, { quiet: ["500"] }));

  test("one is stopped, after the question", () => visit(async (page) => {
    await signIn(page, "running");
    await shows(page, "8 jobs shown");
    await enter(page, "Object records: update", { role: "link" });
    await opens(page, "Object records: update");
    await tabTo(page, "Show results so far");
    await page.keyboard.press("Enter");
    await shows(page, "while the job goes on");
    assert.equal((await focused(page)).name, "Show results so far");
    await enter(page, "Abort…", { back: true });
    await asks(page);
    assert.equal((await held(page, "the question")).name, "Let it run");
    await staysInside(page);
    await page.keyboard.press("Escape");
    await answered(page);
    assert.equal((await held(page, "Escape")).name, "Abort…");
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Let it run");
    await answered(page);
    assert.equal((await held(page, "Let it run")).name, "Abort…");
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Abort the job");
    await answered(page);
    assert.equal((await held(page, "the job was stopped")).tag, "H1");
    await shows(page, "Why it ended: Aborted");
    await shows(page, "100 failed items, 1 reason");
  }));

  test("one that ends by itself takes no focus with it", () => visit(async (page) => {
    let ended = false;
    await page.route("**/jobs/01a22762-80d7-7f5e-9d5c-000000000001", async (route) => {
      if (!ended) return route.continue();
      const answer = await route.fetch();
      const { data } = await answer.json();
      return route.fulfill({ response: answer, json: { data: { ...data, job_status: "completed", completed_at: data.updated_at } } });
    });
    await signIn(page, "running");
    await shows(page, "8 jobs shown");
    await enter(page, "Object records: update", { role: "link" });
    await opens(page, "Object records: update");
    await tabTo(page, "Abort…");
    ended = true;
    await shows(page, "Every item was tried.");
    assert.equal((await focused(page)).tag, "H1");
  }));
});

/** A type and records that can be changed. */
async function desk(page) {
  const at = { created_at: "2026-01-01T00:00:00Z", updated_at: "2026-01-01T00:00:00Z" };
  const type = { key: "product", version: 3, ...at, schema: { properties: { name: { type: "string" }, price: { type: "number" }, stock: { type: "integer" } }, required: ["name"], additionalProperties: false } };
  const id = (number) => `01a22762-80d7-7f5e-9d5c-${String(number).padStart(12, "0")}`;
  const records = Array.from({ length: 120 }, (_, number) => ({ type: "product", id: id(number), external_id: `A-${number}`, attributes: { name: `Dial ${number}`, price: number }, type_version: 3, ...at }));
  const refuse = (route, ...details) => route.fulfill({ status: 422, headers: { "x-request-id": id(7) }, json: { errors: details.map((detail) => ({ code: "UnprocessableEntity", title: "Unprocessable Entity", status: "422", detail })) } });
  await page.route(/\/objects\/types\?/, (route) => route.fulfill({ json: { data: [type], links: { next: null, previous: null } } }));
  await page.route("**/objects/types/product", (route) => {
    if (route.request().method() === "PUT") {
      const { schema } = route.request().postDataJSON().data;
      if (JSON.stringify(schema).includes("whole")) return refuse(route, `properties.stock.type "whole" is no type`, "properties.stock breaks the rule");
      Object.assign(type, { schema: { ...schema, additionalProperties: false }, version: type.version + 1 });
    }
    return route.fulfill({ json: { data: type } });
  });
  await page.route("**/relationships/types?*", (route) => route.fulfill({ json: { data: [{ key: "beside", source: ["product"], target: ["product"], ...at }], links: { next: null, previous: null } } }));
  await page.route("**/objects/query?*", (route) => {
    const { query } = route.request().postDataJSON();
    const found = records.filter(({ attributes }) => (query.price?.$gt === undefined ? true : attributes.price > query.price.$gt));
    const from = Number(new URL(route.request().url()).searchParams.get("cursor") ?? 0);
    const next = from + 50 < found.length ? `/api/sunshine/objects/query?per_page=50&cursor=${from + 50}` : null;
    return route.fulfill({ json: { data: found.slice(from, from + 50), links: { next, previous: null } } });
  });
  await page.route(/\/objects\/records\/[^/]+$/, (route) => {
    const place = records.findIndex((one) => route.request().url().endsWith(one.id));
    const method = route.request().method();
    if (method === "PATCH") {
      const changes = route.request().postDataJSON().data.attributes;
      if (changes.price === "cheap") return refuse(route, `attributes.price breaks the rule "type": "cheap" is not of type "number"`);
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) delete records[place].attributes[name];
        else records[place].attributes[name] = value;
      }
    }
    if (method !== "DELETE") return route.fulfill({ json: { data: records[place] } });
    records.splice(place, 1);
    return route.fulfill({ status: 204 });
  });
  await page.route(/\/objects\/records\/[^/]+\/(?:relationships|related)\/beside\?/, (route) => {
    const links = [{ id: id(500), relationship_type: "beside", source: id(50), target: id(51), created_at: at.created_at }];
    return route.fulfill({ json: { data: route.request().url().includes("/related/") ? [records[51]] : links, links: { next: null, previous: null } } });
  });
  return { type, records };
}

describe("by keyboard alone: types and records", () => {
  test("a type is opened, its schema edited, refused and saved", () => visit(async (page) => {
    const { type } = await desk(page);
    await signIn(page, "sender");
    await opens(page, "Jobs");
    await part(page, "Types");
    await shows(page, "1 object type");
    await enter(page, "product", { role: "link" });
    await opens(page, "product");
    await shows(page, "3 attributes, version 3");
    // What scrolls within itself is a stop of its own.
    await tabTo(page, "Attributes", { role: "region" });
    await tabTo(page, "The schema as JSON");
    await enter(page, "Edit the schema", { back: true });
    assert.equal((await held(page, "Edit the schema")).name, "Schema");
    await write(page, '{"properties": {"name": }}');
    await enter(page, "Save");
    await shows(page, /^Line 1, column \d+/);
    assert.equal((await focused(page)).name, "Schema");
    const schema = (stock) => `{"properties": {"name": {"type": "string"}, "stock": {"type": "${stock}"}}, "required": ["name"]}`;
    await write(page, schema("whole"));
    await enter(page, "Save");
    await shows(page, "It was not saved.");
    await shows(page, `properties.stock.type "whole" is no type`);
    assert.equal((await focused(page)).name, "Save");
    await tabTo(page, "Schema", { back: true });
    await write(page, schema("integer"));
    await enter(page, "Save");
    await shows(page, "2 attributes, version 4");
    await lands(page, "Edit the schema");
    assert.deepEqual(Object.keys(type.schema.properties), ["name", "stock"]);
    await page.keyboard.press("Enter");
    await lands(page, "Schema");
    await enter(page, "Cancel");
    assert.equal((await held(page, "Cancel")).name, "Edit the schema");
    await enter(page, "Browse its records", { back: true });
    await opens(page, "Records");
  }, { quiet: ["422"] }));

  test("records are found, more are loaded, one is edited and deleted", () => visit(async (page) => {
    const { records } = await desk(page);
    await signIn(page, "sender");
    await opens(page, "Jobs");
    await part(page, "Records");
    await shows(page, "50 records shown, there may be more.");
    await tabTo(page, "Type");
    await page.keyboard.type("product");
    await tabTo(page, "Find by");
    for (let steps = 0; steps < 3; steps += 1) await press(page, "ArrowDown");
    await enter(page, "Search");
    await shows(page, "Say which attribute.");
    await tabTo(page, "Attribute", { back: true });
    await page.keyboard.type("price");
    await tabTo(page, "Comparison");
    await page.keyboard.type("is greater");
    await tabTo(page, "Value");
    await page.keyboard.type("49");
    await page.keyboard.press("Enter");
    await page.waitForURL(/by=attribute&attribute=price&is=%24gt&value=49$/);
    await shows(page, "50 records shown, there may be more.");
    assert.equal((await focused(page)).name, "Value");

    await tabTo(page, "A-50", { role: "link" });
    await enter(page, "Load more");
    await shows(page, "70 records shown.");
    assert.equal((await lands(page, "A-100")).role, "link");
    await enter(page, "A-50", { role: "link", back: true });
    await opens(page, "A-50");
    await enter(page, "‹ Records", { back: true });
    await shows(page, "70 records shown.");
    assert.equal((await focused(page)).name, "A-50");
    await page.keyboard.press("Enter");
    await opens(page, "A-50");

    await enter(page, /^beside/);
    await shows(page, "1 thing at the other end:");
    await enter(page, "Edit the attributes", { back: true });
    assert.equal((await held(page, "Edit the attributes")).name, "Attributes");
    await write(page, '{"name": "Dial 50", "price": "cheap"}');
    await enter(page, "Save");
    await shows(page, "attributes.price breaks the rule");
    assert.equal((await focused(page)).name, "Save");
    await tabTo(page, "Attributes", { role: "textbox", back: true });
    await write(page, '{"name": "Dial of fifty", "price": 50}');
    await enter(page, "Save");
    await shows(page, "Dial of fifty");
    await lands(page, "Edit the attributes");
    assert.deepEqual(records[50].attributes, { name: "Dial of fifty", price: 50 });

    await enter(page, "Delete…");
    await asks(page);
    assert.equal((await held(page, "the question")).name, "Keep it");
    await staysInside(page);
    await page.keyboard.press("Escape");
    await answered(page);
    assert.equal((await held(page, "Escape")).name, "Delete…");
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Keep it");
    await answered(page);
    assert.equal((await held(page, "Keep it")).name, "Delete…");
    assert.equal(records.length, 120);
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Delete the record");
    await page.waitForURL(/#\/records\?type=product$/);
    await opens(page, "Records");
    assert.equal(records.length, 119);
  }, { quiet: ["422"] }));

  test("a record is deleted although Escape was pressed meanwhile, and the page says so", () => visit(async (page) => {
    await desk(page);
    let release;
    await page.route(/\/objects\/records\/[^/]+$/, async (route) => {
      if (route.request().method() === "DELETE") await new Promise((resolve) => (release = resolve));
      await route.fallback();
    });
    await signIn(page, "sender");
    await opens(page, "A-2");
    await enter(page, "Delete…");
    await asks(page);
    await enter(page, "Delete the record");
    while (!release) await page.waitForTimeout(20);
    await page.keyboard.press("Escape");
    await answered(page);
    assert.equal((await held(page, "Escape")).name, "Delete…");
    release();
    await page.waitForURL(/#\/records\?type=product$/);
    await opens(page, "Records");
  }, { hash: "#/records/01a22762-80d7-7f5e-9d5c-000000000002" }));

  test("a search that looks further and finds nothing keeps the focus", () => visit(async (page) => {
    await page.route("**/objects/query?*", (route) => route.fulfill({ json: { data: [], links: { previous: null, next: route.request().url().includes("cursor") ? null : "/api/sunshine/objects/query?per_page=50&cursor=1" } } }));
    await signIn(page, "sender");
    await shows(page, "None found yet");
    await enter(page, "Look further");
    await shows(page, "No records yet");
    assert.equal((await focused(page)).tag, "H1");
  }, { hash: "#/records" }));
});

describe("by keyboard alone: a new job", () => {
  const table = "external_id,name,price,amount\nA-1,One,1,5\nA-2,Two,cheap,6\nA-3,Three,3,7\n";
  /** The file dialog is the operating system's: its answer is given in its place. */
  const give = async (page, name, text) => {
    await tabTo(page, "Choose a file or drop it here");
    await page.locator("input[type=file]").setInputFiles({ name, mimeType: "text/csv", buffer: Buffer.from(text) });
  };

  for (const size of ["desktop", "phone"]) {
    test(`from a file to its results, ${size}`, () => visit(async (page) => {
      await signIn(page, "sender");
      await opens(page, "Jobs");
      await part(page, "New job", "New job from a file");
      await give(page, "stock.csv", table);
      await shows(page, "stock.csv: 3 rows, 4 columns. A table.");
      await shows(page, "1 mistake in 1 row of 3.");

      // Read again in another way, and back.
      await tabTo(page, "Between cells");
      await page.keyboard.press("ArrowDown");
      await shows(page, "stock.csv: 3 rows, 1 column.");
      await lands(page, "Between cells");
      await page.keyboard.press("ArrowUp");
      await shows(page, "stock.csv: 3 rows, 4 columns.");
      await lands(page, "Between cells");
      await tabTo(page, "The first row has the names of the columns");
      await page.keyboard.press("Space");
      await shows(page, "stock.csv: 4 rows, 4 columns.");
      await lands(page, "The first row has the names of the columns");
      await page.keyboard.press("Space");
      await shows(page, "stock.csv: 3 rows, 4 columns.");
      await lands(page, "The first row has the names of the columns");

      await tabTo(page, "Type of the records");
      await page.keyboard.type("product");
      await tabTo(page, "Action");
      // One mapping, once wrongly and once rightly.
      await tabTo(page, "amount");
      await page.keyboard.type("name");
      await shows(page, "Two columns become name.");
      assert.equal((await focused(page)).name, "amount");
      await press(page, "Home");
      for (let steps = 0; steps < 4; steps += 1) await press(page, "ArrowDown");
      await shows(page, "1 mistake in 1 row of 3.");
      assert.equal((await focused(page)).name, "amount");
      await tabTo(page, /^Mistakes/);
      await tabTo(page, "Leave out the 1 row with mistakes, and send the other 2");
      await page.keyboard.press("Space");
      await held(page, "the tick");

      await enter(page, "Try it without writing");
      await shows(page, "2 items of 2 would fail, 0 would succeed. Nothing was written.", 20_000);
      assert.equal((await lands(page, "Try it without writing")).role, "button");
      await tabTo(page, /^Send it even when the same was sent today/);
      await enter(page, "Send 2 items");
      await held(page, "Send");
      // Busy once: the button that has the focus goes when all is done.
      await tabTo(page, "Pause");
      await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 20_000 });
      assert.equal((await held(page, "the end")).name, "Done");
      await shows(page, "1 of 1 job sent, 2 of 2 items done, 0 failed.");
      assert.deepEqual(posted().at(-1).items, [{ type: "product", external_id: "A-1", attributes: { name: "One", price: 1, stock: 5 }, client_ref: "row 2" },
        { type: "product", external_id: "A-3", attributes: { name: "Three", price: 3, stock: 7 }, client_ref: "row 4" }]);
      await enter(page, "Job 1");
      await opens(page, "Object records: set by external id");
      await shows(page, "Every item was written.");
      await part(page, "New job", "New job from a file");
      await enter(page, "Begin with another file");
      await opens(page, "New job from a file");
      await tabTo(page, "Choose a file or drop it here");
    }, { size, quiet: ["503"] }));
  }

  test("that was interrupted goes on, and another begins after the question", () => visit(async (page) => {
    let broken = true;
    await page.route("**/api/sunshine/jobs", (route) => (broken && route.request().method() === "POST" ? route.abort("connectionreset") : route.continue()));
    await page.route("**/jobs/*?wait=*", async (route) => {
      const answer = await route.fetch();
      const { data } = await answer.json();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await route.fulfill({ response: answer, json: { data: { ...data, job_status: "processing" } } }).catch(() => {});
    });
    await signIn(page, "sender");
    await opens(page, "New job from a file");
    await give(page, "some.csv", "external_id,name\nA-1,One\nA-2,Two\n");
    await shows(page, "All 2 rows can be sent.");
    await enter(page, "Send 2 items");
    await shows(page, "Going on sends the rest, and nothing twice.");
    await tabTo(page, "Go on");
    broken = false;
    await page.keyboard.press("Enter");
    await shows(page, "Sent: the jobs are running");
    assert.equal((await lands(page, "Pause")).role, "button");
    await page.keyboard.press("Enter");
    await lands(page, "Go on");
    await enter(page, "Begin with another file", { back: true });
    await asks(page);
    assert.equal((await held(page, "the question")).name, "Stay");
    await staysInside(page);
    await page.keyboard.press("Escape");
    await answered(page);
    assert.equal((await held(page, "Escape")).name, "Begin with another file");
    await page.keyboard.press("Enter");
    await asks(page);
    await enter(page, "Begin anew");
    await opens(page, "New job from a file");
  }, { hash: "#/new", quiet: ["ERR_CONNECTION_RESET", "503"] }));
});

describe("by keyboard alone: operators, and what went wrong", () => {
  test("what waits, runs and is left", () => visit(async (page) => {
    await signIn(page, "admin");
    await opens(page, "Jobs");
    await part(page, "Operators");
    await shows(page, "655 left");
    await enter(page, "Refresh");
    assert.equal((await held(page, "Refresh")).name, "Refresh");
    await tabTo(page, /jobs processing$/);
    await enter(page, /jobs queued$/, { back: true });
    await page.waitForURL(/#\/jobs\?status=queued$/);
    await opens(page, "Jobs");
    await shows(page, "1 job shown");
  }));

  test("what could not be loaded is tried again", () => visit(async (page) => {
    let broken = true;
    await page.route("**/api/sunshine/**", (route) => {
      // Signing in asks for one job.
      if (!broken || route.request().url().endsWith("/jobs?per_page=1")) return route.continue();
      return route.fulfill({ status: 500, headers: { "x-request-id": "r" }, json: { errors: [{ title: "Internal Server Error", detail: "Something is wrong here" }] } });
    });
    const again = async (words) => {
      await shows(page, "Something is wrong here");
      await tabTo(page, "Try again");
      broken = false;
      await page.keyboard.press("Enter");
      await held(page, "trying again");
      await shows(page, words);
      broken = true;
    };
    await signIn(page, "admin");
    await opens(page, "Jobs");
    await again("11 jobs shown");
    for (const [name, words] of [["Types", "1 object type"], ["Records", "No records yet"], ["Operators", "655 left"]]) {
      await part(page, name);
      await again(words);
    }
  }, { quiet: ["500"] }));
});
