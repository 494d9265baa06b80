// Asks again and again, politely: one request at a time, often while something moves, seldom while nothing does, never while nobody looks.

const BUSY = 2000;
const IDLE = 15000;

export class Poll {
  #ask;
  #timer = 0;
  #delay = BUSY;
  #running = false;
  #stopped = false;
  #again = false;

  /** `ask` does one round; it answers true while something is active, null when there is nothing more to ask. */
  constructor(ask) {
    this.#ask = ask;
    this.looked = () => {
      if (!document.hidden) this.soon();
      else clearTimeout(this.#timer);
    };
    document.addEventListener("visibilitychange", this.looked);
  }

  /** The first round, after a while. */
  begin(delay = BUSY) {
    this.#plan(delay);
  }

  /** Another round now. */
  soon() {
    if (this.#running) this.#again = true;
    else this.#plan(0);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.looked);
  }

  #plan(delay) {
    clearTimeout(this.#timer);
    if (!this.#stopped && !document.hidden) this.#timer = setTimeout(() => this.#round(), delay);
  }

  async #round() {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    let active = false;
    try {
      active = await this.#ask();
    } finally {
      this.#running = false;
    }
    if (active === null) return this.stop();
    this.#delay = active ? BUSY : Math.min(this.#delay * 1.6, IDLE);
    const delay = this.#again ? 0 : this.#delay;
    this.#again = false;
    this.#plan(delay);
  }
}

/** Items a second and seconds left, of successive answers of one job. */
export class Pace {
  #seen = [];

  note(processed, now = performance.now()) {
    const last = this.#seen.at(-1);
    if (last && processed < last.processed) this.#seen = [];
    this.#seen.push({ now, processed });
    while (this.#seen.length > 2 && now - this.#seen[0].now > 30_000) this.#seen.shift();
  }

  get perSecond() {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || last.now - first.now < 1000) return null;
    return ((last.processed - first.processed) * 1000) / (last.now - first.now);
  }

  left(total) {
    const perSecond = this.perSecond;
    const last = this.#seen.at(-1);
    return perSecond ? (total - last.processed) / perSecond : null;
  }
}
