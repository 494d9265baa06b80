// Reads a file into rows, a slice at a time, so that the page stays usable whatever its size. Nothing of it leaves the browser here.

import { DEEPEST, Unreadable, isDeeper, isObject, parse } from "./json.js";

export const MOST_BYTES = 200 * 1024 * 1024;
export const MOST_ROWS = 1_000_000;
export const MOST_COLUMNS = 500;
const SLICE = 512 * 1024;
const HEAD = 64 * 1024;
const TURN = 12;
/** Of what cannot be read, so many are named. All are counted. */
const KEPT_BROKEN = 100;
const OF_AN_ITEM = new Set(["type", "id", "external_id", "client_ref"]);

/** Lets the page draw and answer. Not by a timer: those of a tab that nobody looks at hardly run. */
export function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Does something for each index, pausing often. Stops when told so. */
export async function each(count, signal, act, told = null) {
  let turn = performance.now();
  for (let index = 0; index < count; index += 1) {
    act(index);
    if (index % 16 === 0 && performance.now() - turn > TURN) {
      told?.(index);
      await pause();
      if (signal?.aborted) return false;
      turn = performance.now();
    }
  }
  return !signal?.aborted;
}

/** A file that cannot be read, in words for the reader. */
export class BadFile extends Error {}

/** Cells between delimiters, in quotes where they hold one (RFC 4180), pushed in pieces. */
export class Csv {
  rows = [];
  /** As a spreadsheet counts rows, which counts blank ones too. */
  numbers = [];
  #delimiter;
  #state = "start";
  #cell = "";
  #row = [];
  #number = 0;
  #afterReturn = false;
  #quoteBegan = 0;

  constructor(delimiter) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  #endCell() {
    this.#row.push(this.#cell);
    this.#cell = "";
    this.#state = "start";
  }

  #endRow() {
    this.#endCell();
    this.#number += 1;
    if (this.#row.length > 1 || this.#row[0] !== "") {
      this.rows.push(this.#row);
      this.numbers.push(this.#number);
    }
    this.#row = [];
  }

  push(text) {
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (code === 10) continue;
      }
      if (this.#state === "quoted") {
        if (code === 34) {
          this.#cell += text.slice(from, at);
          this.#state = "quote";
        }
        continue;
      }
      if (this.#state === "start") {
        if (code === 34) {
          this.#state = "quoted";
          this.#quoteBegan = this.#number + 1;
          from = at + 1;
          continue;
        }
        this.#state = "plain";
        from = at;
      } else if (this.#state === "quote") {
        if (code === 34) {
          this.#cell += '"';
          this.#state = "quoted";
          from = at + 1;
          continue;
        }
        this.#state = "plain";
        from = at;
      }
      if (code === this.#delimiter) {
        this.#cell += text.slice(from, at);
        this.#endCell();
      } else if (code === 10 || code === 13) {
        this.#cell += text.slice(from, at);
        this.#endRow();
        this.#afterReturn = code === 13;
      }
    }
    if (this.#state === "plain" || this.#state === "quoted") this.#cell += text.slice(from);
  }

  /** `whole`: no more comes, and a quote that was not closed is a mistake. */
  end(whole = true) {
    if (whole && this.#state === "quoted") {
      throw new BadFile(`Row ${this.#quoteBegan} has a quotation mark that is never closed: what follows cannot be told apart.`);
    }
    if (this.#state !== "start" || this.#row.length) this.#endRow();
    return this;
  }
}

export const DELIMITERS = [[",", "Comma"], [";", "Semicolon"], ["\t", "Tab"], ["|", "Vertical bar"]];

/** The delimiter that makes the most rows of one length. */
export function guessDelimiter(head) {
  let best = [",", 0];
  for (const [delimiter] of DELIMITERS) {
    const csv = new Csv(delimiter);
    csv.push(head);
    const rows = csv.end(false).rows.slice(0, 20);
    const width = rows[0]?.length ?? 0;
    // The last may have been cut off.
    const score = (rows.length > 3 ? rows.slice(0, -1) : rows).filter((row) => row.length === width).length * (width - 1);
    if (score > best[1]) best = [delimiter, score];
  }
  return best[0];
}

