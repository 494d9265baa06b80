// Types, records, new jobs and the operators' page in a browser, as a person uses them. What it needs is said in `console.test.mjs`.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { SERVICE, SIZES, TOKEN, accessible, call, cost, fits, picture, seen, signIn, start, stop, tabTo, visit } from "./drive.mjs";
import { HOSTILE, changes, posted } from "./stub.mjs";

before(start);
after(stop);

const heading = (page, name) => page.getByRole("heading", { level: 1, name });
const file = (page, name, text) => page.getByLabel("Choose a file or drop it here").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.isBuffer(text) ? text : Buffer.from(text) });
const enter = async (page, wanted) => {
  await tabTo(page, wanted);
  await page.keyboard.press("Enter");
};

async function look(page, what) {
  await fits(page);
  await accessible(page, what);
}

describe("types and records of a real service", { skip: SERVICE ? false : "SUNDIAL_URL is not set" }, () => {
  for (const size of Object.keys(SIZES)) {
    test(`by keyboard, ${size}`, () => visit(async (page) => {
      const key = `shelf_${size}`;
      await call("/objects/types", { data: { key, schema: { properties: { title: { type: "string", minLength: 2 }, price: { type: "number", minimum: 0 }, stock: { type: "integer" }, active: { type: "boolean" }, tags: { type: "array", items: { type: "string" } } }, required: ["title"] } } });
      await call("/relationships/types", { data: { key: `beside_${size}`, source: [key], target: [key] } });
      for (let number = 0; number < 9; number += 1) {
        await call("/objects/records", { data: { type: key, external_id: `book ${number}`, attributes: { title: `Book of ${number + 1} sundials`, price: number * 7.25, stock: number === 8 ? 9007199254740 : number * 31, active: number % 2 === 0, tags: ["paper", "new"] } } });
      }
      const { data: all } = await call(`/objects/records?type=${key}&order=asc`);
      await call("/relationships/records", { data: { relationship_type: `beside_${size}`, source: all[0].id, target: all[1].id } });
      // More than a script's numbers hold.
      await fetch(`${SERVICE}/api/sunshine/objects/records/${all[2].id}`, { method: "PATCH", headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" }, body: `{"data":{"attributes":{"stock":9007199254740993}}}` });

      await signIn(page, TOKEN);
      await heading(page, "Jobs").waitFor();
      await enter(page, page.getByRole("link", { name: "Types", exact: true }));
      await page.getByRole("link", { name: key, exact: true }).waitFor();
      await page.locator(".measure").first().waitFor();
      await look(page, `types, ${size}`);
      await picture(page, `types-${size}`);
      await enter(page, page.getByRole("link", { name: key, exact: true }));
      await page.getByText("5 attributes, version 1").waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
      assert.match(await page.getByRole("row", { name: /^title/ }).innerText(), /string\s+minLength: 2\s+yes/);
      await look(page, `a type, ${size}`);
      await picture(page, `type-${size}`);

      await enter(page, page.getByRole("button", { name: "Edit the schema" }));
      const area = page.getByLabel("Schema", { exact: true });
      assert.ok(await area.evaluate((element) => element === document.activeElement));
      const text = await area.inputValue();
      await area.fill(text.replace('"price"', '"price'));
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByText(/^Line \d+, column \d+/).waitFor();
      await area.fill(text.replace('"integer"', '"whole"'));
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByText("It was not saved.").waitFor();
      await look(page, `a schema that is refused, ${size}`);
      await area.fill(text.replace('"integer"', '"integer", "maximum": 9223372036854775807'));
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByText("5 attributes, version 2").waitFor();
      assert.match(await page.locator("pre.json").innerText(), /9223372036854775807/);
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Edit the schema");
      // Somebody else was faster.
      await page.keyboard.press("Enter");
      await call(`/objects/types/${key}`, { data: { schema: JSON.parse(text) } }, "PUT");
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByText("it is version 3 now").waitFor();

      await page.getByRole("link", { name: "Records", exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.getByText(/records? shown/).first().waitFor();
      await page.getByLabel("Type", { exact: true }).focus();
      await page.keyboard.type(key);
      await page.getByLabel("Find by").focus();
      await page.keyboard.type("An att");
      await tabTo(page, page.getByLabel("Attribute", { exact: true }));
      await page.keyboard.type("price");
      await tabTo(page, page.getByLabel("Comparison"));
      await page.keyboard.type("is greater");
      await tabTo(page, page.getByLabel("Value", { exact: true }));
      await page.keyboard.type("20");
      await page.keyboard.press("Enter");
      await page.getByText("6 records shown.").first().waitFor();
      await page.waitForURL(/#\/records\?type=shelf_\w+&by=attribute&attribute=price&is=%24gt&value=20$/);
      await look(page, `records, ${size}`);
      if (size === "phone") await page.locator("main > .view > .status-line").evaluate((element) => element.scrollIntoView());
      await picture(page, `records-${size}`);
      await page.getByLabel("Find by").selectOption("query");
      await page.getByLabel("Query", { exact: true }).fill('{"$or": [{"stock": {"$gt": 9007199254740992}}, {"title": {"$contains": "OF 1 "}}]}');
      await enter(page, page.getByRole("button", { name: "Search" }));
      await page.getByText("2 records shown.").first().waitFor();
      await page.getByLabel("Query", { exact: true }).fill('{"stock": {"$over": 1}}');
      await enter(page, page.getByRole("button", { name: "Search" }));
      await page.getByText("is not an operator").waitFor();
      await look(page, `a search that is refused, ${size}`);
      await page.goBack();
      await page.getByText("2 records shown.").first().waitFor();
      await page.goBack();
      await page.getByText("6 records shown.").first().waitFor();
      await page.goto(`${page.url().split("#")[0]}#/records?type=${key}&by=external_id&value=BOOK+2`);
      await page.getByText("1 record shown.").first().waitFor();

      await enter(page, page.getByRole("link", { name: "book 2" }));
      await page.getByRole("heading", { name: "Relationships" }).waitFor();
      await page.getByRole("button", { name: "Edit the attributes" }).waitFor();
      assert.match(await page.locator("pre.json").innerText(), /9007199254740993/);
      await enter(page, page.getByRole("button", { name: "Edit the attributes" }));
      const attributes = page.getByLabel("Attributes", { exact: true }).and(page.locator("textarea"));
      const before = await attributes.inputValue();
      await attributes.fill(before.replace("Book of 3 sundials", "B").replace('"price"', '"colour"'));
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByText("attributes.colour breaks the rule").waitFor();
      assert.ok((await page.locator(".item-error li").count()) >= 2, "every broken rule is named");
      await look(page, `a record that is refused, ${size}`);
      // Another changes what is not touched here, meanwhile: it stays.
      await call(`/objects/records/${all[2].id}`, { data: { attributes: { active: false } } }, "PATCH");
      await attributes.fill(before.replace("Book of 3 sundials", "Book of three").replace(/"price": [\d.]+,/, ""));
      await enter(page, page.getByRole("button", { name: "Save" }));
      await page.getByRole("cell", { name: "Book of three" }).waitFor();
      const kept = await (await fetch(`${SERVICE}/api/sunshine/objects/records/${all[2].id}`, { headers: { authorization: `Bearer ${TOKEN}` } })).text();
      assert.match(kept, /"stock":9007199254740993/);
      assert.match(kept, /"active":false/);
      assert.ok(!kept.includes("price"));

      // What relationships use stays; what none does is deleted.
      await page.goto(`${page.url().split("#")[0]}#/records/${all[0].id}`);
      await page.getByText(`beside_${size}`).waitFor();
      await enter(page, page.locator("summary"));
      await page.getByText("1 thing at the other end:").waitFor();
      await look(page, `a record, ${size}`);
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, `record-${size}`);
      await page.getByRole("button", { name: "Delete…" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await accessible(page, `before a record is deleted, ${size}`);
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Keep it");
      await enter(page, page.getByRole("button", { name: "Delete the record" }));
      await page.locator(".complaint", { hasText: /relationship/ }).waitFor();
      await page.keyboard.press("Escape");
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Delete…");
      await enter(page, page.getByRole("link", { name: /book 1/ }));
      await heading(page, "book 1").waitFor();
      await page.goto(`${page.url().split("#")[0]}#/records/${all[8].id}`);
      await heading(page, "book 8").waitFor();
      await page.getByRole("button", { name: "Delete…" }).click();
      await enter(page, page.getByRole("button", { name: "Delete the record" }));
      await page.getByText("8 records shown.").first().waitFor();
      await page.goto(`${page.url().split("#")[0]}#/records/${all[8].id}`);
      await page.getByText("There is no record of this id.").waitFor();
      await look(page, `no such record, ${size}`);
    }, { size, real: true, quiet: ["422", "400", "404"] }));
  }
});

describe("types and records", () => {
  const at = { created_at: "2026-01-01T00:00:00Z", updated_at: "2026-01-01T00:00:00Z" };
  const record = { type: "product", id: "01a22762-80d7-7f5e-9d5c-000000000001", external_id: "A-1", attributes: { name: "One" }, type_version: 1, ...at };

  test("a list is kept for the way back from a record, and asked for anew otherwise", () => visit(async (page) => {
    await signIn(page, "sender");
    await page.getByText("No records yet").waitFor();
    let asked = 0;
    await page.route("**/objects/query?*", (route) => {
      asked += 1;
      return route.fulfill({ json: { data: [record], links: { next: null, previous: null } } });
    });
    await page.route("**/objects/records/*", (route) => route.fulfill({ json: { data: record } }));
    const listed = page.getByRole("link", { name: "A-1" });
    const link = (name) => page.getByRole("navigation").getByRole("link", { name, exact: true });
    await link("Types").click();
    await heading(page, "Types").waitFor();
    await link("Records").click();
    await listed.waitFor({ timeout: 5_000 });
    assert.equal(asked, 1);
    const open = async () => {
      await listed.click();
      await heading(page, "A-1").waitFor();
    };
    await open();
    await page.goBack();
    await listed.waitFor();
    assert.equal(asked, 1);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "A-1");
    // It was used, and is forgotten, also when a record was looked at in between.
    await link("Types").click();
    await heading(page, "Types").waitFor();
    await link("Records").click();
    await listed.waitFor();
    assert.equal(asked, 2);
    await open();
    await link("Types").click();
    await heading(page, "Types").waitFor();
    await link("Records").click();
    await listed.waitFor();
    assert.equal(asked, 3);
  }, { hash: "#/records" }));

  test("a record whose deletion was not answered is deleted once it is gone", () => visit(async (page) => {
    let deletions = 0;
    await page.route("**/objects/records/*", (route) => {
      if (route.request().method() === "GET") return route.fulfill({ json: { data: record } });
      deletions += 1;
      return deletions === 1 ? route.fulfill({ status: 503, headers: { "retry-after": "1" }, body: "" })
        : route.fulfill({ status: 404, headers: { "x-request-id": "r" }, json: { errors: [{ title: "Not Found", detail: "No record has this id" }] } });
    });
    await signIn(page, "sender");
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete the record" }).click();
    await page.getByText("It may have been deleted all the same").waitFor({ timeout: 5_000 });
    assert.equal(deletions, 1, "what may have been done is not asked for again by itself");
    await page.getByRole("button", { name: "Delete the record" }).click();
    await page.waitForURL(/#\/records\?type=product$/);
    assert.equal(deletions, 2);
  }, { hash: `#/records/${record.id}`, quiet: ["503", "404"] }));

  test("a schema whose saving was not answered is one's own, and who was faster is told apart", () => visit(async (page) => {
    const there = { key: "product", schema: { properties: { name: { type: "string" } }, additionalProperties: false }, version: 3, ...at };
    let [saved, lost, others] = [0, true, 0];
    await page.route("**/objects/types/product", async (route) => {
      if (route.request().method() === "PUT") {
        saved += 1;
        const { schema } = route.request().postDataJSON().data;
        // As the API does, with its member at the end.
        delete schema.additionalProperties;
        Object.assign(there, { schema: { ...schema, additionalProperties: false }, version: there.version + 1 + others });
        if (lost) return route.abort("connectionreset");
      }
      await route.fulfill({ json: { data: there } });
    });
    const area = page.getByLabel("Schema", { exact: true });
    const edit = async (description) => area.fill(JSON.stringify({ additionalProperties: false, properties: { name: { description, type: "string" } } }));
    const save = () => page.getByRole("button", { name: "Save" }).click();
    await signIn(page, "sender");
    await page.getByRole("button", { name: "Edit the schema" }).click();
    await edit("one");
    await save();
    await page.getByText("It may have been written all the same").waitFor();
    await save();
    await page.getByText("1 attribute, version 4").waitFor({ timeout: 5_000 });
    assert.equal(saved, 1);
    // Changed further after the answer was lost.
    await page.getByRole("button", { name: "Edit the schema" }).click();
    await edit("two");
    await save();
    await page.getByText("It may have been written all the same").waitFor();
    lost = false;
    await edit("three");
    await save();
    await page.getByText("1 attribute, version 6").waitFor({ timeout: 5_000 });
    assert.equal(await page.locator(".warned").count(), 0);
    // Somebody between the look and the saving.
    others = 1;
    await page.getByRole("button", { name: "Edit the schema" }).click();
    await edit("four");
    await save();
    await page.getByText("Somebody else saved this schema at the same moment, and this one has replaced theirs: it is version 8, where 7 was to be expected.").waitFor({ timeout: 5_000 });
    await look(page, "a schema that replaced another");
    await page.getByRole("button", { name: "Edit the schema" }).click();
    assert.equal(await page.locator(".warned").count(), 0);
    // Of the same version, and yet another.
    there.created_at = "2026-02-01T00:00:00Z";
    await edit("five");
    await save();
    await page.getByText("Somebody has deleted this type meanwhile, and made another of the same key.").waitFor({ timeout: 5_000 });
    assert.equal(saved, 4);
  }, { hash: "#/types/product", quiet: ["ERR_CONNECTION_RESET"] }));
});

describe("a new job on a real service", { skip: SERVICE ? false : "SUNDIAL_URL is not set" }, () => {
  for (const size of Object.keys(SIZES)) {
    test(`from a file to its results, ${size}`, () => visit(async (page) => {
      const key = `stock_${size}`;
      await call("/objects/types", { data: { key, schema: { properties: { name: { type: "string", maxLength: 20 }, "unit price": { type: "number" }, stock: { type: "integer" }, active: { type: "boolean" } }, required: ["name"] } } });
      const row = (number) => `A-${number};"Dial; ""${number}""";${number === 7 ? "cheap" : `${number},5`};${number === 9 ? "" : number};${number % 2 ? "yes" : "no"};x`;
      const table = `\uFEFFExternal ID;Name;Unit_Price;Stock;ACTIVE;Remark\r\n${Array.from({ length: 60 }, (_, number) => row(number)).join("\r\n")}\r\n`;
      await signIn(page, TOKEN);
      await heading(page, "Jobs").waitFor();
      await enter(page, page.getByRole("link", { name: "New job" }));
      await heading(page, "New job from a file").waitFor();
      await look(page, `a new job, ${size}`);
      await tabTo(page, page.getByLabel("Choose a file or drop it here"));
      await file(page, "stock.csv", table);
      await page.getByText("stock.csv: 60 rows, 6 columns. A table.").waitFor();
      assert.equal(await page.getByLabel("Between cells").inputValue(), ";");
      assert.equal(await page.locator(".scroller tbody tr").count(), 20);
      await tabTo(page, page.getByLabel("Type of the records"));
      await page.keyboard.type(key);
      await page.getByText("1 mistake in 1 row of 60.").waitFor();
      const chosen = await page.locator(".mapping select").evaluateAll((selects) => selects.map(({ value }) => value));
      assert.deepEqual(chosen, ["@external_id", ".name", ".unit price", ".stock", ".active", ""]);
      assert.match(await page.getByRole("region", { name: "Mistakes" }).innerText(), /9\s+Unit_Price\s+cheap\s+must be a number/);
      assert.equal(await page.getByRole("button", { name: /^Send/ }).count(), 0);
      await look(page, `a new job with a mistake, ${size}`);
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, `new-${size}`);
      await page.getByRole("heading", { name: "3. Columns" }).evaluate((element) => element.scrollIntoView());
      await picture(page, `new-columns-${size}`);
      // Two columns cannot become one attribute.
      await page.getByLabel("Remark").selectOption(".name");
      await page.getByText("Two columns become name.").waitFor();
      await page.getByLabel("Remark").selectOption("");
      await page.getByText("1 mistake in 1 row of 60.").waitFor();
      await tabTo(page, page.getByLabel("Leave out the 1 row with mistakes"));
      await page.keyboard.press("Space");
      await enter(page, page.getByRole("button", { name: "Try it without writing" }));
      await page.getByText("All 59 items would succeed. Nothing was written.").waitFor({ timeout: 20_000 });
      assert.deepEqual((await call(`/objects/records?type=${key}`)).data, []);
      await look(page, `tried, ${size}`);
      await enter(page, page.getByRole("button", { name: "Send 59 items" }));
      await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 20_000 });
      await page.getByText("1 of 1 job sent, 59 of 59 items done, 0 failed.").waitFor();
      await look(page, `sent, ${size}`);
      await page.getByRole("heading", { name: "5. Send" }).evaluate((element) => element.scrollIntoView());
      await picture(page, `new-sent-${size}`);
      const { data: made } = await call(`/objects/records?type=${key}&external_id=A-9`);
      assert.deepEqual(made[0].attributes, { name: 'Dial; "9"', "unit price": 9.5, active: true });
      const { data: jobs } = await call(`/jobs?action=external_id_set&per_page=1`);
      await enter(page, page.getByRole("link", { name: "Job 1" }));
      await page.getByText("Every item was written.").waitFor();
      await page.goBack();
      await page.getByRole("heading", { name: "Done" }).waitFor();

      // The same file again is the same job, however it is sent.
      await page.getByRole("button", { name: "Begin with another file" }).click();
      await file(page, "copy.csv", table);
      await page.getByLabel("Type of the records").selectOption(key);
      await page.getByLabel("Leave out the 1 row with mistakes").check();
      await page.getByRole("button", { name: "Send 59 items" }).click();
      await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 20_000 });
      assert.equal(await page.getByRole("link", { name: "Job 1" }).getAttribute("href"), `#/jobs/${jobs[0].id}`);

      // JSON, created anew: what is taken fails in the trial, by its row.
      await page.getByRole("button", { name: "Begin with another file" }).click();
      await file(page, "more.ndjson", `{"type": "${key}", "external_id": "A-1", "attributes": {"name": "taken"}}\n\n{"type": "${key}", "external_id": "B-1", "attributes": {"name": "free", "stock": 9007199254740993}}\n{"name": "much too long for this schema, by far"}\nno json\n`);
      await page.getByText("more.ndjson: 3 rows, 3 columns. JSON, an object on each line.").waitFor();
      await page.getByText("1 entry cannot be read:").waitFor();
      await page.getByLabel("Type of the records").selectOption(key);
      await page.getByLabel("Action").selectOption("post");
      // What cannot be read is left out only by consent.
      await page.getByText("1 mistake in 1 row of 4.").waitFor();
      assert.match(await page.getByRole("region", { name: "Mistakes" }).innerText(), /5\s+the row\s+is not JSON/);
      assert.equal(await page.getByRole("button", { name: /^Send/ }).count(), 0);
      await page.getByLabel("Leave out the 1 row with mistakes, and send the other 3").check();
      await page.getByRole("button", { name: "Try it without writing" }).click();
      await page.getByText("2 items of 3 would fail, 1 would succeed.").waitFor({ timeout: 20_000 });
      assert.match(await page.locator(".reason-list").innerText(), /External Id is already in use[\s\S]*for example row 1/);
      await look(page, `tried, with failures, ${size}`);
      await page.getByRole("button", { name: "Send 3 items" }).click();
      await page.getByText("3 of 3 items done, 2 failed.").waitFor({ timeout: 20_000 });
      const exact = await (await fetch(`${SERVICE}/api/sunshine/objects/records?type=${key}&external_id=B-1`, { headers: { authorization: `Bearer ${TOKEN}` } })).text();
      assert.match(exact, /"stock":9007199254740993/);
    }, { size, real: true }));
  }
});

describe("a new job", () => {
  const open = async (page, token = "sender") => {
    await signIn(page, token);
    await heading(page, "New job from a file").waitFor();
  };

  test("of many rows does not hold up the page, is sent in parts, and goes on after it was interrupted", () => visit(async (page) => {
    await open(page);
    const rows = 25_000;
    const text = `external_id,name,price\n${Array.from({ length: rows }, (_, number) => `id ${number},"Name, ${number}",${number / 4}`).join("\n")}\n`;
    const folder = await mkdtemp(join(tmpdir(), "console-"));
    await writeFile(join(folder, "many.csv"), text);
    const spent = await cost(page);
    await page.getByLabel("Choose a file or drop it here").setInputFiles(join(folder, "many.csv"));
    await page.getByText("many.csv: 25,000 rows").waitFor();
    await page.getByText("All 25,000 rows can be sent.").waitFor({ timeout: 20_000 });
    await spent("a table of 25,000 rows, read and checked");
    await rm(folder, { recursive: true });
    const longest = await page.evaluate(() => Math.max(0, ...window.longTasks));
    assert.ok(longest < 250, `a task of ${longest} ms`);
    await page.getByText("25,000 items in 3 jobs").waitFor();
    await page.getByRole("button", { name: "Try it without writing" }).click();
    await page.getByText("9 items of 25,000 would fail").waitFor({ timeout: 20_000 });
    assert.deepEqual(posted().map(({ validate, items }) => [validate, items.length]), [[true, 10_000], [true, 10_000], [true, 5_000]]);
    posted().length = 0;
    await page.getByRole("button", { name: "Send 25,000 items" }).click();
    // Busy once: it waits, and asks again.
    await page.locator(".notice:not([hidden])").waitFor();
    await page.getByText("What was sent stays. Going on sends the rest, and nothing twice.").waitFor({ timeout: 20_000 });
    const asks = () => page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
    assert.ok(await asks(), "it is asked before the page is left");
    await accessible(page, "interrupted while sending");
    // It stays where it is while another page is looked at.
    await page.getByRole("link", { name: "Jobs", exact: true }).click();
    await heading(page, "Jobs").waitFor();
    await page.getByRole("link", { name: "New job" }).click();
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 20_000 });
    assert.ok(!(await asks()));
    const sent = posted();
    assert.deepEqual(sent.map(({ items, job }) => [items.length, Boolean(job)]), [[10_000, false], [10_000, true], [10_000, false], [10_000, true], [5_000, true]]);
    assert.equal(sent[0].key, sent[1].key);
    assert.equal(sent[2].key, sent[3].key);
    assert.equal(new Set(sent.map(({ key }) => key)).size, 3);
    assert.ok(sent.every(({ key }) => /^console-[0-9a-f]{32}-[0-9a-f]{32}$/.test(key)), sent[0].key);
    assert.deepEqual(sent[4].items[4_999], { type: "product", external_id: "id 24999", attributes: { name: "Name, 24999", price: 6249.75 }, client_ref: "row 25001" });
  }, { hash: "#/new", quiet: ["503", "502"] }));

  test("of each action and form", () => visit(async (page) => {
    await open(page);
    const check = async (name, text, action, wanted) => {
      await file(page, name, text);
      await page.getByText(new RegExp(`^${name}: `)).waitFor();
      await page.getByLabel("Action").selectOption(action);
      await page.getByText(/can be sent\.$/).first().waitFor();
      posted().length = 0;
      await page.getByRole("button", { name: "Try it without writing" }).click();
      await page.getByText("Nothing was written.").waitFor({ timeout: 10_000 });
      assert.equal(posted()[0].action, action);
      assert.deepEqual(posted()[0].items, wanted, name);
      await page.getByRole("button", { name: "Begin with another file" }).click();
    };
    // Dropped, and not chosen.
    const dropped = await page.evaluateHandle(() => {
      const data = new DataTransfer();
      data.items.add(new File(["external_id,name\nD-1,Dropped\n"], "dropped.csv"));
      return data;
    });
    await page.locator(".drop").dispatchEvent("dragover", { dataTransfer: dropped });
    await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
    await page.getByText("dropped.csv: 1 row, 2 columns.").waitFor();
    await check("update.tsv", "id\tprice\tactive\nu-1\t1e3\tYES\nu-2\t-0.50\tno\n", "update", [{ id: "u-1", attributes: { price: 1000, active: true }, client_ref: "row 2" }, { id: "u-2", attributes: { price: -0.5, active: false }, client_ref: "row 3" }]);
    await check("gone.json", `[ "d-1", {"id": "d-2"} ]`, "delete", [{ id: "d-1", client_ref: "row 1" }, { id: "d-2", client_ref: "row 2" }]);
    await check("off.csv", "external_id\nK-1\n", "external_id_delete", [{ type: "product", external_id: "K-1", client_ref: "row 2" }]);
    await check("new.json", `[{"name": "One", "price": 2, "tags": ["a"]}, {"name": "Two", "price": "3", "tags": "[\\"b\\"]"}]`, "post", [{ type: "product", attributes: { name: "One", price: 2, tags: ["a"] }, client_ref: "row 1" }, { type: "product", attributes: { name: "Two", price: 3, tags: ["b"] }, client_ref: "row 2" }]);
  }, { hash: "#/new" }));

  const chosen = async (page, text = "external_id,name\nA-1,One\nA-2,Two\n", name = "some.csv") => {
    await file(page, name, text);
    await page.getByText(`${name}: `).waitFor();
    await page.getByText(/ can be sent\.$/).first().waitFor();
  };

  test("of a file that is chosen again once it is mended", () => visit(async (page) => {
    await open(page);
    await chosen(page);
    // A browser tells of a file that is chosen only when it is another than the one before.
    assert.equal(await page.getByLabel("Choose a file or drop it here").inputValue(), "");
  }, { hash: "#/new" }));

  test("goes by the types as they are when the reader comes back", () => visit(async (page) => {
    await open(page);
    const answered = page.waitForResponse(/\/objects\/types\?/).catch(() => null);
    await chosen(page, "external_id,name,price,note\nA-1,One,1,One\nA-2,Two,2,Two\n");
    await answered;
    const mapped = () => page.locator(".mapping select").evaluateAll((selects) => selects.map(({ value }) => value));
    await page.getByLabel("note", { exact: true }).selectOption(".name");
    await page.getByLabel("name", { exact: true }).selectOption("");
    await page.locator(".verdict", { hasText: "All 2 rows can be sent." }).waitFor();
    const away = async () => {
      await page.getByRole("link", { name: "Jobs", exact: true }).click();
      await heading(page, "Jobs").waitFor();
      const types = page.waitForResponse(/\/objects\/types\?/, { timeout: 3_000 });
      await page.getByRole("link", { name: "New job" }).click();
      await (await types).finished();
      await page.waitForTimeout(100);
    };
    await away();
    assert.deepEqual(await mapped(), ["@external_id", "", ".price", ".name"]);
    assert.ok(await page.getByRole("button", { name: "Send 2 items" }).isVisible(), "what did not change stays checked");
    await page.route("**/objects/types?*", async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      delete body.data[0].schema.properties.price;
      body.data[0].schema.properties.name.type = "integer";
      await route.fulfill({ response: answer, json: body });
    });
    await away();
    await page.getByText("The schema of this type has been changed meanwhile").waitFor();
    assert.deepEqual(await mapped(), ["@external_id", "", "", ".name"]);
    await page.getByText("2 mistakes in 2 rows of 2.").waitFor();
    await look(page, "a schema that has changed meanwhile");
    await page.unroute("**/objects/types?*");
    await page.route("**/objects/types?*", (route) => route.fulfill({ json: { data: [], links: { next: null } } }));
    await away();
    await page.getByText("This type has been deleted meanwhile.").waitFor();
    await page.getByText("It is checked once the type is chosen.").waitFor();
  }, { hash: "#/new" }));

  test("says when it cannot be checked, and can be checked again", () => visit(async (page) => {
    await open(page);
    await page.evaluate(() => {
      window.encode = TextEncoder.prototype.encode;
      TextEncoder.prototype.encode = () => {
        throw new RangeError("no room");
      };
    });
    await file(page, "some.csv", "external_id,name\nA-1,One\n");
    await page.getByRole("heading", { name: "It could not be checked" }).waitFor({ timeout: 5_000 });
    assert.equal(await page.getByText("Checking", { exact: false }).count(), 0);
    await accessible(page, "a file that could not be checked");
    await page.evaluate(() => (TextEncoder.prototype.encode = window.encode));
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("The only row can be sent.").first().waitFor();
  }, { hash: "#/new" }));

  const ended = (state, processed) => async (route) => {
    const answer = await route.fetch();
    const { data } = await answer.json();
    await route.fulfill({ response: answer, json: { data: { ...data, job_status: state, progress: { total: 2, processed, succeeded: processed, failed: 0 } } } });
  };

  test("that was stopped while it was tried does not say that all would succeed", () => visit(async (page) => {
    await open(page);
    await chosen(page);
    await page.route("**/jobs/*?wait=*", ended("failed", 1));
    await page.getByRole("button", { name: "Try it without writing" }).click();
    await page.getByText("The trial ended before all items were checked").first().waitFor();
    assert.equal(await page.getByText("would succeed. Nothing").innerText(), "1 of 2 items were tried: 0 would fail, 1 would succeed. Nothing was written.");
    assert.equal(await page.locator("#step-5 ~ .job-place .verdict.good").count(), 0);
    await accessible(page, "a trial that was stopped");
  }, { hash: "#/new" }));

  test("is not sent again when nobody knows any more whether it was", () => visit(async (page) => {
    await open(page);
    await chosen(page);
    let asked = 0;
    await page.route("**/api/sunshine/jobs", (route) => (route.request().method() === "POST" ? (asked += 1, route.abort("connectionreset")) : route.continue()));
    await page.getByRole("button", { name: "Send 2 items" }).click();
    await page.getByText("Going on sends the rest, and nothing twice.").waitFor();
    await page.evaluate(() => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + 24 * 3_600_000;
    });
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("Nobody knows whether this was sent").waitFor();
    await page.getByText("look whether the rows 2 to 3 of the file are there").waitFor();
    await page.getByRole("heading", { name: "Stopped" }).waitFor();
    assert.equal(asked, 1);
    assert.equal(await page.getByText("Going on sends").count(), 0);
    assert.ok(await page.getByRole("button", { name: "Go on" }).isHidden());
    await look(page, "what may have been sent a day ago");
  }, { hash: "#/new", quiet: ["ERR_CONNECTION_RESET"] }));

  test("whose jobs are forgotten has ended", () => visit(async (page) => {
    await open(page);
    await chosen(page);
    await page.route("**/jobs/*?wait=*", (route) => route.fulfill({ status: 404, headers: { "x-request-id": "r" }, json: { errors: [{ title: "Not Found", detail: "No job has this id" }] } }));
    await page.getByRole("button", { name: "Send 2 items" }).click();
    await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 10_000 });
    await page.getByText("How 1 job ended is not known any more: look at the records.").waitFor();
    await page.getByText("its result is not known any more").waitFor();
    await look(page, "a job that is forgotten");
  }, { hash: "#/new", quiet: ["404", "503"] }));

  test("of a file that is none", () => visit(async (page) => {
    await open(page);
    for (const [name, text, words] of [["empty.csv", "", "The file is empty."], ["cut.json", `[{"a": 1}, {"a"`, "may have been cut off"], ["object.json", "\n[1] 2", "behind the end of the array"],
      ["table.xlsx", Buffer.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0]), "must be saved as CSV first"], ["open.csv", 'a,b\n1,"2\n3,4\n', "Row 2 has a quotation mark that is never closed"], ["head.csv", "a,b\n", "There is no row in it."]]) {
      await file(page, name, text);
      await page.getByText(words).waitFor();
      assert.ok(await page.getByRole("heading", { name: "2. What to do with it" }).isHidden());
    }
    await accessible(page, "a file that cannot be used");
    await file(page, "old.csv", Buffer.from("name\nCaf\xe9 Sol\n", "latin1"));
    await page.getByText("It is not UTF-8").waitFor();
    await page.getByRole("cell", { name: "Café Sol" }).waitFor();
  }, { hash: "#/new" }));

  test("nothing of it is left after signing out", () => visit(async (page) => {
    await open(page);
    await file(page, "secret.csv", "external_id,name\n1,secret name\n");
    await page.getByRole("cell", { name: "secret name" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Email and password").waitFor();
    assert.ok(!(await page.content()).includes("secret"));
    await signIn(page, "empty");
    await heading(page, "Jobs").waitFor();
    await page.getByRole("link", { name: "New job" }).click();
    await page.getByText("No types yet").or(page.getByRole("heading", { name: "1. File" })).first().waitFor();
    assert.ok(!(await page.content()).includes("secret"));
  }, { hash: "#/new" }));
});

