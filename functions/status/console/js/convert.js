// From the rows of a file to the items of jobs.

import { Exact, Unreadable, isDeeper, parse, put, stringify } from "./json.js";
import { each } from "./readfile.js";
import { propertiesOf, requiredOf, typesOf } from "./types.js";

export const MOST_ITEMS = 10_000;
/** A body may have 6,000,000 bytes; on AWS, quotation marks and backslashes count twice on its way. The rest is room for what stands around. */
const MOST_WEIGHT = 5_000_000;
const MOST_ATTRIBUTES = 32_768;
const MOST_ID = 255;
/** Of JSON in attributes, which are the first themselves. */
const MOST_LEVELS = 100;
const KEPT_ERRORS = 500;

export const ACTIONS = [
  ["post", "Create records"],
  ["external_id_set", "Create or update by external id"],
  ["update", "Update by id"],
  ["delete", "Delete by id"],
  ["external_id_delete", "Delete by external id"],
];
export const needsId = (action) => action === "update" || action === "delete";
export const needsExternalId = (action) => action === "external_id_set" || action === "external_id_delete";
export const hasAttributes = (action) => action === "post" || action === "external_id_set" || action === "update";

export const EXTERNAL_ID = "@external_id";
export const ID = "@id";
/** No attribute's name begins so, because of what stands before it. */
export const attribute = (name) => `.${name}`;

const plain = (name) => String(name).toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** What each column may become, by its name. */
export function guess(columns, type, action) {
  const taken = new Set();
  const known = new Map(Object.keys(propertiesOf(type)).map((name) => [plain(name), name]));
  const take = (target) => (taken.has(target) ? "" : (taken.add(target), target));
  const targets = columns.map((column) => {
    const name = plain(column).replace(/^attributes(?=.)/, (all) => (known.has(plain(column)) ? all : ""));
    if ((name === "externalid" || name === "extid") && !needsId(action)) return take(EXTERNAL_ID);
    if (name === "id" && needsId(action)) return take(ID);
    return known.has(name) && hasAttributes(action) ? take(attribute(known.get(name))) : "";
  });
  // A table of one's own calls its key "id", which is no id of the API.
  if (needsExternalId(action) && !taken.has(EXTERNAL_ID)) {
    const place = columns.findIndex((column, index) => !targets[index] && ["id", "key", "code"].includes(plain(column)));
    if (place >= 0) targets[place] = EXTERNAL_ID;
  }
  return targets;
}

const WORDS = { string: "text", integer: "a whole number", number: "a number", boolean: "true or false", array: "a list in JSON, in [ and ]", object: "an object in JSON, in { and }" };
const YES = new Set(["true", "yes", "y", "1"]);
const NO = new Set(["false", "no", "n", "0"]);
const [LEAST, MOST] = [-(2n ** 63n), 2n ** 64n - 1n];

export class Wrong extends Error {}

const kindOf = (value) => (value instanceof Exact || typeof value === "number" ? "number" : Array.isArray(value) ? "array" : typeof value);

/** A whole number that a script would round: it is written as it was. */
const isWhole = (value) => value instanceof Exact && /^-?\d+$/.test(value.literal);

