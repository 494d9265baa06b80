// Results as a file. The credentials go into a header, so this is a request and not a link.

import { BASE, nextOf } from "./api.js";

const FORMS = { csv: "text/csv", ndjson: "application/x-ndjson" };
const MOST_PAGES = 10_000;

export async function download(session, id, form, { failedOnly, signal, told }) {
  const parts = [];
  let next = `${BASE}/jobs/${encodeURIComponent(id)}/results?per_page=1000${failedOnly ? "&success=false" : ""}`;
  for (let pages = 0; next && pages < MOST_PAGES; pages += 1) {
    const answer = await session.request(next, { accept: FORMS[form], signal });
    parts.push(await answer.blob());
    next = nextOf(answer.headers.get("link"));
    told(parts.reduce((sum, part) => sum + part.size, 0));
  }
  if (session.ended || signal.aborted) return;
  const address = URL.createObjectURL(new Blob(parts, { type: FORMS[form] }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `job-${id.replace(/[^0-9a-z-]/gi, "")}-${failedOnly ? "failures" : "results"}.${form}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
