// One job: how it stands, why items failed, and what came of each.

import { BASE, Gone } from "./api.js";
import { announce, busy, fill, foreign, h, setText, toHeading } from "./dom.js";
import { download } from "./download.js";
import { group } from "./failures.js";
import { actionWord, count, counted, isActive, kindWord, meaning, rate, span } from "./format.js";
import { Grid } from "./grid.js";
import { Badge, Bar, Moment, clock, message, percent } from "./parts.js";
import { Pace, Poll } from "./poll.js";
import { Results } from "./results.js";

const REASONS = 20;
const COLUMNS = [["position", "Position"], ["outcome", "Outcome"], ["ref", "Client ref"], ["id", "Id"], ["errors", "Errors"], ["open", "Details"]];

export class JobView {
  name = "job";
  title = "Job";
  #session;
  #id;
  #left = new AbortController();
  #poll = null;
  #pace = new Pace();
  #job = null;
  #stopping = false;
  #results = null;
  #groups = [];
  #grid = null;
  #shown = { of: "all", reason: null };
  #loading = false;

  constructor(session, id) {
    this.#session = session;
    this.#id = id;
    this.heading = h("h1", { tabindex: "-1" }, "Job");
    this.place = h("div", { class: "job-place" },
      h("p", { class: "status-line" }, "Loading…"),
      h("div", { class: "skeletons", "aria-hidden": true }, h("div", { class: "skeleton tall" }), h("div", { class: "skeleton" })));
    this.element = h("div", { class: "view" },
      h("p", { class: "back" }, h("a", { href: "#/jobs", onclick: (event) => this.#back(event) }, "‹ All jobs")),
      h("div", { class: "job-title" }, this.heading, (this.badge = new Badge()).element),
      h("p", { class: "job-id" }, h("code", { class: "id" }, foreign(id))),
      this.place,
      (this.dialogs = h("div", null)),
    );
    this.badge.element.hidden = true;
    const known = session.memory.get("jobs")?.jobs.get(id);
    if (known) this.#show(known);
    // What has ended does not change: the list said all of it, but for the results.
    if (known && !isActive(known)) this.#read();
    else this.#watch();
  }

  leave() {
    this.#left.abort();
    this.#poll?.stop();
    this.#grid?.leave();
    for (const dialog of this.dialogs.querySelectorAll("dialog")) dialog.close();
  }

  /** Back to the list as it was left, with its filter. */
  #back(event) {
    const filter = this.#session.memory.get("jobs")?.filter;
    if (!filter || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.hash = `#/jobs?${filter}`;
  }

  get #path() {
    return `${BASE}/jobs/${encodeURIComponent(this.#id)}`;
  }

  #watch() {
    this.#poll = new Poll(() => this.#round());
    this.#poll.begin(0);
  }

  async #round() {
    try {
      const { data } = await this.#session.json(this.#path, { signal: this.#left.signal });
      const before = this.#job;
      this.#show(data);
      if (isActive(data)) return true;
      if (before && isActive(before)) announce(this.#ending(data));
      this.#read(data.results);
      return null;
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return null;
      if (this.#job && problem.status !== 404) {
        setText(this.freshness, `Not up to date: ${problem.detail ?? "something went wrong."} It is tried again.`);
        this.freshness.classList.add("stale");
        return false;
      }
      const missing = problem.status === 404;
      this.badge.element.hidden = true;
      fill(this.place, message({
        kind: "wrong",
        title: missing ? "No such job" : (problem.title ?? "Something went wrong"),
        text: missing ? "There is no job of this id, or it is older than 24 hours." : (problem.detail ?? String(problem.message)),
        requestId: missing ? null : problem.requestId,
        action: missing ? null : () => this.#watch(),
        label: "Try again",
      }));
      return null;
    }
  }

  #ending(job) {
    return `The job is ${job.job_status}. ${counted(job.progress.succeeded, "item")} succeeded, ${count(job.progress.failed)} failed.`;
  }

