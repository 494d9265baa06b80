// Who is signed in, and what is shown. All that belongs to one session is made for it, and thrown away with it.

import { Session, forget, keep, kept } from "./api.js";
import { announce, fill, glyph, h, hush, setText } from "./dom.js";
import { JobView } from "./job.js";
import { JobsView } from "./jobs.js";
import { signIn } from "./signin.js";

const app = document.getElementById("app");
let session = null;
let view = null;
let shell = null;
let waits = 0;

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
  const jobs = h("a", { href: "#/jobs", class: "nav-link" }, "Jobs");
  const skip = h("button", { type: "button", class: "skip", onclick: () => main.focus() }, "Skip to the content");
  const element = h("div", { class: "shell" },
    skip,
    h("header", { class: "top" },
      h("div", { class: "top-inner" },
        h("p", { class: "brand" }, h("span", { class: "brand-mark", "aria-hidden": true }), "Sundial"),
        h("nav", { "aria-label": "Parts of the console" }, jobs),
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
  return { element, main, jobs };
}

/** `#/jobs?status=failed` and `#/jobs/{id}`. */
function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const job = /^\/jobs\/([^/]+)$/.exec(path);
  if (job) {
    let id = job[1];
    try {
      id = decodeURIComponent(id);
    } catch {
      // As it stands, it is the id of no job.
    }
    return { name: "job", id };
  }
  return path === "/jobs" ? { name: "jobs", query } : null;
}

function route() {
  if (!session) return;
  const wanted = parse(location.hash);
  if (!wanted) {
    history.replaceState(null, "", "#/jobs");
    return route();
  }
  if (view?.name === "jobs" && wanted.name === "jobs") return view.show(wanted.query);
  const first = !view;
  view?.leave();
  view = wanted.name === "job" ? new JobView(session, wanted.id) : new JobsView(session, wanted.query);
  shell.jobs.toggleAttribute("data-here", true);
  if (wanted.name === "jobs") shell.jobs.setAttribute("aria-current", "page");
  else shell.jobs.removeAttribute("aria-current");
  document.title = `${view.title} – Sundial console`;
  fill(shell.main, view.element);
  if (!view.entered?.()) {
    scrollTo(0, 0);
    view.element.querySelector("h1")?.focus({ preventScroll: true });
  }
  if (first) announce(`Signed in. ${view.title}.`);
}

addEventListener("hashchange", route);
// A page that comes out of the browser's store of pages is a page of before.
addEventListener("pageshow", (event) => event.persisted && !session && end());

const before = kept();
if (before) open(before);
else end();
