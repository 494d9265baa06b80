// What came of each item of a job: the failed ones first, the rest when somebody looks at it. At most 10,000, which is a job's limit.

import { BASE } from "./api.js";

const MOST = 10_000;

export class Results {
  failed = [];
  succeeded = [];
  failedDone = false;
  succeededDone = false;
  #session;
  #id;
  #signal;
  #next = { false: null, true: null };

  constructor(session, id, signal) {
    [this.#session, this.#id, this.#signal] = [session, id, signal];
    this.#next.false = `${BASE}/jobs/${encodeURIComponent(id)}/results?success=false&per_page=1000`;
    this.#next.true = `${BASE}/jobs/${encodeURIComponent(id)}/results?success=true&per_page=1000`;
  }

  /** All of them, as the answer of the job itself has them. */
  take(results) {
    results.forEach((result, position) => {
      (result.success ? this.succeeded : this.failed).push({ position, ...result });
    });
    this.failedDone = this.succeededDone = true;
  }

  /** One page more of those that failed, or of the others. */
  async page(success) {
    const list = success ? this.succeeded : this.failed;
    const body = await this.#session.json(this.#next[success], { signal: this.#signal });
    for (const result of body.data) list.push(result);
    list.sort((one, other) => one.position - other.position);
    this.#next[success] = body.links?.next ?? null;
    const done = !this.#next[success] || list.length >= MOST;
    if (success) this.succeededDone = done;
    else this.failedDone = done;
  }
}
