// For whoever runs the account: what waits, what runs, and what there is room for. It asks for nothing that the API does not offer to everybody.

import { BASE, Gone } from "./api.js";
import { busy, fill, foreign, h, setText } from "./dom.js";
import { STATES, actionWord, count, kindWord, span, stateWord } from "./format.js";
import { limitBars, loadLimits, measure } from "./limits.js";
import { Badge, Moment, clock, message, skeletons, wrong } from "./parts.js";

const EVERY = 30_000;
const MOST = 1000;
/** Pages that may hold none of a state, and still have others behind them. */
const PAGES = 3;
/** No record has this id: asking for it costs one read, and only admins may have a search explained. */
const NOBODY = "00000000-0000-0000-0000-000000000000";

export class OperatorsView {
  name = "operators";
  title = "Operators";
  #session;
  #left = new AbortController();
  #timer = 0;
  #asking = false;

  constructor(session) {
    this.#session = session;
    this.status = h("p", { class: "status-line" }, "Loading…");
    this.place = h("div", { class: "job-place" }, skeletons());
    this.again = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#round() }, "Refresh");
    this.element = h("div", { class: "view" }, h("div", { class: "part-head" }, (this.heading = h("h1", { tabindex: "-1" }, "Operators")), this.again), this.status, this.place);
    this.looked = () => !document.hidden && !this.again.hidden && this.#round();
    document.addEventListener("visibilitychange", this.looked);
    this.#enter();
  }

  leave() {
    this.#left.abort();
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.looked);
  }

  get #signal() {
    return this.#left.signal;
  }

  async #enter() {
    try {
      if (!this.#session.memory.get("admin")) {
        await this.#session.json(`${BASE}/objects/query?explain=true&per_page=1`, { method: "POST", body: JSON.stringify({ query: { _id: NOBODY } }), signal: this.#signal });
        this.#session.memory.set("admin", true);
      }
    } catch (problem) {
      if (problem instanceof Gone || this.#signal.aborted) return;
      setText(this.status, "");
      fill(this.place, problem.status === 403
        ? message({ title: "For admins", text: "This page is for admins of the account. You are signed in as an agent: all the other pages are yours." })
        : wrong(problem, () => this.#enter()));
      return;
    }
    this.again.hidden = false;
    await this.#round();
  }

  async #round() {
    if (this.#asking || this.#signal.aborted) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    busy(this.again, true);
    try {
      const [limits, ...found] = await Promise.all([loadLimits(this.#session, this.#signal), ...STATES.map((state) => this.#ofState(state))]);
      const oldest = { queued: await this.#oldest("queued", found[0]), processing: await this.#oldest("processing", found[1]) };
      this.#show(limits, found, oldest);
    } catch (problem) {
      if (problem instanceof Gone || this.#signal.aborted) return;
      if (this.built) setText(this.status, `Not up to date: ${problem.detail ?? "something went wrong."} It is tried again.`);
      else fill(this.place, wrong(problem, () => this.#round()));
    } finally {
      this.#asking = false;
      busy(this.again, false);
    }
    if (!this.#signal.aborted) this.#timer = setTimeout(() => !document.hidden && this.#round(), EVERY);
  }

  /** How many jobs are in a state: the API lists them, and has no number of them. */
  async #ofState(state) {
    let path = `${BASE}/jobs?status=${state}&per_page=${MOST}`;
    const jobs = [];
    for (let page = 0; path && page < PAGES && jobs.length < MOST; page += 1) {
      const { data, links } = await this.#session.json(path, { signal: this.#signal });
      jobs.push(...data);
      path = links?.next ?? null;
    }
    return { jobs, more: Boolean(path) };
  }

  async #oldest(state, found) {
    if (!found.jobs.length) return null;
    if (!found.more) return found.jobs.reduce((one, other) => (Date.parse(other.created_at) < Date.parse(one.created_at) ? other : one));
    const { data } = await this.#session.json(`${BASE}/jobs?status=${state}&order=asc&per_page=1`, { signal: this.#signal });
    return data[0] ?? found.jobs.at(-1);
  }

  #show(limits, found, oldest) {
    const rate = this.#session.rate;
    this.built = true;
    setText(this.status, `Updated ${clock()}, every ${EVERY / 1000} seconds while this page is looked at.`);
    const held = this.place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const number = (state, { jobs, more }) => {
      const badge = new Badge();
      badge.show(state);
      return h("a", { class: "state-card", href: `#/jobs?status=${state}` },
        badge.element, h("span", { class: "state-count figures" }, more ? `${count(jobs.length)}+` : count(jobs.length)),
        h("span", { class: "unseen" }, ` jobs ${stateWord(state).toLowerCase()}${more ? ", and more" : ""}`));
    };
    const line = (title, job, none) => {
      if (!job) return h("li", { class: "oldest" }, h("span", { class: "measure-name" }, title), h("span", { class: "none" }, none));
      const moment = new Moment();
      moment.show(job.created_at);
      return h("li", { class: "oldest" }, h("span", { class: "measure-name" }, title),
        h("span", null, h("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, foreign(kindWord(job.type), 60), ": ", foreign(actionWord(job.action), 60)),
          h("span", { class: "figures" }, ` · ${span((Date.now() - Date.parse(job.created_at)) / 1000)} ago, `), moment.element));
    };
    fill(this.place,
      h("section", { class: "part", "aria-labelledby": "by-state" }, h("h2", { id: "by-state" }, "Jobs of the last 24 hours, by state"),
        h("div", { class: "state-cards" }, STATES.map((state, index) => number(state, found[index])))),
      h("section", { class: "part", "aria-labelledby": "oldest" }, h("h2", { id: "oldest" }, "What has waited longest"),
        h("ul", { class: "measures oldest-list" }, line("Oldest queued", oldest.queued, "Nothing is queued."), line("Oldest processing", oldest.processing, "Nothing is being processed."))),
      h("section", { class: "part", "aria-labelledby": "room" }, h("h2", { id: "room" }, "Requests and limits"),
        h("ul", { class: "measures" }, rate ? measure("Requests of this minute", rate.limit - rate.remaining, rate.limit, `${count(rate.remaining)} left, of all who use this account; this page takes about eight each time`)
          : h("li", { class: "measure" }, h("span", { class: "measure-name" }, "Requests of this minute"), h("span", { class: "none" }, "The answers do not say."))),
        limitBars(limits)));
    if (held) ([...this.place.querySelectorAll("a")].find((link) => link.getAttribute("href") === held) ?? this.heading).focus({ preventScroll: true });
  }
}