  #show(job) {
    if (!this.total) this.#build(job);
    this.#job = job;
    const { progress } = job;
    this.#pace.note(progress.processed);
    this.badge.show(job.job_status);
    this.badge.element.hidden = false;
    setText(this.meaning, this.#stopping && isActive(job)
      ? "It is being stopped: the chunks that are being written are finished, and no other is begun." : meaning(job));
    for (const name of ["total", "processed", "succeeded", "failed"]) setText(this[name].value, count(progress[name]));
    setText(this.processed.note, percent(progress));
    setText(this.total.note, job.validate_only ? "items, checked only" : "items");
    const share = (value) => (progress.processed ? `${new Intl.NumberFormat("en", { maximumFractionDigits: 1 }).format((value / progress.processed) * 100)} % of these` : "");
    setText(this.succeeded.note, share(progress.succeeded));
    setText(this.failed.note, share(progress.failed));
    this.failed.element.classList.toggle("some", progress.failed > 0);
    this.bar.show(progress);
    this.progressbar.setAttribute("aria-valuenow", progress.processed);
    this.progressbar.setAttribute("aria-valuemax", progress.total);
    this.progressbar.setAttribute("aria-valuetext", `${count(progress.processed)} of ${counted(progress.total, "item")}`);
    this.#time(job);
    this.updated.show(job.updated_at);
    this.endedRow.hidden = !job.completed_at;
    if (job.completed_at) this.ended.show(job.completed_at);
    this.#error(job.error);
    const active = isActive(job);
    const held = document.activeElement;
    this.abort.hidden = !active;
    this.abort.disabled = this.#stopping;
    setText(this.abort, this.#stopping ? "Stopping…" : "Abort…");
    this.files.hidden = !progress.processed && !["completed", "failed"].includes(job.job_status);
    this.soFar.hidden = !(active && progress.processed > 0);
    if ((held === this.abort || held === this.soFar) && (held.hidden || held.disabled)) this.heading.focus({ preventScroll: true });
    setText(this.freshness, active ? `Live · updated ${clock()}` : "");
    this.freshness.classList.remove("stale");
    if (this.dialog?.open) this.#explain();
    if (!this.resultsPlace.childElementCount) {
      if (job.job_status === "aborted") {
        fill(this.resultsPlace, message({ title: "No results", text: "It was stopped before it began, so no item was tried." }));
      } else if (active) {
        fill(this.resultsPlace, message({ title: "Results come when it has ended", text: "What is done so far can be read at any time." }));
      }
    }
  }

  #time(job) {
    const active = isActive(job);
    if (!active) {
      setText(this.time.label, "Time taken");
      const seconds = (Date.parse(job.completed_at) - Date.parse(job.created_at)) / 1000;
      setText(this.time.value, Number.isFinite(seconds) ? span(seconds) : "–");
      setText(this.time.note, "from its creation");
    } else if (job.job_status === "queued") {
      setText(this.time.label, "Waiting for");
      setText(this.time.value, span((Date.now() - Date.parse(job.created_at)) / 1000));
      setText(this.time.note, "in the queue");
    } else {
      const left = this.#pace.left(job.progress.total);
      setText(this.time.label, "Time left");
      setText(this.time.value, left === null ? "–" : span(left));
      setText(this.time.note, this.#pace.perSecond ? rate(this.#pace.perSecond) : "no pace yet");
    }
  }