export function guessKind(name, head) {
  if (/\.(csv|tsv|tab)$/i.test(name)) return "csv";
  const first = head.trimStart()[0];
  if (first === "[") return "json";
  return first === "{" || /\.(ndjson|jsonl)$/i.test(name) ? "ndjson" : "csv";
}

/** Objects as rows, each with the columns that any has. An item as a job has it is taken apart. */
export class Objects {
  columns = [];
  rows = [];
  numbers = [];
  /** `[number, words]` of the first that cannot be read, and how many there are in all. */
  broken = [];
  brokenCount = 0;
  /** `{type, sure}` of the rows that name a type as items do: `sure` where nothing else can be meant. */
  types = [];
  #places = new Map();

  #place(name) {
    let place = this.#places.get(name);
    if (place === undefined) {
      if (this.columns.length >= MOST_COLUMNS) throw new BadFile(`It has more than ${MOST_COLUMNS} different members.`);
      place = this.columns.length;
      this.#places.set(name, place);
      this.columns.push(name);
    }
    return place;
  }

  #broken(number, words) {
    this.brokenCount += 1;
    if (this.broken.length < KEPT_BROKEN) this.broken.push([number, words]);
  }

  take(text, number) {
    let value;
    try {
      // The fast way, unless a number may be one that it rounds.
      value = /\d{16}|[eE][-+]?\d{3}/.test(text) ? parse(text) : JSON.parse(text);
    } catch (problem) {
      return this.#broken(number, problem instanceof Unreadable ? problem.message : "is not JSON");
    }
    if (isDeeper(value, DEEPEST)) return this.#broken(number, "is nested too deep");
    const row = [];
    if (typeof value === "string") row[this.#place("id")] = value;
    else if (!isObject(value)) return this.#broken(number, "is no object");
    else if (isObject(value.attributes)) {
      if (Object.hasOwn(value, "type")) this.types[this.rows.length] = { type: value.type, sure: true };
      for (const name of ["external_id", "id"]) {
        if (Object.hasOwn(value, name)) row[this.#place(name)] = value[name];
      }
      for (const name of Object.keys(value.attributes)) row[this.#place(name === "id" || name === "external_id" ? `attributes.${name}` : name)] = value.attributes[name];
    } else {
      if (Object.hasOwn(value, "type") && Object.keys(value).every((name) => OF_AN_ITEM.has(name))) this.types[this.rows.length] = { type: value.type, sure: false };
      for (const name of Object.keys(value)) row[this.#place(name)] = value[name];
    }
    this.rows.push(row);
    this.numbers.push(number);
  }
}

export class Lines extends Objects {
  #number = 0;
  #rest = "";

  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    this.#number += 1;
    if (line.trim()) this.take(line, this.#number);
  }

  end() {
    if (this.#rest) this.#line(this.#rest);
    return this;
  }
}

/** The elements of one array, each read when it has ended. */
export class Elements extends Objects {
  #depth = 0;
  #text = "";
  #inText = false;
  #escaped = false;
  #number = 0;
  #ended = false;

  push(text) {
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (this.#inText) {
        if (this.#escaped) this.#escaped = false;
        else if (code === 92) this.#escaped = true;
        else if (code === 34) this.#inText = false;
        continue;
      }
      if (this.#ended || !this.#depth) {
        if (code === 32 || code === 9 || code === 10 || code === 13) continue;
        if (this.#ended || code !== 91) throw new BadFile(this.#ended ? "There is something behind the end of the array." : "It must be an array, in [ and ].");
        this.#depth = 1;
        from = at + 1;
        continue;
      }
      if (code === 34) this.#inText = true;
      else if (code === 91 || code === 123) this.#depth += 1;
      else if (code === 93 || code === 125) {
        this.#depth -= 1;
        if (this.#depth) continue;
        this.#element(text.slice(from, at), true);
        this.#ended = true;
      } else if (code === 44 && this.#depth === 1) {
        this.#element(text.slice(from, at), false);
        from = at + 1;
      }
    }
    if (!this.#ended && this.#depth) this.#text += text.slice(from);
  }

  #element(end, last) {
    const text = this.#text + end;
    this.#text = "";
    if (last && !this.#number && !text.trim()) return;
    this.#number += 1;
    this.take(text, this.#number);
  }

  end() {
    if (!this.#ended) throw new BadFile("The array has no end: the file may have been cut off.");
    return this;
  }
}

function encodingOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return "utf-8";
}

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** SHA-256, where the browser has it: it does not on a page of another machine without HTTPS. */
export async function digest(bytes) {
  return globalThis.crypto?.subtle ? crypto.subtle.digest("SHA-256", bytes) : null;
}

export async function digestText(text) {
  const found = await digest(new TextEncoder().encode(text));
  return found && hex(found);
}

/**
 * `{kind, delimiter, encoding, columns, rows, numbers, broken, hash}`. `delimiter` and `kind` are guessed where they are not given, and of a table
 * without `named` the columns are numbered. `told(bytes)` hears how far it is.
 */
export async function readFile(file, { delimiter = null, named = true, signal, told }) {
  if (!file.size) throw new BadFile("The file is empty.");
  if (file.size > MOST_BYTES) throw new BadFile(`The file is larger than ${MOST_BYTES / 1024 / 1024} MiB. Split it, or use the command line.`);
  let encoding = encodingOf(new Uint8Array(await file.slice(0, 4).arrayBuffer()));
  for (;;) {
    try {
      return await readAs(file, encoding, { delimiter, named, signal, told });
    } catch (problem) {
      // Spreadsheets of old write the encoding of their system.
      if (!(problem instanceof TypeError) || encoding !== "utf-8") throw problem instanceof TypeError ? new BadFile("Its text cannot be read: save it as UTF-8.") : problem;
      encoding = "windows-1252";
    }
  }
}

async function readAs(file, encoding, { delimiter, named, signal, told }) {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const digests = [];
  let kind = null;
  let parser = null;
  for (let at = 0; at < file.size; at += SLICE) {
    const bytes = await file.slice(at, at + SLICE).arrayBuffer();
    if (signal?.aborted) return null;
    const summed = await digest(bytes);
    if (summed) digests.push(new Uint8Array(summed));
    const text = decoder.decode(bytes, { stream: at + SLICE < file.size });
    if (!parser) {
      const head = text.slice(0, HEAD);
      if (head.includes("\u0000")) throw new BadFile("This is no file of text. A table of a spreadsheet must be saved as CSV first.");
      kind = guessKind(file.name, head);
      delimiter ??= kind === "csv" ? guessDelimiter(head) : null;
      parser = kind === "csv" ? new Csv(delimiter) : kind === "json" ? new Elements() : new Lines();
    }
    parser.push(text);
    if (parser.rows.length + (parser.brokenCount ?? 0) > MOST_ROWS) throw new BadFile(`It has more than ${MOST_ROWS.toLocaleString("en")} rows. Split it, or use the command line.`);
    told?.(Math.min(at + SLICE, file.size));
    await pause();
    if (signal?.aborted) return null;
  }
  parser.end();
  let hash = null;
  if (digests.length) {
    const all = new Uint8Array(digests.length * 32);
    digests.forEach((one, index) => all.set(one, index * 32));
    hash = hex(await digest(all));
  }
  if (kind !== "csv") {
    return { kind, delimiter: null, encoding, columns: parser.columns, rows: parser.rows, numbers: parser.numbers, broken: parser.broken, brokenCount: parser.brokenCount, types: parser.types, hash };
  }
  const head = named ? parser.rows.shift() ?? [] : [];
  if (named) parser.numbers.shift();
  const width = named ? head.length : parser.rows.slice(0, 1000).reduce((most, row) => Math.max(most, row.length), 0);
  if (width > MOST_COLUMNS) throw new BadFile(`It has more than ${MOST_COLUMNS} columns.`);
  const columns = Array.from({ length: width }, (_, index) => (named && head[index].trim()) || `Column ${index + 1}`);
  return { kind, delimiter, encoding, columns, rows: parser.rows, numbers: parser.numbers, broken: [], brokenCount: 0, hash };
}
