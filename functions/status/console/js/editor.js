// A text of JSON that can be changed and saved, with what is wrong beside it.

import { Gone } from "./api.js";
import { announce, busy, fill, foreign, h, setText } from "./dom.js";
import { Unreadable, isObject, parse } from "./json.js";

let editors = 0;

export class Editor {
  #save;

  /** `save(value)` gets an object, and throws what is wrong with it. */
  constructor({ label, hint, text, save, cancel }) {
    const id = `editor-${(editors += 1)}`;
    this.#save = save;
    this.before = text;
    this.area = h("textarea", { id, class: "json-area", spellcheck: "false", autocapitalize: "none", autocomplete: "off", "aria-describedby": `${id}-hint`,
      rows: Math.min(28, Math.max(8, text.split("\n").length + 1)) });
    this.area.value = text;
    this.complaints = h("div", { role: "alert", class: "complaints" });
    this.go = h("button", { type: "submit", class: "button main" }, "Save");
    this.element = h("form", { class: "editor", onsubmit: (event) => this.#send(event) },
      h("label", { for: id }, label),
      h("p", { class: "hint", id: `${id}-hint` }, hint),
      this.area, this.complaints,
      h("div", { class: "actions" }, this.go, h("button", { type: "button", class: "button", onclick: cancel }, "Cancel")));
  }

  focus() {
    this.area.focus({ preventScroll: true });
    this.area.setSelectionRange(0, 0);
  }

  #complain(texts) {
    fill(this.complaints, texts.length > 0 && h("div", { class: "item-error" }, h("p", { class: "complaint" }, "It was not saved."),
      h("ul", null, texts.map((text) => h("li", null, foreign(text, 2000))))));
  }

  async #send(event) {
    event.preventDefault();
    if (this.go.hasAttribute("aria-disabled")) return;
    this.#complain([]);
    let value;
    try {
      value = parse(this.area.value);
      if (!isObject(value)) throw new Unreadable("it must be an object, in { and }", this.area.value, 0);
    } catch (problem) {
      if (!(problem instanceof Unreadable)) throw problem;
      this.#complain([problem.message]);
      this.area.focus();
      this.area.setSelectionRange(problem.at, problem.at + 1);
      return;
    }
    busy(this.go, true);
    setText(this.go, "Saving…");
    try {
      await this.#save(value);
      announce("Saved.");
    } catch (problem) {
      if (problem instanceof Gone) return;
      this.#complain([...(problem.details ?? [String(problem.message)]), ...(problem.unsure ? ["It may have been written all the same: saving again does no harm."] : [])]);
    } finally {
      busy(this.go, false);
      setText(this.go, "Save");
    }
  }
}
