// How much of what it may have an account has.

import { BASE } from "./api.js";
import { foreign, h } from "./dom.js";
import { count } from "./format.js";

const WORDS = {
  resources: "Object records",
  relationships: "Relationship records",
  resource_types: "Object types",
  relationship_types: "Relationship types",
  jobs: "Jobs queued or processing",
};
const NEARLY = 0.8;

export async function loadLimits(session, signal) {
  return (await session.json(`${BASE}/limits`, { signal })).data;
}

/** A bar with its numbers in words. */
export function measure(word, value, limit, note = null) {
  const part = limit > 0 ? Math.min(1, value / limit) : 0;
  const used = h("span", { class: part >= NEARLY ? "measure-used nearly" : "measure-used" });
  used.style.width = `${part * 100}%`;
  return h("li", { class: "measure" },
    h("span", { class: "measure-name" }, word),
    h("span", { class: "measure-numbers figures" }, h("strong", null, count(value)), ` of ${count(limit)}`),
    h("span", { class: "measure-track", "aria-hidden": true }, used),
    h("span", { class: "hint measure-note" }, note ?? (part >= 1 ? "The limit is reached" : part >= NEARLY ? `${Math.floor(part * 100)} % used: nearly at the limit` : `${Math.floor(part * 100)} % used`)));
}

export function limitBars(limits) {
  return h("ul", { class: "measures" }, limits.map(({ key, limit, count: has }) =>
    measure(Object.hasOwn(WORDS, key) ? WORDS[key] : foreign(key, 60), has, limit)));
}
