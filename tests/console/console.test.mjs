// The console in a browser, as a person uses it.
//
// CONSOLE_MODULES is the folder with `node_modules` when that is not this one, CONSOLE_BROWSER a Chromium that is not on the PATH, and
// SUNDIAL_URL a service to run against (SUNDIAL_TOKEN its token). Without it, what needs a real service is skipped.
// CONSOLE_SCREENSHOTS=1 draws the pictures of docs/console anew.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import { SERVICE, SIZES, TOKEN, accessible, call, cost, fits, picture, seen, signIn, start, stop, visit } from "./drive.mjs";
import { HOSTILE, askedFor, reset } from "./stub.mjs";

before(start);
after(stop);

const heading = (page, name) => page.getByRole("heading", { level: 1, name });
const rows = (page) => page.locator(".job-rows .job-row");

describe("signing in and out", () => {
  test("by keyboard alone, with a token", () => visit(async (page) => {
    assert.equal(await page.evaluate(() => document.activeElement.name), "token");
    await accessible(page, "sign in");
    await picture(page, "sign-in");
    await page.keyboard.type("big");
    await page.keyboard.press("Enter");
    await heading(page, "Jobs").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    await rows(page).first().waitFor();
    for (let steps = 0; steps < 40 && !(await page.evaluate(() => document.activeElement.matches(".job-link"))); steps += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await heading(page, "Object records: update").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    await page.goBack();
    await rows(page).first().waitFor();
    assert.ok(await page.evaluate(() => document.activeElement.matches(".job-link")), "the focus is on the job that was open");
  }));

  test("a wrong token says so, and asks again", () => visit(async (page) => {
    await signIn(page, "wrong");
    await page.getByText("This token is not accepted").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.name), "token");
    await accessible(page, "sign in, refused");
  }, { quiet: ["401"] }));

  test("an end user reads why not", () => visit(async (page) => {
    await signIn(page, "enduser");
    await page.getByText("This user is known, and is neither.").waitFor();
  }, { quiet: ["403"] }));

  test("signing out forgets everything", () => visit(async (page) => {
    await page.getByLabel("Stay signed in").check();
    await signIn(page, "big");
    await rows(page).first().waitFor();
    assert.notEqual(await page.evaluate(() => sessionStorage.length), 0);
    await page.reload();
    await rows(page).first().waitFor();
    await rows(page).first().getByRole("link").click();
    await page.getByText("Failures by reason").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Email and password").waitFor();
    const left = await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie, location.hash, document.body.innerText.includes("Object records"), document.querySelectorAll("dialog, [role=grid], [role=table]").length]);
    assert.deepEqual(left, [0, 0, "", "#/jobs", false, 0]);
    await page.goBack();
    assert.equal(await page.getByText("Failures by reason").count(), 0);
    await signIn(page, "empty");
    await page.waitForTimeout(300);
    assert.ok(!(await page.content()).includes("Failures by reason"));
  }, { quiet: ["404"] }));

  test("a late answer of the account before is dropped", () => visit(async (page) => {
    let release;
    await page.route("**/jobs?per_page=100", async (route) => {
      const token = route.request().headers().authorization;
      if (token === "Bearer many") await new Promise((resolve) => (release = resolve));
      await route.continue().catch(() => {});
    });
    await signIn(page, "many");
    await heading(page, "Jobs").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, "empty");
    await page.getByText("No jobs yet").waitFor();
    release();
    await page.waitForTimeout(300);
    assert.equal(await rows(page).count(), 0);
  }));

  test("an answer of 401 leads back with the reason", () => visit(async (page) => {
    await signIn(page, "running");
    await rows(page).first().waitFor();
    await page.route("**/api/**", (route) => route.fulfill({ status: 401, headers: { "www-authenticate": "Basic" }, body: "{}" }));
    await page.getByText("or no longer. Sign in again.").waitFor({ timeout: 8000 });
    assert.equal(await rows(page).count(), 0);
  }, { quiet: ["401"] }));

  test("a 429 is waited for", () => visit(async (page) => {
    await signIn(page, "busy");
    await page.locator(".notice:not([hidden])").waitFor();
    assert.match(await page.locator(".notice").innerText(), /Asking again in [12] s/);
    await accessible(page, "asked to wait");
    await page.getByText("No jobs yet").waitFor({ timeout: 8000 });
    assert.ok(await page.locator(".notice").isHidden());
  }, { quiet: ["429"] }));
});

