// Object types, and the schema of one.

import { BASE, Gone, Problem } from "./api.js";
import { Editor } from "./editor.js";
import { fill, foreign, h, setText } from "./dom.js";
import { count, counted } from "./format.js";
import { isObject, sorted, stringify } from "./json.js";
import { limitBars, loadLimits } from "./limits.js";
import { Moment, message, skeletons, table, wrong } from "./parts.js";

export async function loadTypes(session, signal) {
  return (await session.exact(`${BASE}/objects/types?per_page=1000`, { signal })).data;
}

export const propertiesOf = (type) => (isObject(type?.schema?.properties) ? type.schema.properties : {});
export const requiredOf = (type) => (Array.isArray(type?.schema?.required) ? type.schema.required.filter((name) => typeof name === "string") : []);

/** The types of a property, as a list. */
export function typesOf(property) {
  const type = isObject(property) ? property.type : undefined;
  return (Array.isArray(type) ? type : [type]).filter((one) => typeof one === "string");
}

const time = (at, relative = true) => {
  const moment = new Moment(relative);
  moment.show(at);
  return moment.element;
};

export class TypesView {
  name = "types";
  title = "Types";
  #session;
  #left = new AbortController();

  constructor(session) {
    this.#session = session;
    this.status = h("p", { class: "status-line", role: "status" }, "Loading…");
    this.place = h("div", null, skeletons());
    this.limits = h("div", { class: "job-place" }, skeletons(1));
    this.element = h("div", { class: "view" },
      h("h1", { tabindex: "-1" }, "Types"), this.status, this.place,
      h("section", { class: "part", "aria-labelledby": "limits-title" }, h("h2", { id: "limits-title" }, "Limits of this account"), this.limits));
    this.#load();
    this.#loadLimits();
  }

  leave() {
    this.#left.abort();
  }