  #error(error) {
    const shown = error ? `${error.code} ${error.detail}` : "";
    if (this.errorShown === shown) return;
    this.errorShown = shown;
    this.error.hidden = !error;
    if (error) {
      fill(this.error, h("h2", null, "Why it ended: ", foreign(error.title ?? error.code)), h("p", null, foreign(error.detail)),
        h("p", { class: "hint" }, "Code ", h("code", null, foreign(error.code)), error.status ? [", status ", h("code", null, foreign(error.status))] : null));
    }
  }

  #build(job) {
    setText(this.heading, "");
    fill(this.heading, foreign(kindWord(job.type), 200), ": ", foreign(actionWord(job.action), 200));
    const number = (label, extra = "") => {
      const parts = { label: h("dt", null, label), value: h("dd", { class: "figures" }, "–"), note: h("dd", { class: "note figures" }) };
      parts.element = h("div", { class: `number-card ${extra}` }, parts.label, parts.value, parts.note);
      return parts;
    };
    this.total = number("Total");
    this.processed = number("Processed");
    this.succeeded = number("Succeeded", "good");
    this.failed = number("Failed", "bad");
    this.time = number("Time taken", "time");
    this.bar = new Bar();
    this.progressbar = h("div", { role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, class: "progress" }, this.bar.element);
    this.created = new Moment();
    this.created.show(job.created_at);
    this.updated = new Moment();
    this.ended = new Moment();
    this.endedRow = h("div", null, h("dt", null, "Ended"), h("dd", null, this.ended.element));
    this.error = h("section", { class: "job-error", "aria-label": "Error of the job", hidden: true });
    this.abort = h("button", { type: "button", class: "button danger", onclick: () => this.#ask() }, "Abort…");
    this.freshness = h("p", { class: "status-line freshness" });
    this.onlyFailed = h("input", { type: "checkbox" });
    this.fileStatus = h("p", { class: "status-line", role: "status" });
    const fileButton = (form, label) => h("button", { type: "button", class: "button", onclick: () => this.#download(form) }, label);
    this.fileButtons = [fileButton("csv", "Download CSV"), fileButton("ndjson", "Download NDJSON")];
    this.stopFile = h("button", { type: "button", class: "button quiet", hidden: true, onclick: () => this.file?.abort() }, "Cancel");
    this.files = h("div", { class: "files" }, this.fileButtons, h("label", { class: "check" }, this.onlyFailed, h("span", null, "Failed items only")), this.stopFile, this.fileStatus);
    this.soFar = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#read() }, "Show results so far");
    this.meaning = h("p", { class: "meaning" });
    this.resultsPlace = h("div", { class: "results" });
    fill(this.place,
      h("div", { class: "meaning-row" }, this.meaning, job.validate_only === true && h("span", { class: "tag" }, "check only")),
      h("dl", { class: "numbers" }, [this.total, this.processed, this.succeeded, this.failed, this.time].map((part) => part.element)),
      this.progressbar,
      this.error,
      h("div", { class: "times-row" }, h("dl", { class: "times" },
        h("div", null, h("dt", null, "Created"), h("dd", null, this.created.element)),
        h("div", null, h("dt", null, "Updated"), h("dd", null, this.updated.element)),
        this.endedRow), this.freshness),
      h("div", { class: "actions" }, this.abort, this.soFar, this.files),
      this.resultsPlace,
    );
  }

  // Results

  /** Reads results: those that the answer had, or page by page, failures first. */
  async #read(given = null) {
    const job = this.#job;
    if (job.job_status === "aborted") return;
    const results = (this.#results = new Results(this.#session, this.#id, this.#left.signal));
    const active = isActive(job);
    this.#shown = { of: "all", reason: null };
    this.#lay(active);
    if (Array.isArray(given) && given.length && given.length === job.progress.total) results.take(given);
    const expected = Math.max(job.progress.failed, job.job_status === "failed" ? job.progress.total - job.progress.succeeded : 0);
    try {
      if (!expected && !active) results.failedDone = true;
      while (!results.failedDone) {
        await results.page(false);
        if (this.#results !== results) return;
        this.#summarise(expected);
      }
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      fill(this.reasons, message({ kind: "wrong", title: problem.title ?? "Something went wrong", text: problem.detail ?? String(problem.message),
        requestId: problem.requestId, action: () => this.#read(), label: "Try again" }));
      return;
    }
    this.#summarise(expected);
  }

  #lay(active) {
    this.#grid?.leave();
    const held = this.resultsPlace.contains(document.activeElement);
    this.reasonsStatus = h("p", { class: "status-line", role: "status" }, "Loading failures…");
    this.reasonsBar = h("progress", { class: "loading", "aria-label": "Failures loaded", max: 1, value: 0 });
    this.reasons = h("div", { class: "reasons" });
    this.reasonButtons = new Map();
    this.itemsStatus = h("p", { class: "status-line", id: "items-status" });
    this.tabs = {};
    const tab = (of, label) => {
      const input = h("input", { type: "radio", name: "items-shown", value: of, checked: of === "all", onchange: () => this.#choose(of, null) });
      this.tabs[of] = { input, text: h("span", null, label), label };
      return h("label", { class: "segment" }, input, this.tabs[of].text);
    };
    this.chip = h("button", { type: "button", class: "button quiet chip", hidden: true, onclick: () => {
      this.#choose("all", null);
      this.tabs.all.input.focus();
    } });
    this.#grid = new Grid({ label: "Items, those that failed first", columns: COLUMNS, make: (index) => this.#row(index), missing: () => this.#more() });
    this.itemsTitle = h("h2", { id: "items-title", tabindex: "-1" }, "Items");
    this.gridPlace = h("div", null, this.#grid.element);
    fill(this.resultsPlace,
      active && h("p", { class: "so-far" }, `As of ${clock()}, while the job goes on.`),
      h("section", { "aria-labelledby": "reasons-title" },
        h("h2", { id: "reasons-title" }, "Failures by reason"), this.reasonsStatus, this.reasonsBar, this.reasons),
      h("section", { "aria-labelledby": "items-title" },
        this.itemsTitle,
        h("div", { class: "items-tools" },
          h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, "Which items"),
            h("div", { class: "segments" }, tab("all", "All"), tab("failed", "Failed"), tab("succeeded", "Succeeded"))),
          this.chip),
        this.itemsStatus, this.gridPlace),
    );
    if (held) this.itemsTitle.focus({ preventScroll: true });
  }

  #summarise(expected) {
    const results = this.#results;
    this.#groups = group(results.failed);
    const loaded = results.failed.length;
    this.reasonsBar.hidden = results.failedDone;
    this.reasonsBar.max = Math.max(expected, loaded, 1);
    this.reasonsBar.value = loaded;
    const failures = counted(loaded, "failed item");
    setText(this.reasonsStatus, !results.failedDone ? `${count(loaded)} of ${counted(Math.max(expected, loaded), "failed item")} loaded…`
      : loaded ? `${failures}, ${counted(this.#groups.length, "reason")}. An item with several errors counts under each.` : "No item failed.");
    const held = [...this.reasonButtons].find(([, button]) => button === document.activeElement)?.[0];
    this.reasonButtons.clear();
    fill(this.reasons, this.#groups.length ? h("ul", { class: "reason-list" }, this.#groups.slice(0, REASONS).map((found) => this.#reason(found, loaded))) : null,
      this.#groups.length > REASONS && h("p", { class: "hint" }, `And ${counted(this.#groups.length - REASONS, "rarer reason")}: the table has them all.`));
    if (held !== undefined) {
      const button = this.reasonButtons.get(held);
      if (button) button.focus({ preventScroll: true });
      else toHeading(this.reasons);
    }
    this.#fillItems();
  }

  #reason(found, of) {
    const size = found.items.length;
    const share = h("span", { class: "share" });
    share.style.width = `${(size / Math.max(of, 1)) * 100}%`;
    const show = h("button", { type: "button", class: "button", onclick: () => {
      this.#choose("reason", found.key);
      this.itemsTitle.focus();
    } }, "Show ", h("span", { class: "unseen" }, `the ${counted(size, "item")} that failed so`));
    this.reasonButtons.set(found.key, show);
    return h("li", { class: "reason" },
      h("span", { class: "reason-count figures" }, counted(size, "item")),
      h("div", { class: "reason-words" },
        h("p", { class: "reason-text" }, foreign(found.words || "no detail")),
        h("p", { class: "hint" }, h("code", null, foreign(found.code || "no code", 100)), ` · for example item ${count(found.example.position)}`,
          found.example.client_ref !== undefined && [" (", foreign(found.example.client_ref, 60), ")"],
          found.detail !== found.words && [": ", foreign(found.detail, 300)]),
        h("span", { class: "share-track", "aria-hidden": true }, share)),
      show);
  }

  #choose(of, reason) {
    this.#shown = { of, reason };
    for (const [name, tab] of Object.entries(this.tabs)) tab.input.checked = name === of;
    this.#grid.rewind();
    this.#fillItems();
  }

  /** How many items are shown, and which stands at a place; undefined while it is not loaded. */
  #view() {
    const results = this.#results;
    const { of, reason } = this.#shown;
    const rest = results.succeededDone ? results.succeeded.length : Math.max(results.succeeded.length, this.#job.progress.succeeded);
    if (of === "reason") {
      const items = this.#groups.find((found) => found.key === reason)?.items ?? [];
      return { size: items.length, at: (index) => items[index] };
    }
    if (of === "failed") return { size: results.failed.length, at: (index) => results.failed[index] };
    if (of === "succeeded") return { size: rest, at: (index) => results.succeeded[index] };
    const failed = results.failed.length;
    return { size: failed + (results.failedDone ? rest : 0), at: (index) => (index < failed ? results.failed[index] : results.succeeded[index - failed]) };
  }

  #fillItems() {
    const results = this.#results;
    this.items = this.#view();
    const rest = results.succeededDone ? results.succeeded.length : Math.max(results.succeeded.length, this.#job.progress.succeeded);
    setText(this.tabs.failed.text, `Failed ${count(results.failed.length)}`);
    setText(this.tabs.succeeded.text, `Succeeded ${count(rest)}`);
    setText(this.tabs.all.text, `All ${count(results.failed.length + rest)}`);
    const found = this.#shown.of === "reason" ? this.#groups.find((some) => some.key === this.#shown.reason) : null;
    this.chip.hidden = !found;
    if (found) fill(this.chip, h("span", { class: "chip-text" }, foreign(found.words, 80)), h("span", null, " ✕"), h("span", { class: "unseen" }, " show all items again"));
    fill(this.itemsStatus, this.items.size ? `${counted(this.items.size, "item")} shown${this.#shown.of === "all" ? ", those that failed first" : ""}.` : "No such items.",
      this.items.size > 0 && h("span", { class: "keys" }, " The arrow keys move through them."));
    this.#grid.element.hidden = !this.items.size;
    this.#grid.reset(this.items.size);
  }

  async #more() {
    const results = this.#results;
    if (this.#loading || results.succeededDone) return;
    this.#loading = true;
    try {
      await results.page(true);
    } catch (problem) {
      if (!(problem instanceof Gone) && !this.#left.signal.aborted) {
        this.#loading = false;
        fill(this.itemsStatus, `Items could not be loaded: ${problem.detail ?? "something went wrong."} `,
          h("button", { type: "button", class: "button quiet", onclick: (event) => {
            toHeading(event.currentTarget);
            this.#fillItems();
          } }, "Try again"));
      }
      return;
    }
    this.#loading = false;
    this.#fillItems();
  }

  #row(index) {
    const item = this.items.at(index);
    const cell = (name, ...inside) =>
      h("span", { role: "gridcell", class: `col-${name}`, "aria-colindex": COLUMNS.findIndex(([column]) => column === name) + 1 }, inside);
    if (!item) {
      const row = h("div", { role: "row", class: "item-row unloaded" }, cell("position", ""), cell("outcome", "Loading…"));
      row.dataset.missing = "true";
      return row;
    }
    const errors = item.errors ?? [];
    return h("div", { role: "row", class: `item-row ${item.success ? "good" : "bad"}` },
      cell("position", h("span", { class: "phone-label" }, "Item "), h("span", { class: "figures" }, count(item.position))),
      cell("outcome", h("span", { class: "outcome" }, item.success ? "Succeeded" : "Failed")),
      cell("ref", item.client_ref === undefined ? h("span", { class: "none" }, "–") : foreign(item.client_ref, 120)),
      cell("id", item.data?.id ? h("code", null, foreign(item.data.id, 80)) : h("span", { class: "none" }, "–")),
      cell("errors", errors.length ? [foreign(errors[0]?.detail ?? errors[0]?.code, 300), errors.length > 1 && h("span", { class: "also" }, ` and ${count(errors.length - 1)} more`)] : null),
      cell("open", h("button", { type: "button", class: "button small", onclick: () => this.#details(item) }, "Details", h("span", { class: "unseen" }, ` of item ${count(item.position)}`))),
    );
  }

  #details(item) {
    const line = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));
    const close = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close");
    const dialog = h("dialog", { class: "sheet", "aria-labelledby": "item-title" },
      h("h2", { id: "item-title", tabindex: "-1", autofocus: true }, `Item ${count(item.position)}`),
      h("dl", { class: "pairs" },
        line("Outcome", item.success ? "Succeeded" : "Failed"),
        item.client_ref !== undefined && line("Client ref", foreign(item.client_ref)),
        item.data?.id && line("Id", h("code", null, foreign(item.data.id)))),
      (item.errors ?? []).map((error) => h("div", { class: "item-error" },
        h("p", null, foreign(error?.detail ?? "")), h("p", { class: "hint" }, h("code", null, foreign(error?.code ?? "")), " · ", foreign(error?.title ?? ""), " · ", foreign(error?.status ?? "")))),
      h("div", { class: "dialog-actions" }, close));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!this.#left.signal.aborted) this.#grid.focus();
    });
    this.dialogs.appendChild(dialog);
    dialog.showModal();
  }

  // Files

  async #download(form) {
    if (this.file) return;
    const file = (this.file = new AbortController());
    const signal = AbortSignal.any([file.signal, this.#left.signal]);
    for (const button of this.fileButtons) busy(button, true);
    this.stopFile.hidden = false;
    setText(this.fileStatus, "Loading the results…");
    try {
      await download(this.#session, this.#id, form, { failedOnly: this.onlyFailed.checked, signal,
        told: (bytes) => setText(this.fileStatus, `Loading the results… ${count(Math.ceil(bytes / 1024))} KiB`) });
      setText(this.fileStatus, "The file is ready.");
    } catch (problem) {
      if (this.#left.signal.aborted) return;
      setText(this.fileStatus, signal.aborted ? "The download was cancelled." : `The download failed: ${problem.detail ?? "something went wrong."}`);
    } finally {
      this.file = null;
      for (const button of this.fileButtons) busy(button, false);
      if (document.activeElement === this.stopFile) this.fileButtons[form === "csv" ? 0 : 1].focus({ preventScroll: true });
      this.stopFile.hidden = true;
    }
  }

  // Abort

  #ask() {
    this.explanation = h("div", { id: "abort-words" });
    this.complaint = h("p", { class: "complaint", role: "alert" });
    this.confirm = h("button", { type: "button", class: "button danger", onclick: () => this.#stop() }, "Abort the job");
    this.dialog = h("dialog", { class: "sheet", "aria-labelledby": "abort-title", "aria-describedby": "abort-words" },
      h("h2", { id: "abort-title" }, "Abort this job?"), this.explanation, this.complaint,
      h("div", { class: "dialog-actions" },
        h("button", { type: "button", class: "button", autofocus: true, onclick: () => this.dialog.close() }, "Let it run"), this.confirm));
    const dialog = this.dialog;
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (this.#left.signal.aborted) return;
      (this.abort.hidden || this.abort.disabled ? this.heading : this.abort).focus();
    });
    this.#explain();
    this.dialogs.appendChild(dialog);
    dialog.showModal();
  }

  #explain() {
    const { job_status: state, progress } = this.#job;
    if (this.explained === state + progress.processed && this.explanation.childElementCount) return;
    this.explained = state + progress.processed;
    const left = Math.max(0, progress.total - progress.processed);
    if (state === "queued") {
      fill(this.explanation,
        h("p", null, `It has not begun. None of its ${counted(progress.total, "item")} is written, and it ends aborted.`),
        h("p", null, "Should it begin before this arrives, what is being written is finished, and no more is begun."),
        h("p", null, "It cannot be taken up again: to run it after all, send it as a new job."));
    } else if (state === "processing") {
      fill(this.explanation,
        h("p", null, `${count(progress.processed)} of ${counted(progress.total, "item")} are done, and stay as they are. ${count(left)} are left.`),
        h("p", null, "The chunks that are being written, of up to 500 items each, are finished. No other is begun."),
        h("p", null, "The job ends failed with the error Aborted, and each item that was not reached fails with NotProcessed. It cannot be taken up again."));
    } else {
      fill(this.explanation, h("p", null, "It has ended in the meantime: there is nothing left to stop."));
      busy(this.confirm, true);
    }
  }

  async #stop() {
    if (this.confirm.hasAttribute("aria-disabled")) return;
    busy(this.confirm, true);
    setText(this.confirm, "Aborting…");
    setText(this.complaint, "");
    try {
      const { data } = await this.#session.json(`${this.#path}/abort`, { method: "POST", signal: this.#left.signal });
      this.#stopping = isActive(data);
      this.#grid?.leave();
      this.resultsPlace.replaceChildren();
      this.#show(data);
      announce(this.#stopping ? "The job is being stopped." : this.#ending(data));
      this.dialog.close();
      this.#poll?.soon();
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      setText(this.complaint, problem.status === 409 ? "It had already ended. Nothing was stopped." : (problem.detail ?? "Something went wrong."));
      setText(this.confirm, "Abort the job");
      busy(this.confirm, problem.status === 409);
      if (problem.status === 409) this.#poll?.soon();
    }
  }
}
