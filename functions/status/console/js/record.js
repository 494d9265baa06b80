// One record: its attributes, what it is related to, and changing and deleting it.

import { BASE, Gone } from "./api.js";
import { Editor } from "./editor.js";
import { announce, fill, foreign, h, setText } from "./dom.js";
import { counted } from "./format.js";
import { patch, stringify } from "./json.js";
import { Moment, message, question, skeletons, table, wrong } from "./parts.js";
import { shown } from "./records.js";

const PAGE = 100;

const time = (at) => {
  const moment = new Moment();
  moment.show(at);
  return moment.element;
};

/** The texts of an end: in an array it means "many". */
const ends = (end) => (Array.isArray(end) ? end : [end]).map((one) => String(one).toLowerCase());

export class RecordView {
  name = "record";
  title = "Record";
  #session;
  #id;
  #left = new AbortController();
  #record = null;

  constructor(session, id) {
    this.#session = session;
    this.#id = id;
    this.heading = h("h1", { tabindex: "-1" }, "Record");
    this.kind = h("p", { class: "status-line", role: "status" }, "Loading…");
    this.place = h("div", { class: "job-place" }, skeletons());
    this.related = h("div", null);
    this.back = h("a", { href: "#/records" }, "‹ Records");
    this.element = h("div", { class: "view" }, h("p", { class: "back" }, this.back), this.heading,
      h("p", { class: "job-id" }, h("code", { class: "id" }, foreign(id, 80))), this.kind, this.place, this.related, (this.dialogs = h("div", null)));
    const query = session.memory.get("records")?.query;
    if (query) this.back.setAttribute("href", `#/records?${query}`);
    this.#load();
  }

  leave() {
    this.#left.abort();
    if (!/^#\/records(?:[/?]|$)/.test(location.hash)) this.#session.memory.delete("records");
    for (const dialog of this.dialogs.querySelectorAll("dialog")) dialog.close();
  }

  get #path() {
    return `${BASE}/objects/records/${encodeURIComponent(this.#id)}`;
  }

