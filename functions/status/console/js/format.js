// Numbers, times and states in words.

const WHOLE = new Intl.NumberFormat("en");
const ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const count = (value) => (Number.isFinite(value) ? WHOLE.format(value) : "–");
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export function rate(perSecond) {
  if (perSecond === null) return "";
  return `${perSecond < 10 ? ONE.format(perSecond) : count(Math.round(perSecond))} items/s`;
}

/** A span of time, in the two units that matter. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 1) return "under 1 s";
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 && minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

export function age(time, now = Date.now()) {
  const seconds = Math.floor((now - Date.parse(time)) / 1000);
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}

/** In the reader's zone. */
export function moment(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "–" : LOCAL.format(date);
}

export function inUtc(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? null : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export const STATES = ["queued", "processing", "completed", "failed", "aborted"];
export const KINDS = ["resources", "relationships"];
export const ACTIONS = ["post", "update", "external_id_set", "delete", "external_id_delete"];

const KIND_WORDS = { resources: "Object records", relationships: "Relationships" };
const ACTION_WORDS = {
  post: "create",
  update: "update",
  external_id_set: "set by external id",
  delete: "delete",
  external_id_delete: "delete by external id",
};

export const stateWord = (state) => (STATES.includes(state) ? state[0].toUpperCase() + state.slice(1) : String(state));
export const kindWord = (kind) => (Object.hasOwn(KIND_WORDS, kind) ? KIND_WORDS[kind] : String(kind));
export const actionWord = (action) => (Object.hasOwn(ACTION_WORDS, action) ? ACTION_WORDS[action] : String(action));

export const isActive = (job) => job.job_status === "queued" || job.job_status === "processing";

/** What a state means for whoever waits for the job. */
export function meaning(job) {
  switch (job.job_status) {
    case "queued":
      return "It waits for its turn. Nothing has been written yet.";
    case "processing":
      return job.validate_only ? "Its items are being checked. Nothing is written." : "Its items are being written.";
    case "completed":
      if (job.validate_only) return "Every item was checked, and nothing was written.";
      return job.progress.failed
        ? "Every item was tried. Those that failed changed nothing."
        : "Every item was written.";
    case "failed":
      return job.validate_only
        ? "It ended before all items were checked. Nothing was written."
        : "It ended before all its items were written. What the results say was written stays; the rest never will be.";
    case "aborted":
      return "It was stopped before it began. Nothing of it was written.";
    default:
      return "";
  }
}