  async #load() {
    try {
      const types = await loadTypes(this.#session, this.#left.signal);
      setText(this.status, types.length ? `${counted(types.length, "object type")}. The API counts records of all types together: they are among the limits.` : "");
      fill(this.place, types.length ? table("Object types", [["Type"], ["Attributes", "number"], ["Required", "number wide-only"], ["Version", "number wide-only"], ["Changed", "wide-only"], ["Records"]],
        types.map((type) => h("tr", null,
          h("th", { scope: "row" }, h("a", { href: `#/types/${encodeURIComponent(type.key)}` }, foreign(type.key, 80))),
          h("td", { class: "number figures" }, count(Object.keys(propertiesOf(type)).length)),
          h("td", { class: "number figures wide-only" }, count(requiredOf(type).length)),
          h("td", { class: "number figures wide-only" }, String(type.version)),
          h("td", { class: "wide-only" }, time(type.updated_at)),
          h("td", null, h("a", { href: `#/records?type=${encodeURIComponent(type.key)}` }, "Browse", h("span", { class: "unseen" }, " records of ", foreign(type.key, 80)))))), "fixed")
        : message({ title: "No types yet", text: "A type says which attributes its records have. It is made with POST /objects/types; the local run prints an example." }));
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      setText(this.status, "");
      fill(this.place, wrong(problem, () => this.#load()));
    }
  }

  async #loadLimits() {
    try {
      fill(this.limits, limitBars(await loadLimits(this.#session, this.#left.signal)),
        h("p", { class: "hint" }, "What jobs make or delete is counted when they end."));
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      fill(this.limits, wrong(problem, () => this.#loadLimits()));
    }
  }
}

/** What a property asks of its value beside its type, in the words of the schema. */
function rules(property) {
  if (!isObject(property)) return [];
  return Object.keys(property).filter((name) => name !== "type").map((name) =>
    h("li", null, foreign(name, 60), ": ", h("code", null, foreign(stringify(property[name]), 200))));
}

export class TypeView {
  name = "type";
  title = "Type";
  #session;
  #key;
  #left = new AbortController();
  #type = null;

  constructor(session, key) {
    this.#session = session;
    this.#key = key;
    this.heading = h("h1", { tabindex: "-1" }, foreign(key, 80));
    this.place = h("div", { class: "job-place" }, skeletons());
    this.status = h("p", { class: "status-line", role: "status" }, "Loading…");
    this.notice = h("div", { role: "status" });
    this.element = h("div", { class: "view" }, h("p", { class: "back" }, h("a", { href: "#/types" }, "‹ All types")), this.heading, this.status, this.notice, this.place);
    this.#load();
  }

  leave() {
    this.#left.abort();
  }

  get #path() {
    return `${BASE}/objects/types/${encodeURIComponent(this.#key)}`;
  }

  async #load() {
    try {
      this.#show((await this.#session.exact(this.#path, { signal: this.#left.signal })).data);
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) return;
      setText(this.status, "");
      fill(this.place, problem.status === 404
        ? message({ kind: "wrong", title: "No such type", text: "There is no object type of this key." }) : wrong(problem, () => this.#load()));
    }
  }

  #show(type) {
    this.#type = type;
    fill(this.heading, foreign(type.key, 80));
    const properties = propertiesOf(type);
    const required = new Set(requiredOf(type));
    const names = Object.keys(properties);
    fill(this.status, `${counted(names.length, "attribute")}, version ${type.version}, changed `, time(type.updated_at), ".");
    this.edit = h("button", { type: "button", class: "button", onclick: () => this.#edit() }, "Edit the schema");
    this.json = h("div", { class: "json-place" }, h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": "The schema as JSON" }, foreign(stringify(type.schema, 2))));
    fill(this.place,
      h("div", { class: "actions" },
        h("a", { class: "button", href: `#/records?type=${encodeURIComponent(type.key)}` }, "Browse its records"),
        h("a", { class: "button", href: `#/new?type=${encodeURIComponent(type.key)}` }, "New job from a file")),
      names.length ? table("Attributes", [["Attribute"], ["Type"], ["Rules"], ["Required"]], names.map((name) => {
        const list = rules(properties[name]);
        return h("tr", null, h("th", { scope: "row" }, foreign(name, 255)),
          h("td", null, foreign(typesOf(properties[name]).join(" or ") || "–", 80)),
          h("td", null, list.length ? h("ul", { class: "rules" }, list) : h("span", { class: "none" }, "none")),
          h("td", null, required.has(name) ? h("strong", null, "yes") : h("span", { class: "none" }, "no")));
      }), "fixed") : message({ title: "No attributes", text: "Records of this type have an id and an external id, and nothing else." }),
      h("section", { class: "part", "aria-labelledby": "json-title" },
        h("div", { class: "part-head" }, h("h2", { id: "json-title" }, "As JSON"), this.edit), this.json));
  }

  #edit() {
    const back = () => {
      this.#show(this.#type);
      this.edit.focus();
    };
    fill(this.notice);
    // What was sent last, when its answer was lost.
    let lost = null;
    // The API adds this member where it is missing.
    const kept = (schema) => sorted({ additionalProperties: false, ...schema });
    const editor = new Editor({
      label: "Schema", text: stringify(this.#type.schema, 2), cancel: back,
      hint: "JSON Schema with properties, each with a type. Records that are there stay as they are until their next write.",
      save: async (schema) => {
        // Saving replaces all of it: what somebody else changed meanwhile would be lost unseen.
        const now = (await this.#session.exact(this.#path, { signal: this.#left.signal })).data;
        const begun = this.#type;
        if (now.created_at !== begun.created_at) {
          throw new Problem(409, "Changed", "Somebody has deleted this type meanwhile, and made another of the same key. Copy what you wrote, cancel, load the page again, and edit that.", "console");
        }
        if (now.version !== begun.version && kept(now.schema) === kept(schema)) {
          this.#type = now;
          return back();
        }
        if (now.version === begun.version + 1 && kept(now.schema) === lost) {
          this.#type = now;
        } else if (now.version !== begun.version) {
          throw new Problem(409, "Changed", `Somebody has changed the schema meanwhile: it is version ${now.version} now, and this text began as version ${begun.version}. Copy what you wrote, cancel, load the page again, and edit that.`, "console");
        }
        let data;
        try {
          ({ data } = await this.#session.exact(this.#path, { method: "PUT", body: `{"data":{"schema":${stringify(schema)}}}`, signal: this.#left.signal }));
        } catch (problem) {
          if (problem.unsure) lost = kept(schema);
          throw problem;
        }
        // Between the look and the saving there is a moment.
        const replaced = data.version !== now.version + 1;
        this.#type = data;
        back();
        if (replaced) fill(this.notice, h("p", { class: "warned" }, `Somebody else saved this schema at the same moment, and this one has replaced theirs: it is version ${data.version}, where ${now.version + 1} was to be expected. Tell them.`));
      },
    });
    this.edit.hidden = true;
    fill(this.json, editor.element);
    editor.focus();
  }
}
