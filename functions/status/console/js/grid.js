// A long table of which only the rows in sight are in the page. It scrolls with the page, and every row is as high as the next.

import { h } from "./dom.js";

const BEYOND = 8;

/** What of a row the focus stops at. A row that is not loaded yet has no button, and holds the focus until it has one. */
const stop = (row) => row.querySelector("button") ?? row;

export class Grid {
  #count = 0;
  #rows = new Map();
  #current = 0;
  #frame = 0;
  #height = 0;

  /** `make(index)` gives an element with a `button` inside; `missing(index)` is told of a row that is not loaded yet. */
  constructor({ label, columns, make, missing }) {
    this.make = make;
    this.missing = missing;
    this.probe = h("div", { class: "item-row item-probe", "aria-hidden": true });
    this.space = h("div", { role: "rowgroup", class: "item-space" });
    this.element = h("div", { role: "grid", class: "items", "aria-label": label, "aria-colcount": columns.length },
      h("div", { role: "rowgroup", class: "item-head" },
        h("div", { role: "row", class: "item-row", "aria-rowindex": 1 }, columns.map(([name, title], index) =>
          h("span", { role: "columnheader", class: `col-${name}`, "aria-colindex": index + 1 }, title)))),
      this.space,
    );
    this.moved = () => {
      this.#frame ||= requestAnimationFrame(() => this.render());
    };
    this.resized = () => {
      this.#height = 0;
      this.moved();
    };
    addEventListener("scroll", this.moved, { passive: true });
    addEventListener("resize", this.resized);
    this.space.addEventListener("keydown", (event) => this.#key(event));
    this.space.addEventListener("focusin", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.#choose(Number(row.dataset.index));
    });
  }

  leave() {
    removeEventListener("scroll", this.moved);
    removeEventListener("resize", this.resized);
    cancelAnimationFrame(this.#frame);
  }

  /** Shows so many rows, all made anew. */
  reset(count) {
    this.#count = count;
    const held = this.space.contains(document.activeElement);
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.#current = Math.min(this.#current, Math.max(0, count - 1));
    this.element.setAttribute("aria-rowcount", count + 1);
    this.#measure();
    this.render();
    if (!held || !count) return;
    // The focus stays where it was, and so does what is in sight.
    const first = this.space.firstElementChild;
    if (!this.#rows.has(this.#current)) this.#place(this.#current, first && Number(first.dataset.index) > this.#current ? first : null);
    this.#choose(this.#current);
    stop(this.#rows.get(this.#current)).focus({ preventScroll: true });
  }

  /** To the first row, when the rows become others. */
  rewind() {
    this.#current = 0;
  }

  focus() {
    this.#show(this.#current);
  }

  #measure() {
    if (!this.probe.isConnected) this.space.appendChild(this.probe);
    this.#height = this.probe.getBoundingClientRect().height || 44;
    this.probe.remove();
    this.space.style.height = `${this.#count * this.#height}px`;
  }

  render() {
    this.#frame = 0;
    if (!this.element.isConnected) return;
    if (!this.#height) {
      this.#measure();
      for (const [index, row] of this.#rows) row.style.transform = `translateY(${index * this.#height}px)`;
    }
    const high = this.#height;
    const top = this.space.getBoundingClientRect().top;
    const first = Math.max(0, Math.min(this.#count, Math.floor(-top / high)) - BEYOND);
    const last = Math.min(this.#count, Math.max(0, Math.ceil((innerHeight - top) / high)) + BEYOND);
    const focused = document.activeElement?.closest?.("[data-index]");
    const held = focused && this.space.contains(focused) ? Number(focused.dataset.index) : -1;
    for (const [index, row] of this.#rows) {
      if ((index < first || index >= last) && index !== held) {
        row.remove();
        this.#rows.delete(index);
      }
    }
    // In the order of reading, whatever came into sight first.
    let at = this.space.firstElementChild;
    while (at && Number(at.dataset.index) < first) at = at.nextElementSibling;
    for (let index = first; index < last; index += 1) {
      if (this.#rows.has(index)) at = this.#rows.get(index).nextElementSibling;
      else this.#place(index, at);
    }
    if (held < 0 && !this.#rows.has(this.#current) && last > first) this.#choose(Math.min(last - 1, first + BEYOND));
    else if (held < 0) this.#choose(this.#current);
  }

  #place(index, behind) {
    const row = this.make(index);
    row.dataset.index = index;
    row.setAttribute("aria-rowindex", index + 2);
    row.style.transform = `translateY(${index * this.#height}px)`;
    if (row.dataset.missing) this.missing(index);
    stop(row).tabIndex = index === this.#current ? 0 : -1;
    this.#rows.set(index, row);
    this.space.insertBefore(row, behind);
  }

  #choose(index) {
    const before = this.#rows.get(this.#current);
    if (before) stop(before).tabIndex = -1;
    this.#current = index;
    const now = this.#rows.get(index);
    if (now) stop(now).tabIndex = 0;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(innerHeight / this.#height) - 3);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    this.#show(Math.max(0, Math.min(this.#count - 1, this.#current + steps[event.key])));
  }

  #show(index) {
    if (!this.#count) return;
    const high = this.#height;
    const top = this.space.getBoundingClientRect().top + index * high;
    const head = 48;
    if (top < head) scrollBy({ top: top - head, behavior: "instant" });
    else if (top + high > innerHeight) scrollBy({ top: top + high - innerHeight, behavior: "instant" });
    this.render();
    this.#choose(index);
    const row = this.#rows.get(index);
    if (row) stop(row).focus({ preventScroll: true });
  }
}