function number(text, decimal, whole) {
  // Whether a point stands for thousands there, nobody can know: 1.000 is not made 1.
  if (decimal === "," && text.includes(".")) return null;
  const written = (decimal === "," ? text.replace(",", ".") : text).trim();
  const found = /^([+-]?)0*(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(written);
  if (!found || !/\d/.test(written.replace(/[eE].*/, ""))) return null;
  const [, sign, digits, part = "", power] = found;
  const literal = `${sign === "-" ? "-" : ""}${digits || "0"}`;
  if (power === undefined && !/[1-9]/.test(part)) {
    const large = BigInt(literal);
    if (large < LEAST || large > MOST) throw new Wrong("is too large for a whole number of 64 bits");
    return parse(literal);
  }
  const value = Number(`${literal}.${part || "0"}${power === undefined ? "" : `e${power}`}`);
  if (!Number.isFinite(value)) throw new Wrong("is too large for a number");
  return whole && !Number.isInteger(value) ? null : value;
}

/** A cell as its attribute wants it. Throws what is wrong with it. */
export function convert(value, property, decimal = ".") {
  const types = typesOf(property).filter((type) => type !== "null");
  if (typeof value !== "string") {
    const kind = kindOf(value);
    if (!types.length || types.includes(kind)) return value;
    if (kind === "number" && types.includes("integer") && (value instanceof Exact || Number.isInteger(value))) return value;
    throw new Wrong(`must be ${types.map((type) => WORDS[type] ?? type).join(" or ")}`);
  }
  if (!types.length || types.includes("string")) return value;
  const text = value.trim();
  if (types.includes("number") || types.includes("integer")) {
    const found = number(text, decimal, !types.includes("number"));
    if (found !== null) return found;
  }
  if (types.includes("boolean")) {
    if (YES.has(text.toLowerCase())) return true;
    if (NO.has(text.toLowerCase())) return false;
  }
  if ((types.includes("array") && text.startsWith("[")) || (types.includes("object") && text.startsWith("{"))) {
    try {
      return parse(text);
    } catch (problem) {
      if (problem instanceof Unreadable) throw new Wrong(`is no JSON: ${problem.message}`);
      throw problem;
    }
  }
  throw new Wrong(`must be ${types.map((type) => WORDS[type] ?? type).join(" or ")}`);
}

const encoder = new TextEncoder();

const bytesOf = (text) => encoder.encode(text).length;

/** The bytes of a text, quotation marks and backslashes counted twice, and a comma behind it. */
function weightOf(text) {
  let marks = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34 || code === 92) marks += 1;
  }
  return bytesOf(text) + marks + 1;
}

/** What is sent: which rows, as which items, in which jobs. */
export class Plan {
  /** `{number, column, value, words}` of the first that are wrong, and how many there are in all. */
  errors = [];
  wrongCells = 0;
  wrongRows = 0;
  /** Indices of the rows that can be sent. */
  good = [];
  /** `{from, to}` among the good ones. */
  parts = [];
  repeated = 0;
  #table;
  #type;
  #action;
  #targets;
  #clears;
  #decimal;
  #properties;
  #required;

  /** `clears`: an empty cell takes the attribute away, and is not merely left out. */
  constructor({ table, type, action, targets, clears = false, decimal = "." }) {
    this.#table = table;
    this.#type = type;
    this.#action = action;
    this.#targets = targets;
    this.#clears = clears;
    this.#decimal = decimal;
    this.#properties = propertiesOf(type);
    this.#required = action === "post" ? requiredOf(type) : [];
  }

  get action() {
    return this.#action;
  }

  get type() {
    return this.#type;
  }

  numberOf(index) {
    return this.#table.numbers[index];
  }