describe("operators", () => {
  for (const size of Object.keys(SIZES)) {
    test(`what waits, runs and is left, ${size}`, () => visit(async (page) => {
      await signIn(page, "admin");
      await heading(page, "Jobs").waitFor();
      await enter(page, page.getByRole("link", { name: "Operators" }));
      await page.locator(".state-card").first().waitFor();
      assert.deepEqual((await page.locator(".state-count").allInnerTexts()).slice(0, 2), ["1", "1"]);
      await page.getByText("655 left").waitFor();
      await page.getByText("The limit is reached").waitFor();
      await look(page, `operators, ${size}`);
      await picture(page, `operators-${size}`);
      await enter(page, page.locator(".state-card").first());
      await page.waitForURL(/#\/jobs\?status=queued$/);
    }, { size }));
  }

  test("no width cuts anything off", () => visit(async (page) => {
    await signIn(page, "admin");
    await page.locator(".state-card").first().waitFor();
    const base = page.url().split("#")[0];
    for (const [hash, words] of [["operators", "Oldest queued"], ["types", "1 object type"], ["types/product", "5 attributes"], ["records?by=attribute&attribute=price", "No such records"], ["new", "Choose a file"]]) {
      await page.goto(`${base}#/${hash}`);
      await page.getByText(words).first().waitFor();
      if (hash === "new") {
        await file(page, "wide.csv", `${Array.from({ length: 60 }, (_, number) => `column ${number}`).join(",")},name\n${"a long cell,".repeat(60)}n\n`);
        await page.getByLabel("Action").selectOption("post");
        await page.getByText("The only row can be sent.").first().waitFor();
      }
      for (const width of [320, 360, 480, 740, 870, 1090, 1280, 1600]) {
        await page.setViewportSize({ width, height: 800 });
        await fits(page);
      }
    }
  }, { hash: "#/operators" }));

  test("are admins", () => visit(async (page) => {
    await signIn(page, "big");
    await page.getByText("This page is for admins of the account.").waitFor();
    await accessible(page, "operators, for an agent");
  }, { hash: "#/operators", quiet: ["403"] }));

  test("dark, and without anything", async () => {
    for (const size of Object.keys(SIZES)) {
      await visit(async (page) => {
        await signIn(page, "admin");
        await page.locator(".state-card").first().waitFor();
        await accessible(page, `operators, dark, ${size}`);
        for (const [hash, words] of [["types", "1 object type"], ["types/product", "5 attributes"], ["records", "No records yet"], ["records?type=product&by=id&value=x", "No such records"], ["new", "Choose a file"]]) {
          await page.goto(`${page.url().split("#")[0]}#/${hash}`);
          await page.getByText(words).first().waitFor();
          await look(page, `${hash}, dark, ${size}`);
          if (hash === "types/product" && size === "desktop") await picture(page, "type-desktop-dark");
        }
      }, { size, scheme: "dark", hash: "#/operators" });
    }
  });
});

describe("text of a tenant", () => {
  for (const size of Object.keys(SIZES)) {
    test(`is text among types and records, ${size}`, () => visit(async (page) => {
      await signIn(page, "hostile");
      await page.locator(".scroller tbody a").first().waitFor();
      await page.locator(".measure").first().waitFor();
      await look(page, `hostile types, ${size}`);
      const base = page.url().split("#")[0];
      for (const text of HOSTILE.slice(0, 6)) {
        await page.goto(`${base}#/types/${encodeURIComponent(text)}`);
        await page.getByText("1 attribute, version 3").waitFor();
        assert.ok((await page.locator("main").textContent()).includes(seen(text).slice(0, 80)));
        await fits(page);
      }
      await look(page, `a hostile type, ${size}`);
      await page.getByRole("button", { name: "Edit the schema" }).click();
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("It was not saved.").waitFor();
      assert.ok((await page.locator(".item-error").textContent()).includes(HOSTILE[0]));
      assert.deepEqual(Object.keys(JSON.parse(changes()[0].body).data.schema.properties), [HOSTILE[5]]);
      await look(page, `hostile errors, ${size}`);
      for (const query of ["", "?type=bad", `?type=${encodeURIComponent(HOSTILE[0])}&by=attribute&attribute=${encodeURIComponent(HOSTILE[1])}&is=$eq&value=${encodeURIComponent(HOSTILE[4])}`]) {
        await page.goto(`${base}#/records${query}`);
        await page.getByText("8 records shown.").first().waitFor();
        assert.ok((await page.locator("tbody").textContent()).includes(HOSTILE[0]));
        await look(page, `hostile records, ${query.slice(0, 9)}, ${size}`);
      }
      await page.goto(`${base}#/records?by=query&query=${encodeURIComponent('{"$broken": 1}')}`);
      await page.locator(".message.wrong").waitFor();
      assert.ok((await page.locator(".message.wrong").textContent()).includes(HOSTILE[0]));
      await page.goto(`${base}#/records`);
      await page.getByText("8 records shown.").first().waitFor();
      await page.locator("tbody a").nth(2).click();
      await page.locator("summary").first().waitFor();
      await page.locator("summary").first().click();
      await page.locator(".related li").first().waitFor();
      await look(page, `a hostile record, ${size}`);
      await page.getByRole("button", { name: "Delete…" }).click();
      await page.getByRole("button", { name: "Delete the record" }).click();
      await page.getByText(HOSTILE[0]).first().waitFor();
      await fits(page);
      await page.keyboard.press("Escape");
      assert.equal(await page.locator("#app img, #app script, #app svg[onload]").count(), 0);
    }, { size, hash: "#/types", quiet: ["422", "400"] }));

    test(`is text in files, ${size}`, () => visit(async (page) => {
      await signIn(page, "hostile");
      await heading(page, "New job from a file").waitFor();
      const cell = (text) => `"${text.replaceAll('"', '""').replaceAll("\u0000", "").slice(0, 400)}"`;
      const name = `${HOSTILE[0].replaceAll("/", "")}${HOSTILE[3]}.csv`;
      await file(page, name, `${HOSTILE.map(cell).join(",")}\n${HOSTILE.map(cell).join(",")}\n${HOSTILE.map(cell).join(",")},more\n`);
      await page.getByText("2 rows, 8 columns").waitFor();
      assert.ok((await page.locator("#app").textContent()).includes("<img src=x"));
      assert.ok((await page.locator("#app").textContent()).includes("[U+202E]gnp.exe"));
      await page.getByLabel("Type of the records").selectOption("bad");
      await page.getByLabel("Action").selectOption("post");
      await page.getByText("1 mistake in 1 row of 2.").waitFor();
      await look(page, `a hostile file, ${size}`);
      await page.getByLabel("Between cells").selectOption(";");
      // Where the quotation marks are none, the line ends in the texts are ends of rows.
      await page.getByText("5 rows, 1 column.").waitFor();
      await page.locator(".verdict", { hasText: "All 5 rows can be sent." }).waitFor();
      await page.waitForFunction(() => document.activeElement.labels?.[0]?.textContent === "Between cells");
      await fits(page);
      await file(page, name.replace(".csv", ".json"), `[${JSON.stringify({ [HOSTILE[0]]: HOSTILE[1], __proto__: null, constructor: HOSTILE[2] })}, {"__proto__": {"x": ${JSON.stringify(HOSTILE[0])}}}, nonsense<img>]`);
      await page.getByText("1 entry cannot be read").waitFor();
      await look(page, `hostile JSON, ${size}`);
      await file(page, `${HOSTILE[0]}.txt`, `[`);
      await page.getByText("This file cannot be used").waitFor();
      await look(page, `a hostile file that cannot be used, ${size}`);
      assert.equal(await page.locator("#app img, #app script, #app svg[onload]").count(), 0);
    }, { size, hash: "#/new" }));
  }
});