describe("jobs", () => {
  for (const size of Object.keys(SIZES)) {
    test(`list and filter in the address, ${size}`, () => visit(async (page) => {
      await signIn(page, "running");
      await rows(page).first().waitFor();
      await page.waitForTimeout(4500);
      assert.match(await rows(page).first().innerText(), /items\/s/);
      await fits(page);
      await accessible(page, `jobs, ${size}`);
      await picture(page, `jobs-${size}`);
      if (size === "phone") await page.getByRole("button", { name: "Filters" }).click();
      await accessible(page, `jobs and filters, ${size}`);
      await page.getByLabel("State").selectOption("failed");
      await page.waitForURL(/#\/jobs\?status=failed$/);
      await page.waitForFunction(() => [...document.querySelectorAll(".job-rows .badge")].every((badge) => badge.textContent === "Failed"));
      await page.getByLabel("Created from").fill("2026-01-02T03:04");
      await page.waitForURL(/created_after=2026-01-02T02%3A04%3A00Z/);
      await page.goBack();
      await page.waitForURL(/#\/jobs\?status=failed$/);
      assert.equal(await page.getByLabel("Created from").inputValue(), "");
      await page.goBack();
      await page.waitForFunction(() => document.querySelectorAll(".job-rows .job-row").length === 8);
      assert.equal(await page.getByLabel("State").inputValue(), "");
      await page.getByLabel("State").selectOption("aborted");
      await page.getByRole("button", { name: "Clear filters" }).click();
      await page.waitForFunction(() => document.querySelectorAll(".job-rows .job-row").length === 8);
    }, { size }));
  }

  test("no width cuts anything off", () => visit(async (page) => {
    await signIn(page, "big");
    await rows(page).first().waitFor();
    for (const width of [320, 360, 480, 740, 800, 870, 1000, 1090, 1280, 1600]) {
      for (const view of ["list", "job"]) {
        await page.setViewportSize({ width, height: 800 });
        if (view === "job") {
          await rows(page).first().getByRole("link").click();
          await page.locator(".item-space .item-row").first().waitFor();
        }
        await page.waitForTimeout(50);
        await fits(page);
        const cut = await page.evaluate(() => [...document.querySelectorAll(".job-rows .job-row, .item-space .item-row, .numbers, .reason")].filter((row) => {
          const { right } = row.getBoundingClientRect();
          return [...row.children].some((child) => child.getBoundingClientRect().right > right + 1);
        }).length);
        assert.equal(cut, 0, `${view} at ${width}`);
        if (view === "job") {
          await page.goBack();
          await rows(page).first().waitFor();
        }
      }
    }
  }));

  test("polling is polite", () => visit(async (page) => {
    await signIn(page, "running");
    await rows(page).first().waitFor();
    reset();
    await page.waitForTimeout(6500);
    assert.ok(askedFor().length >= 2 && askedFor().length <= 4, askedFor().join("\n"));
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(500);
    const before = askedFor().length;
    await page.waitForTimeout(4500);
    assert.equal(askedFor().length, before);
  }));

  test("nothing, nothing found, and an error", () => visit(async (page) => {
    await signIn(page, "empty");
    await page.getByText("No jobs yet").waitFor();
    await accessible(page, "no jobs");
    await page.getByLabel("Type").selectOption("relationships");
    await page.getByText("No such jobs").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, "down");
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await accessible(page, "an error");
  }, { quiet: ["500"] }));

  test("a thousand jobs", () => visit(async (page) => {
    await signIn(page, "many");
    await rows(page).first().waitFor();
    const spent = await cost(page);
    for (let shown = 100; shown < 1000; ) {
      await page.getByRole("button", { name: "Load more" }).click();
      await page.waitForFunction((before) => document.querySelectorAll(".job-rows .job-row").length > before, shown);
      shown = await rows(page).count();
    }
    assert.equal(await rows(page).count(), 1000);
    await spent("1,000 jobs, loaded");
    const scrolled = await cost(page);
    const frames = await smooth(page);
    await scrolled(`1,000 jobs, scrolled (${frames})`);
    await fits(page);
  }));
});

/** Scrolls fast for 90 frames, and to the end. Answers what the frames took. */
function smooth(page) {
  return page.evaluate(async () => {
    const frames = [];
    let last = performance.now();
    for (let count = 0; count < 90; count += 1) {
      scrollBy({ top: 400, behavior: "instant" });
      const now = await new Promise(requestAnimationFrame);
      frames.push(performance.now() - last);
      last = performance.now();
    }
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    frames.sort((one, other) => other - one);
    return `90 frames, median ${frames[45].toFixed(0)} ms, longest ${frames[0].toFixed(0)} ms`;
  });
}

describe("a job", () => {
  for (const size of Object.keys(SIZES)) {
    test(`ten thousand items, three thousand failures, ${size}`, () => visit(async (page) => {
      await signIn(page, "big");
      await rows(page).first().waitFor();
      const spent = await cost(page);
      await rows(page).first().getByRole("link").click();
      await page.getByText("3,000 failed items, 4 reasons").waitFor();
      await spent(`a job of 10,000 items opened from the list, ${size}`);
      const reasons = await page.locator(".reason").allInnerTexts();
      assert.equal(reasons.length, 4);
      assert.ok(reasons.every((text) => text.startsWith("1,000 items")), reasons.join("\n"));
      await page.locator(".item-space .item-row").first().waitFor();
      assert.ok((await page.locator(".item-space .item-row").count()) < 60);
      await accessible(page, `a job, ${size}`);
      await fits(page);
      await picture(page, `job-${size}`);
      await page.getByRole("heading", { name: "Items" }).evaluate((element) => element.scrollIntoView());
      await page.waitForTimeout(100);
      await picture(page, `items-${size}`);
      const scrolled = await cost(page);
      const frames = await smooth(page);
      await scrolled(`its items, scrolled, ${size} (${frames})`);
      await page.waitForFunction(() => {
        const row = [...document.querySelectorAll(".item-space .item-row")].at(-1);
        return row?.innerText.includes("9,999");
      }, undefined, { timeout: 15000 });
      await page.getByRole("button", { name: "the 1,000 items that failed so" }).first().click();
      await page.getByText("1,000 items shown").waitFor();
      await page.locator(".item-space .item-row button").first().focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("End");
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await accessible(page, `an item, ${size}`);
      await page.keyboard.press("Escape");
      assert.match(await page.evaluate(() => document.activeElement.textContent), /^Details/);
    }, { size }));
  }

  test("opened by its address", () => visit(async (page) => {
    await page.locator("input[name=token]").waitFor();
    const spent = await cost(page);
    await signIn(page, "big");
    await page.getByText("3,000 failed items, 4 reasons").waitFor();
    await spent("sign in and a job of 10,000 items by its address");
  }, { hash: "#/jobs/01a22762-80d7-7f5e-9d5c-000000000001" }));

  test("what is no job", () => visit(async (page) => {
    await signIn(page, "empty");
    await page.getByText("There is no job of this id, or it is older than 24 hours.").waitFor();
    await accessible(page, "no such job");
  }, { hash: "#/jobs/%3Cimg%20src=x%20onerror=window.ran=1%3E", quiet: ["404"] }));

  test("stopped while it is processing", () => visit(async (page) => {
    await signIn(page, "running");
    await rows(page).first().getByRole("link").click();
    await page.getByRole("button", { name: "Abort…" }).click();
    await page.getByText("are done, and stay as they are").waitFor();
    await accessible(page, "before an abort");
    await picture(page, "abort-desktop-dark");
    await page.getByRole("button", { name: "Abort the job" }).click();
    await page.getByText("Why it ended: Aborted").waitFor({ timeout: 8000 });
    await page.getByText("100 failed items, 1 reason").waitFor();
    await accessible(page, "a job that failed");
  }, { scheme: "dark" }));

  test("stopped while it is queued", () => visit(async (page) => {
    await signIn(page, "queued");
    await rows(page).first().getByRole("link").click();
    await page.getByRole("button", { name: "Abort…" }).click();
    await page.getByText("None of its 480 items is written").waitFor();
    await page.getByRole("button", { name: "Let it run" }).click();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Abort…");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Abort the job" }).click();
    await page.getByText("It was stopped before it began. Nothing of it was written.").waitFor();
    await page.getByText("No results").waitFor();
  }));

  test("results as a file, all pages of it", () => visit(async (page) => {
    await signIn(page, "big");
    await rows(page).first().getByRole("link").click();
    await page.getByText("3,000 failed items").waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download NDJSON" }).click()]);
    assert.match(file.suggestedFilename(), /^job-01a2.*-results\.ndjson$/);
    const lines = (await readFile(await file.path(), "utf8")).trim().split("\n");
    assert.equal(lines.length, 10_000);
    assert.equal(JSON.parse(lines[9_999]).position, 9_999);
  }));

  test("dark, desktop and phone", async () => {
    for (const size of Object.keys(SIZES)) {
      await visit(async (page) => {
        await signIn(page, "big");
        await rows(page).first().waitFor();
        await accessible(page, `jobs, dark, ${size}`);
        await rows(page).first().getByRole("link").click();
        await page.getByText("3,000 failed items, 4 reasons").waitFor();
        await accessible(page, `a job, dark, ${size}`);
        await picture(page, `job-${size}-dark`);
      }, { size, scheme: "dark" });
    }
  });
});