  async #load() {
    try {
      this.#show((await this.#session.exact(this.#path, { signal: this.#left.signal })).data);
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      setText(this.kind, "");
      fill(this.place, problem.status === 404
        ? message({ kind: "wrong", title: "No such record", text: "There is no record of this id." }) : wrong(problem, () => this.#load()));
      return;
    }
    this.#loadRelationships();
  }

  #show(record) {
    this.#record = record;
    fill(this.heading, record.external_id === null || record.external_id === undefined ? "Record without an external id" : foreign(record.external_id, 255));
    fill(this.kind, "Of the type ", h("a", { href: `#/types/${encodeURIComponent(record.type)}` }, foreign(record.type, 80)),
      `, written by its version ${record.type_version}.`);
    const attributes = record.attributes ?? {};
    const names = Object.keys(attributes);
    this.edit = h("button", { type: "button", class: "button", onclick: () => this.#edit() }, "Edit the attributes");
    this.remove = h("button", { type: "button", class: "button danger", onclick: () => this.#ask() }, "Delete…");
    this.json = h("div", { class: "json-place" }, h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": "The attributes as JSON" }, foreign(stringify(attributes, 2))));
    fill(this.place,
      h("dl", { class: "times" },
        h("div", null, h("dt", null, "Created"), h("dd", null, time(record.created_at))),
        h("div", null, h("dt", null, "Changed"), h("dd", null, time(record.updated_at)))),
      h("div", { class: "actions" }, this.edit, this.remove),
      names.length ? table("Attributes", [["Attribute"], ["Value"]], names.map((name) =>
        h("tr", null, h("th", { scope: "row" }, foreign(name, 255)), h("td", null, shown(attributes[name], 2000)))), "fixed two")
        : message({ title: "No attributes", text: "This record has an id and nothing else." }),
      h("section", { class: "part", "aria-labelledby": "json-title" }, h("h2", { id: "json-title" }, "As JSON"), this.json));
  }

  #edit() {
    const record = this.#record;
    const back = () => {
      this.#show(this.#record);
      this.edit.focus();
    };
    this.edit.hidden = this.remove.hidden = true;
    const editor = new Editor({
      label: "Attributes", text: stringify(record.attributes ?? {}, 2), cancel: back,
      hint: "Only what you change is sent: what others change meanwhile stays. What you take out is removed.",
      save: async (attributes) => {
        const changes = patch(record.attributes ?? {}, attributes);
        if (Object.keys(changes).length) {
          const { data } = await this.#session.exact(this.#path, { method: "PATCH", body: `{"data":{"attributes":${stringify(changes)}}}`, signal: this.#left.signal });
          this.#record = data;
          this.#session.memory.delete("records");
        }
        back();
      },
    });
    fill(this.json, editor.element);
    this.json.scrollIntoView({ block: "nearest" });
    editor.focus();
  }

  #ask() {
    question(this.dialogs, {
      title: "Delete this record?", yes: "Delete the record", no: "Keep it",
      words: [h("p", null, "It cannot be brought back. ", "A record that relationships use is not deleted."),
        h("p", null, foreign(this.#record.type, 80), " ", foreign(this.#record.external_id ?? this.#record.id, 255))],
      act: async () => {
        try {
          await this.#session.exact(this.#path, { method: "DELETE", signal: this.#left.signal });
        } catch (problem) {
          if (problem.unsure) problem.detail += " It may have been deleted all the same: deleting it again does no harm.";
          // Somebody was faster, or an answer was lost.
          if (problem.status !== 404) throw problem;
        }
        this.#session.memory.delete("records");
        this.gone = true;
      },
      back: () => {
        if (this.#left.signal.aborted) return;
        if (!this.gone) return this.remove.focus();
        announce("The record is deleted.");
        location.hash = `#/records?type=${encodeURIComponent(this.#record.type)}`;
      },
    });
  }

  async #loadRelationships() {
    try {
      const { data } = await this.#session.exact(`${BASE}/relationships/types?per_page=1000`, { signal: this.#left.signal });
      const type = this.#record.type.toLowerCase();
      const fitting = data.filter((one) => [...ends(one.source), ...ends(one.target)].includes(type));
      fill(this.related, h("section", { class: "part", "aria-labelledby": "related-title" }, h("h2", { id: "related-title" }, "Relationships"),
        fitting.length ? fitting.map((one) => this.#relationship(one, ends(one.source).includes(type)))
          : h("p", { class: "hint" }, "No relationship type has this type at one of its ends.")));
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      fill(this.related, wrong(problem, () => this.#loadRelationships()));
    }
  }

  /** One kind of relationship. It is asked for when somebody opens it: each is a request. */
  #relationship(type, isSource) {
    const place = h("div", { class: "relations", role: "status" });
    const details = h("details", { class: "relation" },
      h("summary", null, foreign(type.key, 80), h("span", { class: "hint" }, " ", foreign(stringifyEnd(type.source), 60), " → ", foreign(stringifyEnd(type.target), 60))), place);
    details.addEventListener("toggle", () => details.open && !place.childElementCount && this.#open(type, isSource, place));
    return details;
  }

  async #open(type, isSource, place) {
    setText(place, "Loading…");
    const key = encodeURIComponent(type.key);
    const ask = (path) => this.#session.exact(`${this.#path}/${path}/${key}?per_page=${PAGE}`, { signal: this.#left.signal });
    try {
      const [links, records] = await Promise.all([isSource ? ask("relationships") : null, ask("related")]);
      const known = new Map(records.data.map((record) => [record.id, record]));
      const line = (id) => {
        const record = known.get(id);
        const inside = record ? [foreign(record.type, 40), " ", foreign(record.external_id ?? record.id, 80)] : [h("code", null, foreign(id, 80))];
        return h("li", null, String(id).startsWith("zen:") ? inside : h("a", { href: `#/records/${encodeURIComponent(id)}` }, inside));
      };
      const more = links?.links?.next || records.links?.next;
      const others = links ? links.data.map((link) => link.target).filter((id) => !known.has(id)) : [];
      const ids = [...known.keys(), ...others];
      fill(place, ids.length ? h("p", { class: "hint" }, `${counted(ids.length, "thing")} at the other end${more ? `, of which the first ${PAGE} are shown` : ""}:`) : h("p", { class: "hint" }, "Nothing is linked."),
        ids.length > 0 && h("ul", { class: "related" }, ids.map(line)));
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      fill(place, wrong(problem, () => this.#open(type, isSource, place)));
    }
  }
}

const stringifyEnd = (end) => (Array.isArray(end) ? `many ${end.join(", ")}` : String(end));