  /** The type that the row names as its own, where it is an item as jobs have it. */
  #saidType(index) {
    const said = this.#table.types?.[index];
    if (!said) return undefined;
    // Of one without attributes nobody knows whether it is an item, or an object with an attribute of that name.
    const place = said.sure ? -1 : this.#table.columns.indexOf("type");
    return place >= 0 && this.#targets[place] ? undefined : said.type;
  }

  /** The item of a row, and what is wrong with it. */
  item(index) {
    const row = this.#table.rows[index];
    const wrong = [];
    const miss = (words, value = "") => wrong.push({ column: -1, value, words });
    const attributes = {};
    const ofText = (this.#table.kind ?? "csv") === "csv";
    const said = this.#saidType(index);
    if (said !== undefined && String(said).toLowerCase() !== this.#type.key.toLowerCase()) miss(`is of another type than ${this.#type.key}, which is chosen`, said);
    let id;
    let externalId;
    for (let column = 0; column < this.#targets.length; column += 1) {
      const target = this.#targets[column];
      if (!target) continue;
      const value = row[column];
      const nothing = value === undefined || value === null || value === "";
      if (target === ID || target === EXTERNAL_ID) {
        if (nothing) continue;
        if ((typeof value === "object" && !isWhole(value)) || typeof value === "boolean") wrong.push({ column, value, words: "must be text" });
        else if (target === ID) id = String(value).trim();
        else externalId = String(value);
        continue;
      }
      const name = target.slice(1);
      // A table cannot say "an empty text"; JSON does.
      if (value === undefined || value === null || (ofText && value === "")) {
        if (value === null || (this.#clears && value !== undefined)) put(attributes, name, null);
        continue;
      }
      try {
        put(attributes, name, convert(value, this.#properties[name], this.#decimal));
      } catch (problem) {
        if (!(problem instanceof Wrong)) throw problem;
        wrong.push({ column, value, words: problem.message });
      }
    }
    if (row.length > this.#targets.length && row.slice(this.#targets.length).some((cell) => cell !== "")) {
      miss(`has ${row.length} cells, of ${this.#targets.length} columns: a delimiter may stand in a cell without quotation marks`);
    }
    if (needsId(this.#action) && id === undefined) miss("has no id");
    if (needsExternalId(this.#action) && externalId === undefined) miss("has no external id");
    if (externalId !== undefined && externalId.length > MOST_ID && [...externalId].length > MOST_ID) miss(`has an external id of more than ${MOST_ID} characters`, externalId);
    for (const name of this.#required) {
      const given = wrong.some(({ column }) => column >= 0 && this.#targets[column] === attribute(name));
      if (!given && (!Object.hasOwn(attributes, name) || attributes[name] === null)) wrong.push({ column: -1, name, value: "", words: "is required, and is missing" });
    }
    const item = {};
    if (this.#action === "post" || needsExternalId(this.#action)) item.type = this.#type.key;
    if (needsId(this.#action)) item.id = id;
    else if (externalId !== undefined) item.external_id = externalId;
    if (hasAttributes(this.#action)) {
      item.attributes = attributes;
      const deep = isDeeper(attributes, MOST_LEVELS);
      if (deep) miss(`is nested too deep: attributes have at most ${MOST_LEVELS} levels`);
      const size = deep ? "" : stringify(attributes);
      if (size.length * 3 > MOST_ATTRIBUTES && bytesOf(size) > MOST_ATTRIBUTES) miss(`has more than ${MOST_ATTRIBUTES.toLocaleString("en")} bytes of attributes`);
    }
    item.client_ref = `row ${this.numberOf(index)}`;
    return { item, wrong };
  }

  /** Looks at every row. False when it was stopped. */
  async check(signal, told) {
    const { broken = [], brokenCount = broken.length } = this.#table;
    this.wrongRows = this.wrongCells = brokenCount;
    this.errors = broken.map(([number, words]) => ({ number, column: -1, value: "", words }));
    const parts = [];
    let part = null;
    const seen = new Map();
    const done = await each(this.#table.rows.length, signal, (index) => {
      const { item, wrong } = this.item(index);
      if (wrong.length) {
        this.wrongRows += 1;
        this.wrongCells += wrong.length;
        for (const one of wrong) {
          if (this.errors.length < KEPT_ERRORS) this.errors.push({ number: this.numberOf(index), ...one });
        }
        return;
      }
      const weight = weightOf(stringify(item));
      if (!part || part.to - part.from >= MOST_ITEMS || part.weight + weight > MOST_WEIGHT) {
        part = { from: this.good.length, to: this.good.length, weight: 0 };
        parts.push(part);
      }
      part.weight += weight;
      this.good.push(index);
      part.to = this.good.length;
      const key = item.id ?? item.external_id?.toLowerCase();
      if (key !== undefined) {
        const before = seen.get(key);
        if (before !== undefined) {
          this.repeated += 1;
          if (before !== parts.length) this.acrossJobs = true;
        }
        seen.set(key, parts.length);
      }
    }, told);
    this.parts = parts;
    this.errors.sort((one, other) => one.number - other.number);
    return done;
  }

  /** The body of one job. Null when it was stopped. */
  async body(part, signal) {
    const items = [];
    const done = await each(part.to - part.from, signal, (at) => items.push(stringify(this.item(this.good[part.from + at]).item)));
    return done ? `{"type":"resources","action":${JSON.stringify(this.#action)},"data":[${items.join(",")}]}` : null;
  }

  rowsOf({ from, to }) {
    return [this.numberOf(this.good[from]), this.numberOf(this.good[to - 1])];
  }
}