describe("text of a tenant", () => {
  for (const size of Object.keys(SIZES)) {
    test(`is text everywhere, ${size}`, () => visit(async (page) => {
      await signIn(page, "hostile");
      await rows(page).first().waitFor();
      await page.waitForTimeout(200);
      assert.ok((await page.locator(".job-rows").innerText()).includes(HOSTILE[0]));
      await fits(page);
      await accessible(page, `hostile jobs, ${size}`);
      const links = await rows(page).count();
      for (let index = 0; index < links; index += 1) {
        await rows(page).nth(index).getByRole("link").click();
        await page.locator(".number-card").first().waitFor();
        if (index % 2 === 0) {
          await page.locator(".reason").first().waitFor();
          await page.locator(".item-space .item-row button").nth(index).click();
          await page.getByRole("dialog").waitFor();
          assert.ok((await page.getByRole("dialog").textContent()).includes(seen(HOSTILE[index])));
          await page.keyboard.press("Escape");
        }
        await fits(page);
        if (index === 0) await accessible(page, `a hostile job, ${size}`);
        await page.goBack();
        await rows(page).first().waitFor();
      }
      assert.equal(await page.locator("#app img, #app script").count(), 0);
    }, { size }));
  }
});

describe("a real service", { skip: SERVICE ? false : "SUNDIAL_URL is not set" }, () => {
  for (const size of Object.keys(SIZES)) {
    test(`from sign in to sign out, ${size}`, () => visit(async (page) => {
      await call("/objects/types", { data: { key: "console", schema: { properties: { name: { type: "string" }, price: { type: "number" } }, required: ["name"] } } });
      const items = Array.from({ length: 2_500 }, (_, number) => ({ type: "console", external_id: `${size} ${number % 2_000} ${process.pid}`, attributes: number % 10 ? { name: `Item ${number}` } : { price: number }, client_ref: `=row ${number}` }));
      await signIn(page, TOKEN);
      await heading(page, "Jobs").waitFor();
      await page.getByText(/Updated|No jobs yet/).first().waitFor();
      // It shows up by itself.
      const { data } = await call("/jobs", { type: "resources", action: "post", data: items });
      await page.locator(`a[href="#/jobs/${data.id}"]`).click();
      await page.getByText("Every item was tried.").waitFor({ timeout: 60_000 });
      await page.getByText(/failed items, \d+ reasons/).waitFor();
      const shown = await page.locator(".number-card").allInnerTexts();
      const { data: now } = await call(`/jobs/${data.id}`);
      assert.match(shown[3], new RegExp(now.progress.failed.toLocaleString("en")));
      assert.ok(now.progress.failed >= 250);
      for (const [label, form] of [["Download CSV", "csv"], ["Download NDJSON", "ndjson"]]) {
        const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: label }).click()]);
        const lines = (await readFile(await file.path(), "utf8")).trim().split("\n");
        assert.equal(lines.length, form === "csv" ? 2_501 : 2_500);
        await page.getByText("The file is ready.").waitFor();
      }
      await accessible(page, `a job of the service, ${size}`);
      await fits(page);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Email and password").check();
      await page.getByLabel("Email", { exact: true }).fill("user@example.com");
      await page.locator("input[name=password]").fill("sunshine");
      await page.keyboard.press("Enter");
      await page.getByText("This user is known, and is neither.").waitFor();
      for (const [email, password] of [["agent@example.com", "sunshine"], [`agent@example.com/token`, TOKEN]]) {
        await page.getByLabel("Email", { exact: true }).fill(email);
        await page.locator("input[name=password]").fill(password);
        await page.keyboard.press("Enter");
        await page.locator(`a[href="#/jobs/${data.id}"]`).waitFor();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByLabel("Email and password").check();
      }
    }, { size, real: true, quiet: ["403"] }));
  }
});
