// JSON as the API has it: whole numbers of 64 bits, which are larger than a script's numbers, stay as they were written.

/** What is nested deeper is not read: scripts would have no room for it. */
export const DEEPEST = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
const BLANK = /[ \t\r\n]*/y;

/** A number that a script would round. */
export class Exact {
  constructor(literal) {
    this.literal = literal;
  }

  toString() {
    return this.literal;
  }
}

export class Unreadable extends Error {
  constructor(words, text, at) {
    const before = text.slice(0, at).split("\n");
    super(`Line ${before.length}, column ${before.at(-1).length + 1}: ${words}`);
    this.at = at;
  }
}

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Exact);

/** A member of any name, also of one that means something to scripts. */
export function put(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

export function parse(text) {
  let at = 0;
  const fail = (words, place = at) => {
    throw new Unreadable(words, text, place);
  };
  const blank = () => {
    BLANK.lastIndex = at;
    BLANK.test(text);
    at = BLANK.lastIndex;
  };
  const string = () => {
    const begin = at;
    let escaped = false;
    for (at += 1; ; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 34) break;
      if (code === 92) {
        escaped = true;
        at += 1;
      }
      if (at >= text.length) fail("a text has no end", begin);
      if (code < 32) fail("a line end or another control character stands in a text: write it as \\n or the like");
    }
    at += 1;
    if (!escaped) return text.slice(begin + 1, at - 1);
    try {
      return JSON.parse(text.slice(begin, at));
    } catch {
      return fail("a backslash in a text is followed by something it cannot be followed by", begin);
    }
  };
  const number = () => {
    NUMBER.lastIndex = at;
    const found = NUMBER.exec(text);
    if (!found) return fail(at < text.length ? `${JSON.stringify(text[at])} does not belong here` : "it ends too early");
    at = NUMBER.lastIndex;
    const value = Number(found[0]);
    const rounded = found[1] === undefined && found[2] === undefined ? !Number.isSafeInteger(value) : !Number.isFinite(value);
    return rounded ? new Exact(found[0]) : value;
  };
  const word = (written, value) => {
    if (!text.startsWith(written, at)) return fail(`${JSON.stringify(text[at])} does not belong here`);
    at += written.length;
    return value;
  };
  const any = (depth) => {
    if (depth > DEEPEST) fail("it is nested too deep");
    blank();
    switch (text[at]) {
      case "{": {
        const object = {};
        at += 1;
        blank();
        if (text[at] === "}") return (at += 1), object;
        for (;;) {
          blank();
          if (text[at] !== '"') fail("a name in quotes must stand here");
          const begin = at;
          const name = string();
          if (Object.hasOwn(object, name)) fail(`${JSON.stringify(name)} is given twice`, begin);
          blank();
          if (text[at] !== ":") fail("a colon must stand here");
          at += 1;
          put(object, name, any(depth + 1));
          blank();
          if (text[at] === "}") return (at += 1), object;
          if (text[at] !== ",") fail("a comma or } must stand here");
          at += 1;
        }
      }
      case "[": {
        const list = [];
        at += 1;
        blank();
        if (text[at] === "]") return (at += 1), list;
        for (;;) {
          list.push(any(depth + 1));
          blank();
          if (text[at] === "]") return (at += 1), list;
          if (text[at] !== ",") fail("a comma or ] must stand here");
          at += 1;
        }
      }
      case '"': return string();
      case "t": return word("true", true);
      case "f": return word("false", false);
      case "n": return word("null", null);
      default: return number();
    }
  };
  const value = any(1);
  blank();
  if (at < text.length) fail("there is something behind the end");
  return value;
}

export function stringify(value, indent = 0, before = "\n") {
  if (value instanceof Exact) return value.literal;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const inside = indent ? before + " ".repeat(indent) : "";
  const end = indent ? before : "";
  if (Array.isArray(value)) {
    return value.length ? `[${inside}${value.map((one) => stringify(one, indent, inside)).join(`,${inside}`)}${end}]` : "[]";
  }
  const names = Object.keys(value);
  const colon = indent ? ": " : ":";
  return names.length ? `{${inside}${names.map((name) => JSON.stringify(name) + colon + stringify(value[name], indent, inside)).join(`,${inside}`)}${end}}` : "{}";
}

/** As `stringify`, with the members of objects in one order: what means the same is the same text. */
export function sorted(value) {
  if (Array.isArray(value)) return `[${value.map(sorted).join(",")}]`;
  if (!isObject(value)) return stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${sorted(value[name])}`).join(",")}}`;
}

/** Whether lists and objects stand in each other more than so many times. */
export function isDeeper(value, levels) {
  if (typeof value !== "object" || value === null || value instanceof Exact) return false;
  if (levels < 1) return true;
  for (const name in value) {
    if (isDeeper(value[name], levels - 1)) return true;
  }
  return false;
}

/** The merge patch (RFC 7396) that makes one object the other. What it does not name stays as it is by then, whoever changed it. */
export function patch(before, after) {
  const changes = {};
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) put(changes, name, null);
  }
  for (const name of Object.keys(after)) {
    const [was, is] = [Object.hasOwn(before, name) ? before[name] : undefined, after[name]];
    if (isObject(was) && isObject(is)) {
      const within = patch(was, is);
      if (Object.keys(within).length) put(changes, name, within);
    } else if (was === undefined || stringify(was) !== stringify(is)) {
      put(changes, name, is);
    }
  }
  return changes;
}
