// Who is signed in, and what is shown. All that belongs to one session is made for it, and thrown away with it.

import { Session, forget, keep, kept } from "./api.js";
import { announce, fill, glyph, h, hush, setText } from "./dom.js";
import { JobView } from "./job.js";
import { JobsView } from "./jobs.js";
import { NewView } from "./new.js";
import { OperatorsView } from "./operators.js";
import { RecordView } from "./record.js";
import { RecordsView } from "./records.js";
import { signIn } from "./signin.js";
import { TypeView, TypesView } from "./types.js";

const app = document.getElementById("app");
let session = null;
let view = null;
let shell = null;
let waits = 0;

const PARTS = [["jobs", "Jobs"], ["new", "New job"], ["types", "Types"], ["records", "Records"], ["operators", "Operators"]];
const LISTS = {
  jobs: (query) => new JobsView(session, query),
  new: (query) => NewView.of(session, query),
  types: () => new TypesView(session),
  records: (query) => new RecordsView(session, query),
  operators: () => new OperatorsView(session),
};
const ONES = {
  jobs: { name: "job", make: (id) => new JobView(session, id) },
  types: { name: "type", make: (id) => new TypeView(session, id) },
  records: { name: "record", make: (id) => new RecordView(session, id) },
};

const notice = h("aside", { class: "notice", "aria-label": "Waiting for the service", hidden: true });
document.body.appendChild(notice);

const told = (of) => ({
  signedOut: (reason) => of() === session && end(reason),
  waiting,
  answered,
});

function waiting(seconds, why) {
  clearInterval(waits);
  const until = Date.now() + seconds * 1000;
  const rest = h("span", { class: "figures" });
  const say = () => setText(rest, `${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`);
  say();
  fill(notice, glyph("queued"), h("p", null, `${why}. Asking again in `, rest, "."));
  notice.hidden = false;
  announce(`${why}. Asking again in ${seconds} seconds.`);
  waits = setInterval(say, 1000);
}

function answered() {
  if (notice.hidden) return;
  clearInterval(waits);
  notice.hidden = true;
  notice.replaceChildren();
}

function open(credentials) {
  const opened = new Session(credentials, told(() => opened));
  session = opened;
  shell = makeShell(opened);
  fill(app, shell.element);
  route();
}

/** Leaves nothing of the session behind: no request, no view, no text, no credentials. */
function end(reason = null) {
  session?.end();
  session = null;
  view?.leave();
  view = shell = null;
  forget();
  answered();
  hush();
  document.title = "Sign in – Sundial console";
  signIn(app, { reason, waiting, answered, opened: (credentials, keeps) => {
    if (keeps) keep(credentials);
    open(credentials);
  } });
}

function makeShell(of) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const links = PARTS.map(([name, word]) => [name, h("a", { href: `#/${name}`, class: "nav-link" }, word)]);
  const skip = h("button", { type: "button", class: "skip", onclick: () => main.focus() }, "Skip to the content");
  const element = h("div", { class: "shell" },
    skip,
    h("header", { class: "top" },
      h("div", { class: "top-inner" },
        h("p", { class: "brand" }, h("span", { class: "brand-mark", "aria-hidden": true }), "Sundial"),
        h("nav", { "aria-label": "Parts of the console" }, links.map(([, link]) => link)),
        h("div", { class: "account" },
          h("span", { class: "who", title: of.who }, of.who),
          h("button", { type: "button", class: "button quiet", onclick: () => {
            history.replaceState(null, "", "#/jobs");
            end();
          } }, "Sign out"),
        ),
      ),
    ),
    main,
  );
  return { element, main, links };
}

/** `#/jobs?status=failed`, `#/jobs/{id}` and the like: the part, what of it, and the rest. */
function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s, 2);
  const [, part, inside] = /^\/([a-z]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (inside === undefined) return Object.hasOwn(LISTS, part ?? "") ? { name: part, part, query } : null;
  if (!Object.hasOwn(ONES, part)) return null;
  let id = inside;
  try {
    id = decodeURIComponent(inside);
  } catch {
    // As it stands, it is the id of nothing.
  }
  return { name: ONES[part].name, part, id };
}

function make({ part, id, query }) {
  return id === undefined ? LISTS[part](query) : ONES[part].make(id);
}

function route() {
  if (!session) return;
  const wanted = parse(location.hash);
  if (!wanted) {
    history.replaceState(null, "", "#/jobs");
    return route();
  }
  if (view?.name === wanted.name && view.show) return view.show(wanted.query);
  const first = !view;
  view?.leave();
  view = make(wanted);
  for (const [name, link] of shell.links) {
    link.toggleAttribute("data-here", name === wanted.part);
    if (name === wanted.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} – Sundial console`;
  fill(shell.main, view.element);
  if (!view.entered?.()) {
    scrollTo(0, 0);
    view.element.querySelector("h1")?.focus({ preventScroll: true });
  }
  if (first) announce(`Signed in. ${view.title}.`);
}

addEventListener("hashchange", route);
// A file that is dropped beside its place would be opened, and the console with all that it is doing left.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
// A page that comes out of the browser's store of pages is a page of before.
addEventListener("pageshow", (event) => event.persisted && !session && end());

const before = kept();
if (before) open(before);
else end();
