// Records, found by what the API can find them by.

import { BASE, Gone } from "./api.js";
import { announce, busy, fill, foreign, h, setText, visible } from "./dom.js";
import { counted } from "./format.js";
import { Unreadable, isObject, parse, put, stringify } from "./json.js";
import { Moment, choice, field, message, skeletons, table, wrong } from "./parts.js";
import { loadTypes, propertiesOf, typesOf } from "./types.js";

const PAGE = 50;
const SHOWN = 5;
const NAMES = ["type", "by", "attribute", "is", "value", "query", "sort"];
const BY = [["", "All records"], ["external_id", "External id"], ["id", "Id"], ["attribute", "An attribute"], ["query", "A query in JSON"]];
const IS = [["$eq", "is"], ["$ne", "is not"], ["$contains", "contains"], ["$prefix", "begins with"], ["$gt", "is greater than"], ["$gte", "is at least"],
  ["$lt", "is less than"], ["$lte", "is at most"], ["$exists", "is there"], ["absent", "is not there"]];
const SORT = [["", "Newest first"], ["_created_at asc", "Oldest first"], ["_updated_at desc", "Last changed first"]];
const VALUELESS = new Set(["$exists", "absent"]);

/** What is shown of a value in a cell. */
export function shown(value, most = 120) {
  if (value === undefined || value === null) return h("span", { class: "none" }, "–");
  if (typeof value === "string") return foreign(value, most);
  return typeof value === "object" && !("literal" in value) ? h("code", null, foreign(stringify(value), most)) : h("span", { class: "figures" }, foreign(String(value), most));
}

/** A value as its attribute's type has it: a query distinguishes 5 from "5". */
export function typed(text, property) {
  const types = typesOf(property);
  const isNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text.trim());
  if (isNumber && (types.includes("number") || types.includes("integer"))) return parse(text.trim());
  if (/^(true|false)$/i.test(text.trim()) && types.includes("boolean")) return /^true$/i.test(text.trim());
  return text;
}

export class RecordsView {
  name = "records";
  title = "Records";
  #session;
  #left = new AbortController();
  #asked = new AbortController();
  #types = [];
  #ready;
  #list = null;
  #query = null;

  constructor(session, query) {
    this.#session = session;
    this.#build();
    this.#ready = this.#loadTypes();
    this.show(query, true);
  }

