// The list of jobs.

import { BASE, Gone } from "./api.js";
import { announce, busy, fill, foreign, h, setText, toHeading } from "./dom.js";
import { ACTIONS, KINDS, STATES, actionWord, count, counted, isActive, kindWord, rate, span, stateWord } from "./format.js";
import { merge } from "./pages.js";
import { Badge, Bar, Moment, clock, message, percent } from "./parts.js";
import { Pace, Poll } from "./poll.js";

const FIRST = 100;
const MORE = 300;
/** Pages without a job of the filter that are skipped before somebody is asked. */
const SKIPPED = 3;
const FILTERS = ["status", "type", "action", "created_after", "created_before"];
const NAMES = ["State", "Job", "Progress", "Succeeded", "Failed", "Total", "Created"];

export class JobsView {
  name = "jobs";
  title = "Jobs";
  #session;
  #left = new AbortController();
  #asked = null;
  #poll = null;
  #filter = "";
  #rows = new Map();
  #paces;
  #list = null;
  #turn = 0;
  #ages = 0;

  constructor(session, query) {
    this.#session = session;
    this.#paces = session.memory.get("paces") ?? new Map();
    session.memory.set("paces", this.#paces);
    this.#build();
    this.#ages = setInterval(() => this.#tick(), 5000);
    this.show(query, true);
  }

  #build() {
    this.controls = {
      status: select("State", "Any state", STATES, stateWord),
      type: select("Type", "Any type", KINDS, kindWord),
      action: select("Action", "Any action", ACTIONS, actionWord),
      created_after: time("Created from"),
      created_before: time("Created before"),
    };
    this.clear = h("button", { type: "button", class: "button quiet clear", onclick: () => {
      this.#go("");
      this.controls.status.element.querySelector("select").focus();
    } }, "Clear filters");
    this.status = h("p", { class: "status-line", id: "list-status" }, "Loading…");
    this.body = h("div", { role: "rowgroup", class: "job-rows" });
    this.table = h("div", { role: "table", class: "jobs", "aria-label": "Jobs, the newest first", "aria-describedby": "list-status", hidden: true },
      h("div", { role: "rowgroup", class: "job-head" },
        h("div", { role: "row", class: "job-row" }, NAMES.map((name) =>
          h("span", { role: "columnheader", class: `col-${name.toLowerCase()}` }, name)))),
      this.body,
    );
    this.state = h("div", { class: "list-state" });
    this.more = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#more() }, "Load more");
    this.fold = h("button", { type: "button", class: "button fold", "aria-expanded": "false", "aria-controls": "filters", onclick: () => {
      const unfolded = form.classList.toggle("unfolded");
      this.fold.setAttribute("aria-expanded", String(unfolded));
    } });
    const form = h("form", { class: "filters", id: "filters", role: "search", "aria-label": "Filter the jobs", onsubmit: (event) => event.preventDefault() },
      FILTERS.map((name) => this.controls[name].element), this.clear);
    let pending = 0;
    form.addEventListener("change", (event) => {
      clearTimeout(pending);
      pending = setTimeout(() => this.#go(this.#typed()), event.target.type === "datetime-local" ? 700 : 0);
    });
    this.element = h("div", { class: "view" },
      (this.heading = h("h1", { tabindex: "-1" }, "Jobs")), this.fold, form, this.status, this.table, this.state,
      h("div", { class: "more" }, this.more));
  }

  /** Shows the jobs of a filter, as it stands in the address. */
  show(query, first = false) {
    const given = new URLSearchParams(query);
    const wanted = new URLSearchParams();
    for (const name of FILTERS) {
      const value = given.get(name);
      if (value) wanted.set(name, value);
      this.controls[name].set(value ?? "");
    }
    if (!wanted.size && document.activeElement === this.clear) this.controls.status.element.querySelector("select").focus();
    this.clear.disabled = !wanted.size;
    setText(this.fold, wanted.size ? `Filters (${wanted.size})` : "Filters");
    if (!first && wanted.toString() === this.#filter) return;
    this.#filter = wanted.toString();
    this.#stop();
    const seen = this.#session.memory.get("jobs");
    if (first && seen?.filter === this.#filter) {
      this.#list = seen;
      this.#render();
      this.#watch(0);
    } else {
      this.#begin();
    }
  }

  /** Back from a job: where the reader was. */
  entered() {
    const seen = this.#session.memory.get("jobs");
    if (!this.#list || seen !== this.#list || !seen.opened) return false;
    scrollTo(0, seen.scroll);
    const row = this.#rows.get(seen.opened);
    row?.link.focus({ preventScroll: true });
    return Boolean(row);
  }

  leave() {
    this.#stop();
    this.#left.abort();
    clearInterval(this.#ages);
    if (this.#list && !this.#session.ended) this.#session.memory.set("jobs", this.#list);
  }

  #stop() {
    this.#poll?.stop();
    this.#asked?.abort();
    this.#asked = new AbortController();
  }

  #typed() {
    const wanted = new URLSearchParams();
    for (const name of FILTERS) {
      const value = this.controls[name].get();
      if (value) wanted.set(name, value);
    }
    return wanted.toString();
  }

  #go(query) {
    if (query === this.#filter) return;
    location.hash = query ? `#/jobs?${query}` : "#/jobs";
  }

  get #signal() {
    return AbortSignal.any([this.#left.signal, this.#asked.signal]);
  }

  async #begin() {
    if (this.body.contains(document.activeElement) || document.activeElement === this.more) toHeading(this.more);
    this.#list = null;
    this.#rows.clear();
    this.body.replaceChildren();
    this.table.hidden = true;
    this.more.hidden = true;
    setText(this.status, "Loading…");
    fill(this.state, h("div", { class: "skeletons", "aria-hidden": true }, Array.from({ length: 6 }, () => h("div", { class: "skeleton" }))));
    const signal = this.#signal;
    const list = { filter: this.#filter, order: [], jobs: new Map(), pages: [], next: null, looked: 0, opened: null, scroll: 0 };
    try {
      let path = `${BASE}/jobs?${this.#filter}${this.#filter ? "&" : ""}per_page=${FIRST}`;
      const start = path;
      let body;
      do {
        body = await this.#session.json(path, { signal });
        list.looked += 1;
        path = body.links?.next;
      } while (!body.data.length && path && list.looked < SKIPPED);
      list.pages.push({ path: start, ids: new Set() });
      this.#list = list;
      this.#take(body, 0);
      list.next = path ?? null;
      this.#render();
      announce(list.order.length ? `${counted(list.order.length, "job")} shown.` : "No jobs.");
      this.#watch();
    } catch (problem) {
      if (problem instanceof Gone || signal.aborted) return;
      setText(this.status, "");
      fill(this.state, message({ kind: "wrong", title: problem.title ?? "Something went wrong", text: problem.detail ?? String(problem.message),
        requestId: problem.requestId, action: () => this.#begin(), label: "Try again" }));
    }
  }

  /** Takes a page in. False when it cannot be put in its place. */
  #take(body, index) {
    const list = this.#list;
    const page = list.pages[index];
    const ids = body.data.map((job) => job.id);
    const atEnd = !body.links?.next;
    if (!(index === 0 && !list.order.length)) {
      if (index > 0 && !ids.some((id) => list.jobs.has(id))) return true;
      const order = merge(list.order, ids, { first: index === 0, last: atEnd });
      if (!order) return false;
      const here = new Set(order);
      for (const id of list.order) {
        if (!here.has(id)) list.jobs.delete(id);
      }
      // What new jobs pushed off the first page is asked for from behind it.
      const fresh = new Set(ids);
      const pushed = index === 0 ? [...page.ids].filter((id) => here.has(id) && !fresh.has(id)) : [];
      if (pushed.length && body.links?.next) {
        const behind = list.pages[1]?.behind ? list.pages[1].ids : new Set();
        const joint = { path: body.links.next, ids: new Set([...behind, ...pushed]), behind: true };
        list.pages.splice(1, behind.size ? 1 : 0, joint);
      }
      list.order = order;
    } else {
      list.order = ids;
    }
    page.ids = new Set(ids);
    const ended = [];
    for (const job of body.data) {
      const before = list.jobs.get(job.id);
      list.jobs.set(job.id, job);
      if (before && isActive(before) && !isActive(job)) ended.push(job);
      if (isActive(job)) this.#pace(job.id).note(job.progress.processed);
      else this.#paces.delete(job.id);
    }
    if (ended.length === 1) announce(`A job is ${ended[0].job_status}: ${count(ended[0].progress.failed)} of ${counted(ended[0].progress.total, "item")} failed.`);
    else if (ended.length) announce(`${count(ended.length)} jobs have ended.`);
    return true;
  }

  #pace(id) {
    if (!this.#paces.has(id)) this.#paces.set(id, new Pace());
    return this.#paces.get(id);
  }

  #watch(delay) {
    this.#poll = new Poll(() => this.#round(this.#signal));
    this.#poll.begin(delay);
  }

  /** One page is asked for: the first, and in turn with it those further down that have something active. */
  async #round(signal) {
    const list = this.#list;
    const moving = (page) => [...page.ids].some((id) => list.jobs.has(id) && isActive(list.jobs.get(id)));
    const others = list.pages.map((page, index) => index).filter((index) => index > 0 && moving(list.pages[index]));
    this.#turn += 1;
    const index = others.length && this.#turn % 2 ? others[(this.#turn >> 1) % others.length] : 0;
    try {
      const body = await this.#session.json(list.pages[index].path, { signal });
      if (!this.#take(body, index)) {
        this.#begin();
        return null;
      }
      if (index === 0 && list.pages.length === 1) list.next = body.links?.next ?? null;
      this.#render();
    } catch (problem) {
      if (problem instanceof Gone || signal.aborted) return null;
      setText(this.status, `${this.#summary()} · Not up to date: ${problem.detail ?? "something went wrong."} It is tried again.`);
      this.status.classList.add("stale");
      return false;
    }
    return [...list.jobs.values()].some(isActive);
  }

  async #more() {
    const list = this.#list;
    const signal = this.#signal;
    if (this.more.hasAttribute("aria-disabled")) return;
    busy(this.more, true);
    setText(this.more, "Loading…");
    try {
      const target = new URL(list.next, location.origin);
      target.searchParams.set("per_page", MORE);
      const path = target.pathname + target.search;
      const body = await this.#session.json(path, { signal });
      const fresh = body.data.filter((job) => !list.jobs.has(job.id));
      const held = document.activeElement === this.more;
      list.looked += 1;
      for (const job of body.data) list.jobs.set(job.id, job);
      list.order = [...list.order, ...fresh.map((job) => job.id)];
      list.pages.push({ path, ids: new Set(body.data.map((job) => job.id)) });
      list.next = body.links?.next ?? null;
      this.#render();
      announce(`${counted(fresh.length, "more job")} shown, ${count(list.order.length)} in all.`);
      this.#poll?.soon();
      const next = fresh.length ? this.#rows.get(fresh[0].id) : null;
      if (held && !list.next) (next?.link ?? this.heading).focus({ preventScroll: true });
    } catch (problem) {
      if (problem instanceof Gone || signal.aborted) return;
      setText(this.status, `More could not be loaded: ${problem.detail ?? "something went wrong."}`);
      this.status.classList.add("stale");
    } finally {
      busy(this.more, false);
      setText(this.more, list.order.length ? "Load more" : "Look further back");
    }
  }

  #summary() {
    const { order, next } = this.#list;
    return `${counted(order.length, "job")} shown${next ? ", there are more" : ""}`;
  }

  #render() {
    const list = this.#list;
    let at = this.body.firstElementChild;
    const shown = new Set(list.order);
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      if (at === row.element) at = at.nextElementSibling;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const id of list.order) {
      let row = this.#rows.get(id);
      if (!row) {
        row = new Row(id, () => {
          list.opened = id;
          list.scroll = scrollY;
        });
        this.#rows.set(id, row);
      }
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
      row.show(list.jobs.get(id), this.#paces.get(id));
    }
    const none = !list.order.length;
    this.table.hidden = none;
    this.more.hidden = !list.next;
    setText(this.more, none ? "Look further back" : "Load more");
    this.status.classList.remove("stale");
    setText(this.status, `${this.#summary()} · Updated ${clock()}`);
    if (!none) return this.state.replaceChildren();
    const filtered = Boolean(this.#filter);
    const [title, text] = list.next
      ? ["None found yet", "Among the newest jobs none is like this. There are older ones."]
      : filtered
        ? ["No such jobs", "Among the jobs of the last 24 hours none is like this."]
        : ["No jobs yet", "Jobs that are sent to the API show up here, and stay for 24 hours."];
    if (this.state.firstElementChild?.dataset?.of !== title) {
      const shownMessage = message({ title, text });
      shownMessage.dataset.of = title;
      fill(this.state, shownMessage);
    }
  }

  #tick() {
    if (document.hidden) return;
    for (const row of this.#rows.values()) row.created.tick();
  }
}

class Row {
  constructor(id, opened) {
    this.badge = new Badge();
    this.bar = new Bar();
    this.created = new Moment(true);
    this.what = h("span", { class: "what" });
    this.kind = h("span", { class: "tag", hidden: true }, "check only");
    this.link = h("a", { href: `#/jobs/${encodeURIComponent(id)}`, class: "job-link", onclick: opened }, this.what);
    this.progress = h("span", { class: "percent figures" });
    this.pace = h("span", { class: "pace figures" });
    const number = (name) => {
      const value = h("span", { class: "figures" });
      return { value, cell: h("span", { role: "cell", class: `number col-${name.toLowerCase()}` }, h("span", { class: "phone-label" }, name), value) };
    };
    [this.succeeded, this.failed, this.total] = [number("Succeeded"), number("Failed"), number("Total")];
    this.element = h("div", { role: "row", class: "job-row" },
      h("span", { role: "cell", class: "col-state" }, this.badge.element),
      h("span", { role: "cell", class: "col-job" }, this.link, this.kind, h("code", { class: "id" }, foreign(id, 80))),
      h("span", { role: "cell", class: "col-progress" }, this.bar.element, h("span", { class: "beside" }, this.progress, this.pace)),
      this.succeeded.cell, this.failed.cell, this.total.cell,
      h("span", { role: "cell", class: "col-created" }, this.created.element),
    );
  }

  show(job, pace) {
    const { progress } = job;
    const key = `${job.job_status} ${progress.processed} ${progress.succeeded} ${progress.failed}`;
    if (isActive(job)) {
      const perSecond = pace?.perSecond ?? null;
      const left = perSecond ? pace.left(progress.total) : null;
      const text = job.job_status === "queued" ? "waiting" : perSecond ? `${rate(perSecond)} · ${span(left)} left` : "";
      setText(this.pace, text);
    } else {
      setText(this.pace, "");
    }
    if (key === this.key) return;
    this.key = key;
    if (!this.created.time) {
      this.created.show(job.created_at);
      fill(this.what, foreign(kindWord(job.type), 120), ": ", foreign(actionWord(job.action), 120));
      this.kind.hidden = job.validate_only !== true;
    }
    this.badge.show(job.job_status);
    this.bar.show(progress);
    setText(this.progress, percent(progress));
    setText(this.succeeded.value, count(progress.succeeded));
    setText(this.failed.value, count(progress.failed));
    this.failed.cell.classList.toggle("some", progress.failed > 0);
    setText(this.total.value, count(progress.total));
  }
}

let controls = 0;

function control(label, input, extra) {
  const id = `filter-${(controls += 1)}`;
  input.id = id;
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), input), ...extra };
}

function select(label, any, values, word) {
  const input = h("select", null, h("option", { value: "" }, any), values.map((value) => h("option", { value }, word(value))));
  let strange = null;
  return control(label, input, {
    get: () => input.value,
    set: (value) => {
      strange?.remove();
      strange = null;
      if (value && !values.includes(value)) input.appendChild((strange = h("option", { value }, value.slice(0, 80))));
      input.value = value;
    },
  });
}

/** The reader's zone in the field, UTC in the address. */
function time(label) {
  const input = h("input", { type: "datetime-local", step: "60" });
  let kept = "";
  return control(label, input, {
    get: () => {
      if (!input.value) return input.validity.badInput ? kept : "";
      const date = new Date(input.value);
      return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace(/\.\d+Z$/, "Z");
    },
    set: (value) => {
      kept = value;
      const date = new Date(value);
      if (!value || Number.isNaN(date.getTime())) {
        if (document.activeElement !== input || !value) input.value = "";
        return;
      }
      const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString();
      const shown = local.slice(0, date.getUTCSeconds() ? 19 : 16);
      input.step = date.getUTCSeconds() ? "1" : "60";
      if (input.value !== shown) input.value = shown;
    },
  });
}
