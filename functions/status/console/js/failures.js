// Failures by their reason: the same words with other values are the same reason.

const LONGEST = 600;
const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;
// The words of a schema are no values: a rule is not the next rule, nor is a type the next type.
const QUOTED = /(\bthe rule |\bof type )?("(?:[^"\\]|\\.)*"?)/g;
const NUMBER = /(?<![\p{L}\p{N}_])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\p{L}\p{N}_])/giu;

export function reason(error) {
  const detail = String(error?.detail ?? "").slice(0, LONGEST);
  return detail
    .replace(QUOTED, (_, before, text) => (before ? before + text : "“…”"))
    .replace(UUID, "‹id›")
    .replace(NUMBER, "‹n›");
}

/** `[{key, code, words, example, items}]`, the largest first. An item with several errors is counted once for each reason. */
export function group(results) {
  const groups = new Map();
  for (const result of results) {
    const seen = new Set();
    for (const error of result.errors ?? []) {
      const code = String(error?.code ?? "");
      const words = reason(error);
      const key = `${code}\n${words}`;
      if (seen.has(key)) continue;
      seen.add(key);
      let found = groups.get(key);
      if (!found) groups.set(key, (found = { key, code, words, example: result, detail: String(error?.detail ?? ""), items: [] }));
      found.items.push(result);
    }
  }
  return [...groups.values()].sort((one, other) => other.items.length - one.items.length);
}
