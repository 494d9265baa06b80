// What more than one view shows.

import { announce, busy, foreign, glyph, h, setAttribute, setText, toHeading, visible } from "./dom.js";
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
    action && h("button", { type: "button", class: "button", onclick: (event) => {
      toHeading(event.currentTarget);
      action();
    } }, label),
  );
}

/** What stands in the place of what could not be loaded. */
export function wrong(problem, again) {
  return message({ kind: "wrong", title: problem.title ?? "Something went wrong", text: problem.detail ?? String(problem.message),
    requestId: problem.requestId, action: again, label: "Try again" });
}

/** What is shown while something loads, as high as what comes, about. */
export function skeletons(rows = 4) {
  return h("div", { class: "skeletons", "aria-hidden": true }, Array.from({ length: rows }, () => h("div", { class: "skeleton" })));
}

/** A table that scrolls within itself where it is too wide, also by keyboard. `columns`: `[name, class]`. */
export function table(label, columns, rows, kind = "") {
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: `plain ${kind}` },
      h("caption", { class: "unseen" }, label),
      h("thead", null, h("tr", null, columns.map(([name, extra]) => h("th", { scope: "col", class: extra ?? null }, name)))),
      h("tbody", null, rows)));
}

let fields = 0;

/** A field with its label. */
export function field(label, input, hint = null) {
  const id = `control-${(fields += 1)}`;
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
}

/** `pairs`: `[value, word]`. */
export function choice(pairs, props = {}) {
  return h("select", props, pairs.map(([value, word]) => h("option", { value }, visible(String(word).slice(0, 120)))));
}

/**
 * A question before something is done that cannot be undone. `act` throws what the reader is told.
 * `back` is called once, when the question is closed and what was begun has ended.
 */
export function question(place, { title, words, yes, no, act, back }) {
  const complaint = h("p", { class: "complaint", role: "alert" });
  const go = h("button", { type: "button", class: "button danger", onclick: async () => {
    if (go.hasAttribute("aria-disabled")) return;
    busy(go, true);
    setText(complaint, "");
    try {
      await act();
      if (dialog.open) dialog.close();
    } catch (problem) {
      setText(complaint, problem.detail ?? "");
      if (!dialog.open && problem.detail) announce(problem.detail);
    } finally {
      busy(go, false);
      // Closed by Escape meanwhile.
      if (!dialog.isConnected) back();
    }
  } }, yes);
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "question-title", "aria-describedby": "question-words" },
    h("h2", { id: "question-title" }, title), h("div", { id: "question-words" }, words), complaint,
    h("div", { class: "dialog-actions" },
      h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close() }, no), go));
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (!go.hasAttribute("aria-disabled")) back();
  });
  place.appendChild(dialog);
  dialog.showModal();
}
