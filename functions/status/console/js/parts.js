// What more than one view shows.

import { foreign, glyph, h, setAttribute, setText } from "./dom.js";
import { age, inUtc, moment, stateWord } from "./format.js";

/** A job's state, by word, shape and colour. */
export class Badge {
  constructor() {
    this.element = h("span", { class: "badge" });
  }

  show(state) {
    if (this.state === state) return;
    this.state = state;
    this.element.className = `badge ${["queued", "processing", "completed", "failed", "aborted"].includes(state) ? state : "other"}`;
    this.element.replaceChildren(glyph(state), foreign(stateWord(state), 60));
  }
}

/** How far a job is: what succeeded and what failed, of all. The numbers stand beside it in words. */
export class Bar {
  constructor() {
    this.done = h("span", { class: "bar-done" });
    this.failed = h("span", { class: "bar-failed" });
    this.element = h("span", { class: "bar", "aria-hidden": true }, this.done, this.failed);
  }

  show({ total, succeeded, failed }) {
    const part = (value) => `${total > 0 ? Math.min(100, (value / total) * 100) : 0}%`;
    this.done.style.width = part(succeeded);
    this.failed.style.width = part(failed);
  }
}

export function percent({ total, processed }) {
  return total > 0 ? `${Math.floor((processed / total) * 100)} %` : "–";
}

/** A time in the reader's zone, with UTC in its title. */
export class Moment {
  constructor(relative = false) {
    this.relative = relative;
    this.element = h("time", null);
  }

  show(time) {
    this.time = time;
    setAttribute(this.element, "datetime", time);
    setAttribute(this.element, "title", this.relative ? `${moment(time)} (${inUtc(time)})` : inUtc(time));
    this.tick();
  }

  tick() {
    setText(this.element, this.relative ? age(this.time) : moment(this.time));
  }
}

export function clock(date = new Date()) {
  return date.toLocaleTimeString();
}

/** What stands where there is nothing, or something went wrong. */
export function message({ title, text, action = null, label = null, kind = "empty", requestId = null }) {
  return h("div", { class: `message ${kind}`, role: kind === "wrong" ? "alert" : null },
    h("h2", null, title),
    h("p", null, text),
    requestId && h("p", { class: "hint" }, "Request ", h("code", null, requestId)),
    action && h("button", { type: "button", class: "button", onclick: action }, label),
  );
}