  #build() {
    this.type = choice([["", "Any type"]]);
    this.by = choice(BY);
    this.attribute = h("input", { type: "text", list: "attributes", autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
    this.names = h("datalist", { id: "attributes" });
    this.is = choice(IS);
    this.value = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
    this.query = h("textarea", { class: "json-area short", rows: 4, spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
    this.sort = choice(SORT);
    this.fields = {
      attribute: field("Attribute", this.attribute),
      is: field("Comparison", this.is),
      value: field("Value", this.value),
      query: field("Query", this.query, "As POST /objects/query takes it, for example {\"price\": {\"$gte\": 1, \"$lt\": 2}}. The type beside it holds too."),
    };
    this.complaint = h("p", { class: "complaint", role: "alert" });
    const form = h("form", { class: "finder", role: "search", "aria-label": "Find records", onsubmit: (event) => {
      event.preventDefault();
      this.#go();
    } },
      h("div", { class: "finder-row" }, field("Type", this.type), field("Find by", this.by), field("Order", this.sort)),
      h("div", { class: "finder-row" }, this.fields.attribute, this.fields.is, this.fields.value), this.fields.query, this.names,
      this.complaint,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "button main" }, "Search"),
        h("p", { class: "hint", id: "search-cost" }, "No attribute has an index: a search by one reads the records of the type.")));
    form.addEventListener("change", () => this.#fields());
    this.status = h("p", { class: "status-line" }, "Loading…");
    this.place = h("div", null);
    this.more = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#more() }, "Load more");
    this.heading = h("h1", { tabindex: "-1" }, "Records");
    this.element = h("div", { class: "view" }, this.heading, form, this.status, this.place, h("div", { class: "more" }, this.more));
  }

  leave() {
    this.#left.abort();
    this.#asked.abort();
    // For the way back from a record. Who comes from anywhere else wants what is there now.
    if (this.#list?.opened && !this.#session.ended && location.hash.startsWith("#/records/")) this.#session.memory.set("records", this.#list);
    else this.#session.memory.delete("records");
  }

  /** Back from a record: where the reader was. */
  entered() {
    const seen = this.#list;
    if (!seen?.opened) return false;
    scrollTo(0, seen.scroll);
    const link = this.place.querySelector(`a[data-at="${seen.opened}"]`);
    seen.opened = null;
    link?.focus({ preventScroll: true });
    return Boolean(link);
  }

  async #loadTypes() {
    try {
      this.#types = await loadTypes(this.#session, this.#left.signal);
    } catch (problem) {
      if (problem instanceof Gone || this.#left.signal.aborted) throw new Gone();
      // Records can be looked for without: their types are only not offered.
    }
    const chosen = this.wanted?.get("type") ?? "";
    fill(this.type, h("option", { value: "" }, "Any type"), this.#types.map(({ key }) => h("option", { value: key }, visible(key.slice(0, 120)))));
    this.#set(this.type, chosen);
    this.#fields();
  }

  /** Also what is not among the choices, as it may stand in an address. */
  #set(select, value) {
    if (![...select.options].some((option) => option.value === value)) select.appendChild(h("option", { value }, visible(value.slice(0, 120))));
    select.value = value;
  }

  get #typeChosen() {
    return this.#types.find(({ key }) => key.toLowerCase() === this.type.value.toLowerCase());
  }

  #fields() {
    const by = this.by.value;
    this.fields.attribute.hidden = this.fields.is.hidden = by !== "attribute";
    this.fields.value.hidden = by === "" || by === "query" || (by === "attribute" && VALUELESS.has(this.is.value));
    this.fields.query.hidden = by !== "query";
    const names = new Set((this.#typeChosen ? [this.#typeChosen] : this.#types).flatMap((type) => Object.keys(propertiesOf(type))));
    fill(this.names, [...names].slice(0, 300).map((name) => h("option", { value: name })));
  }

  /** Searches as the address says. */
  show(query, first = false) {
    this.wanted = new URLSearchParams(query);
    for (const name of NAMES) {
      const value = this.wanted.get(name) ?? "";
      if (this[name].tagName === "SELECT") this.#set(this[name], value || this[name].options[0].value);
      else this[name].value = value;
    }
    this.#fields();
    this.#query = this.wanted.toString();
    const seen = this.#session.memory.get("records");
    this.#session.memory.delete("records");
    if (first && seen?.query === this.#query) {
      this.#list = seen;
      this.#types = seen.types;
      return this.#render();
    }
    this.#begin();
  }

  #go() {
    const wanted = new URLSearchParams();
    for (const name of NAMES) {
      const hidden = this.fields[name]?.hidden;
      const value = this[name].value;
      if (value && !hidden && !(name === "is" && value === "$eq")) wanted.set(name, value);
    }
    const query = wanted.toString();
    if (query === this.#query) return this.#begin();
    location.hash = query ? `#/records?${query}` : "#/records";
  }

  /** The body of the search, or null where it cannot be made and the reader is told why. */
  #body() {
    const query = {};
    const type = this.type.value;
    if (type) query._type = type;
    const by = this.by.value;
    const value = this.value.value;
    setText(this.complaint, "");
    if ((by === "external_id" || by === "id") && value) query[by === "id" ? "_id" : "_external_id"] = value.trim();
    if (by === "attribute") {
      const name = this.attribute.value.trim();
      if (!name) {
        setText(this.complaint, "Say which attribute.");
        return null;
      }
      const properties = this.#typeChosen ? propertiesOf(this.#typeChosen) : Object.assign({}, ...this.#types.map(propertiesOf));
      const is = this.is.value;
      const compared = is === "absent" ? { $exists: false } : is === "$exists" ? { $exists: true } : { [is]: typed(value, Object.hasOwn(properties, name) ? properties[name] : null) };
      put(query, name, compared);
    }
    const body = {};
    if (by === "query") {
      try {
        const written = parse(this.query.value || "{}");
        if (!isObject(written)) throw new Unreadable("it must be an object, in { and }", this.query.value, 0);
        body.query = type ? { $and: [query, written] } : written;
      } catch (problem) {
        setText(this.complaint, problem.message);
        return null;
      }
    } else {
      body.query = query;
    }
    if (this.sort.value) body.sort_by = this.sort.value;
    return stringify(body);
  }

  async #begin() {
    this.#asked.abort();
    const asked = (this.#asked = new AbortController());
    if (this.place.contains(document.activeElement) || document.activeElement === this.more) this.heading.focus({ preventScroll: true });
    this.#list = null;
    this.more.hidden = true;
    setText(this.status, "Searching…");
    fill(this.place, skeletons());
    try {
      await this.#ready;
    } catch {
      return;
    }
    if (asked.signal.aborted) return;
    const body = this.#body();
    if (body === null) {
      setText(this.status, "");
      return this.place.replaceChildren();
    }
    const list = { query: this.#query, body, records: [], next: `${BASE}/objects/query?per_page=${PAGE}`, opened: null, scroll: 0 };
    try {
      await this.#page(list, asked.signal);
      this.#list = list;
      list.types = this.#types;
      this.#render();
      announce(this.#summary());
    } catch (problem) {
      if (problem instanceof Gone || asked.signal.aborted) return;
      setText(this.status, "");
      fill(this.place, wrong(problem, () => this.#begin()));
    }
  }

  async #page(list, signal) {
    const { data, links } = await this.#session.exact(list.next, { method: "POST", body: list.body, signal });
    list.records.push(...data);
    list.next = links?.next ?? null;
  }

  async #more() {
    const list = this.#list;
    if (this.more.hasAttribute("aria-disabled")) return;
    busy(this.more, true);
    const before = list.records.length;
    const signal = this.#asked.signal;
    try {
      await this.#page(list, signal);
      const held = document.activeElement === this.more;
      const inside = this.place.contains(document.activeElement) ? document.activeElement : null;
      this.#render();
      announce(this.#summary());
      const link = (place) => this.place.querySelector(`a[data-at="${place}"]`) ?? this.heading;
      // There is no more, and so no button any more.
      if (held && !list.next) link(before).focus({ preventScroll: true });
      else if (inside) link(inside.dataset.at).focus({ preventScroll: true });
    } catch (problem) {
      if (problem instanceof Gone || signal.aborted) return;
      setText(this.status, `More could not be loaded: ${problem.detail ?? "something went wrong."}`);
    } finally {
      busy(this.more, false);
    }
  }

  #summary() {
    const { records, next } = this.#list;
    return `${counted(records.length, "record")} shown${next ? ", there may be more" : ""}.`;
  }

  #render() {
    const list = this.#list;
    setText(this.status, this.#summary());
    this.more.hidden = !list.next;
    setText(this.more, list.records.length ? "Load more" : "Look further");
    if (!list.records.length) {
      const [title, text] = list.next ? ["None found yet", "A page looks at 2,000 records at the most. Among these none is like this; there are others."]
        : this.#query ? ["No such records", "No record is like this."] : ["No records yet", "Records are made by jobs, or one at a time through the API."];
      return fill(this.place, message({ title, text }));
    }
    const type = this.#typeChosen;
    const names = type ? Object.keys(propertiesOf(type)).slice(0, SHOWN) : [];
    const columns = [["Record"], ...(type ? [] : [["Type"]]), ...(names.length ? names.map((name) => [foreign(name, 40)]) : [["Attributes"]]), ["Created"], ["Changed"]];
    const time = (at) => {
      const moment = new Moment(true);
      moment.show(at);
      return moment.element;
    };
    fill(this.place, table("Records", columns, list.records.map((record, index) => h("tr", null,
      h("th", { scope: "row" }, h("a", { href: `#/records/${encodeURIComponent(record.id)}`, "data-at": String(index), onclick: () => {
        list.opened = String(index);
        list.scroll = scrollY;
      } }, record.external_id === null || record.external_id === undefined ? h("code", null, foreign(record.id, 40)) : foreign(record.external_id, 60))),
      type ? null : h("td", null, foreign(record.type, 40)),
      names.length ? names.map((name) => h("td", { class: typesOf(propertiesOf(type)[name]).some((one) => one === "number" || one === "integer") ? "number" : null },
        shown(record.attributes && Object.hasOwn(record.attributes, name) ? record.attributes[name] : undefined)))
        : h("td", null, h("code", null, foreign(stringify(record.attributes ?? {}), 160))),
      h("td", null, time(record.created_at)), h("td", null, time(record.updated_at)))), "lines"));
    if (names.length) {
      [...this.place.querySelectorAll("thead th")].slice(1, 1 + names.length).forEach((head, at) => {
        head.classList.toggle("number", typesOf(propertiesOf(type)[names[at]]).some((one) => one === "number" || one === "integer"));
      });
    }
  }
}
