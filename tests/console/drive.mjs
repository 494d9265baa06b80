// What the tests of the console share: a browser, servers in front of it, and what is asked of every page.

import assert from "node:assert/strict";
import { accessSync, constants, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { serve } from "./serve.mjs";
import { reset } from "./stub.mjs";

/** As it is shown: with what cannot be seen written out. */
export const seen = (text) => text.replace(/[\u0000-\u0008\u202A-\u202E\u2066-\u2069]/g, (one) => `[U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);

const needed = createRequire(process.env.CONSOLE_MODULES ? join(process.env.CONSOLE_MODULES, "package.json") : import.meta.url);
const { chromium } = needed("playwright-core");
const AXE = await readFile(needed.resolve("axe-core/axe.min.js"), "utf8");
export const SERVICE = process.env.SUNDIAL_URL ?? null;
export const TOKEN = process.env.SUNDIAL_TOKEN ?? "sundial_local_token";
const PICTURES = process.env.CONSOLE_SCREENSHOTS ? fileURLToPath(new URL("../../docs/console/", import.meta.url)) : null;
export const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

function browserOnPath() {
  if (process.env.CONSOLE_BROWSER) return process.env.CONSOLE_BROWSER;
  for (const name of ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Not in this folder.
      }
    }
  }
  throw new Error("no Chromium on the PATH: install one, or name it in CONSOLE_BROWSER");
}

let browser;
let stub;
let service;

export async function start() {
  browser = await chromium.launch({ executablePath: browserOnPath(), args: ["--no-sandbox"], ignoreDefaultArgs: ["--hide-scrollbars"] });
  stub = await serve();
  if (SERVICE) service = await serve({ service: SERVICE });
}

export async function stop() {
  await browser?.close();
  for (const served of [stub, service]) {
    served?.server.closeAllConnections();
    served?.server.close();
  }
}

/** A page of its own. What it complains of fails the test at its end. */
export async function visit(run, { size = "desktop", scheme = "light", real = false, hash = "", quiet = [] } = {}) {
  reset();
  const at = real ? service : stub;
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: scheme, reducedMotion: "reduce", hasTouch: size === "phone", isMobile: size === "phone", timezoneId: "Europe/Madrid", locale: "en-GB", acceptDownloads: true });
  const page = await context.newPage();
  const complaints = [];
  // A browser logs every answer of 4xx and 5xx by itself: those that a test expects say nothing.
  page.on("console", (message) => message.type() === "error" && !quiet.some((part) => message.text().includes(part)) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (asked) => /^(blob|data):/.test(asked.url()) || asked.url().startsWith(at.url) || complaints.push(`asked ${asked.url()}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.addInitScript(() => {
    window.violations = [];
    window.longTasks = [];
    if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
      new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
    }
    addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  try {
    await page.goto(`${at.url}/console${hash}`);
    await run(page);
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

export async function signIn(page, token) {
  await page.locator("input[name=token]").fill(token);
  await page.keyboard.press("Enter");
}

export async function accessible(page, what) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
  assert.deepEqual(found, [], what);
  console.log(`axe, ${what}: ${passes.length} rules pass, 0 violations`);
}

export async function fits(page) {
  const { wide, seen } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, seen: document.documentElement.clientWidth }));
  assert.ok(wide <= seen, `the page is ${wide} wide, of ${seen}`);
}

export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled" });
}

export async function cost(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const read = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value * 1000]));
  await page.evaluate(() => (window.longTasks.length = 0));
  const start = await read();
  return async (what) => {
    const end = await read();
    const long = await page.evaluate(() => window.longTasks);
    const spent = (name) => `${(end[name] - start[name]).toFixed(0)} ms`;
    console.log(`${what}: script ${spent("ScriptDuration")}, style ${spent("RecalcStyleDuration")}, layout ${spent("LayoutDuration")}, all tasks ${spent("TaskDuration")}, longest ${long.length ? `${Math.max(...long)} ms` : "under 50 ms"}`);
    return end.ScriptDuration - start.ScriptDuration;
  };
}

/** Asks the real service, as an agent's program does. */
export async function call(path, body, method = body ? "POST" : "GET") {
  const answered = await fetch(`${SERVICE}/api/sunshine${path}`, { method, headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
  return answered.status === 204 ? null : answered.json();
}

/** Presses Tab until the focus is on what is wanted. Everything must be reached so. */
export async function tabTo(page, wanted, most = 80) {
  for (let steps = 0; steps < most; steps += 1) {
    if (await wanted.evaluate((element) => element === document.activeElement).catch(() => false)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${wanted} is not reached by Tab`);
}
