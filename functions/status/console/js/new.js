// New jobs from a file: read it, say what its columns are, see what is wrong, try it, send it.
//
// There is one of these views for a session, and it stays when the reader looks at something else: what is being sent goes on.

import { Gone } from "./api.js";
import { ACTIONS, EXTERNAL_ID, ID, Plan, attribute, guess, hasAttributes, needsExternalId, needsId } from "./convert.js";
import { announce, busy, fill, foreign, h, setText, visible } from "./dom.js";
import { group } from "./failures.js";
import { count, counted, isActive } from "./format.js";
import { sorted, stringify } from "./json.js";
import { Badge, Bar, choice, field, message, question, table, wrong } from "./parts.js";
import { BadFile, DELIMITERS, readFile } from "./readfile.js";
import { Sender } from "./send.js";
import { loadTypes, propertiesOf, requiredOf, typesOf } from "./types.js";

const PREVIEW = 20;
const SHOWN_ERRORS = 100;
const SHOWN_BROKEN = 10;
const SHOWN_REASONS = 20;
const SHOWN_MAPPINGS = 200;
const SOON = 250;
const KINDS = { csv: "A table", ndjson: "JSON, an object on each line", json: "A JSON array" };

/** A cell as text, whatever it was in the file. */
const written = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : stringify(value));

export class NewView {
  name = "new";
  title = "New job";
  #session;
  #types = null;
  #file = null;
  #table = null;
  #reading = null;
  #checking = null;
  #soon = 0;
  #plan = null;
  #dry = null;
  #sender = null;

  /** The one of this session. */
  static of(session, query) {
    let seen = session.memory.get("new");
    // Types may have changed since: what is not being sent goes by those of now.
    if (seen && !seen.#sender) seen.#loadTypes();
    seen ??= new NewView(session);
    session.memory.set("new", seen);
    seen.#prefer(new URLSearchParams(query).get("type"));
    return seen;
  }

  constructor(session) {
    this.#session = session;
    this.element = h("div", { class: "view" });
    this.#build();
  }

  /** Nothing ends when the reader looks elsewhere. */
  leave() {
    for (const dialog of this.dialogs.querySelectorAll("dialog")) dialog.close();
  }

  #prefer(type) {
    if (type) this.preferred = type;
    if (type && this.#types && !this.#sender) this.#chooseType(type);
  }

  #build() {
    this.input = h("input", { type: "file", id: "file", accept: ".csv,.tsv,.tab,.txt,.json,.ndjson,.jsonl", class: "drop-input", "aria-describedby": "file-hint", onchange: () => {
      const [file] = this.input.files;
      // The same file may be chosen again, once it is mended.
      this.input.value = "";
      if (file) this.#read(file);
    } });
    this.drop = h("div", { class: "drop" }, this.input,
      h("label", { for: "file" }, h("strong", null, "Choose a file"), h("span", null, " or drop it here")),
      h("p", { class: "hint", id: "file-hint" }, "CSV or TSV, also with semicolons; NDJSON; or an array in JSON. It is read here, and nothing is sent before you say so."));
    this.drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.drop.classList.add("over");
    });
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop.classList.remove("over");
      const [file] = event.dataTransfer?.files ?? [];
      if (file && !this.#sender) this.#read(file);
    });
    this.fileStatus = h("p", { class: "status-line", role: "status" });
    this.fileOptions = h("div", { class: "finder-row", hidden: true });
    this.preview = h("div", { class: "low" });
    this.type = choice([["", "Choose a type"]], { onchange: () => this.#mapped(true) });
    this.action = choice(ACTIONS, { onchange: () => this.#mapped(true) });
    this.action.value = "external_id_set";
    this.empty = choice([["", "are left out"], ["clear", "remove the attribute"]], { onchange: () => this.#changed() });
    this.decimal = choice([[".", "Point: 1.5"], [",", "Comma: 1,5"]], { onchange: () => this.#changed() });
    this.typesPlace = h("div", null);
    this.mapping = h("div", null);
    this.check = h("div", { class: "low" });
    this.sendPlace = h("div", { class: "job-place" });
    const step = (number, title, ...inside) => h("section", { class: "part step", "aria-labelledby": `step-${number}` },
      h("h2", { id: `step-${number}`, tabindex: "-1" }, `${number}. ${title}`), inside);
    this.steps = [
      step(1, "File", this.drop, this.fileStatus, this.fileOptions, this.preview),
      step(2, "What to do with it", h("div", { class: "finder-row" }, field("Type of the records", this.type), field("Action", this.action)), this.typesPlace),
      step(3, "Columns", this.mapping),
      step(4, "Check", this.check),
      step(5, "Send", this.sendPlace),
    ];
    this.settings = h("div", { class: "steps" }, this.steps.slice(0, 4));
    this.rest = h("button", { type: "button", class: "button quiet", hidden: true, onclick: () => this.#ask() }, "Begin with another file");
    fill(this.element, h("div", { class: "part-head" }, h("h1", { tabindex: "-1" }, "New job from a file"), this.rest), this.settings, this.steps[4], (this.dialogs = h("div", null)));
    for (const hidden of this.steps.slice(1)) hidden.hidden = true;
    this.#loadTypes();
  }

  async #loadTypes() {
    let types;
    try {
      types = await loadTypes(this.#session);
      if (this.#sender) return;
    } catch (problem) {
      if (problem instanceof Gone || this.#sender) return;
      fill(this.typesPlace, wrong(problem, () => this.#loadTypes()));
      return;
    }
    const before = this.type.value;
    const chosen = this.#typeChosen;
    this.#types = types;
    fill(this.type, h("option", { value: "" }, "Choose a type"), this.#types.map(({ key }) => h("option", { value: key }, visible(key.slice(0, 120)))));
    fill(this.typesPlace, !this.#types.length && message({ title: "No types yet", text: "There must be an object type before there can be records. It is made with POST /objects/types." }));
    const now = chosen && types.find(({ key }) => key === before);
    if (chosen && this.#table) {
      this.type.value = now?.key ?? "";
      if (now && sorted(now.schema) === sorted(chosen.schema)) return;
      fill(this.typesPlace, h("p", { class: "warned", role: "status" }, now ? "The schema of this type has been changed meanwhile: look at the columns again." : "This type has been deleted meanwhile."));
      if (now) this.targets = this.targets.map((target) => (target.startsWith(".") && !Object.hasOwn(propertiesOf(now), target.slice(1)) ? "" : target));
      return this.#mapped(!now);
    }
    this.#chooseType(before || this.preferred || (this.#types.length === 1 ? this.#types[0].key : ""));
  }

  #chooseType(key) {
    const found = this.#types.find((type) => type.key.toLowerCase() === String(key).toLowerCase());
    const before = this.type.value;
    this.type.value = found?.key ?? "";
    if (this.#table && before !== this.type.value) this.#mapped(true);
  }

  get #typeChosen() {
    return this.#types?.find(({ key }) => key === this.type.value) ?? null;
  }

  // The file

  async #read(file, options = {}) {
    this.#reading?.abort();
    const reading = (this.#reading = new AbortController());
    this.#forget();
    this.#file = file;
    this.#table = null;
    for (const hidden of this.steps.slice(1)) hidden.hidden = true;
    this.preview.replaceChildren();
    this.rest.hidden = false;
    const bar = h("progress", { class: "loading", "aria-label": "The file, read", max: file.size || 1, value: 0 });
    fill(this.fileStatus, "Reading ", foreign(file.name, 120), "…");
    this.preview.append(bar);
    try {
      const found = await readFile(file, { ...options, signal: reading.signal, told: (bytes) => (bar.value = bytes) });
      if (!found || reading.signal.aborted || this.#session.ended) return;
      if (!found.rows.length && !found.brokenCount) throw new BadFile("There is no row in it.");
      this.#table = found;
      this.options = { named: options.named ?? true };
      this.#shown(options.from);
    } catch (problem) {
      if (reading.signal.aborted || this.#session.ended) return;
      if (this.fileOptions.contains(document.activeElement)) this.input.focus({ preventScroll: true });
      this.fileOptions.hidden = true;
      setText(this.fileStatus, "");
      fill(this.preview, h("div", { class: "message wrong", role: "alert" }, h("h2", null, "This file cannot be used"), h("p", null, foreign(file.name, 200)),
        h("p", null, problem instanceof BadFile ? problem.message : "It could not be read. It may have been moved or changed: choose it again.")));
    }
  }

  /** `from`: the control that had it read again, and keeps the focus. */
  #shown(from = null) {
    const found = this.#table;
    const ways = [KINDS[found.kind], found.encoding === "utf-8" ? null : `read as ${found.encoding}`].filter(Boolean).join(", ");
    fill(this.fileStatus, foreign(this.#file.name, 120), `: ${counted(found.rows.length, "row")}, ${counted(found.columns.length, "column")}. ${ways}.`,
      found.encoding === "windows-1252" && " It is not UTF-8: look whether its accents are right.");
    this.fileOptions.hidden = found.kind !== "csv";
    if (found.kind === "csv") {
      const delimiter = choice(DELIMITERS, { onchange: () => this.#read(this.#file, { ...this.options, delimiter: delimiter.value, from: "delimiter" }) });
      delimiter.value = found.delimiter;
      const named = h("input", { type: "checkbox", checked: this.options.named, onchange: () => this.#read(this.#file, { delimiter: found.delimiter, named: named.checked, from: "named" }) });
      fill(this.fileOptions, field("Between cells", delimiter), h("label", { class: "check" }, named, h("span", null, "The first row has the names of the columns")));
      if (from) (from === "named" ? named : delimiter).focus();
    }
    const rows = found.rows.slice(0, PREVIEW);
    fill(this.preview,
      found.brokenCount > 0 && h("div", { class: "item-error" }, h("p", null, `${counted(found.brokenCount, "entry", "entries")} cannot be read${found.brokenCount > SHOWN_BROKEN ? `, of which the first ${SHOWN_BROKEN} are` : ""}:`),
        h("ul", null, found.broken.slice(0, SHOWN_BROKEN).map(([number, words]) => h("li", null, `${count(number)}: `, foreign(words, 300))))),
      rows.length > 0 && table(`The first ${counted(rows.length, "row")}`, [["Row", "number"], ...found.columns.map((name) => [foreign(name, 60)])],
        rows.map((row, index) => h("tr", null, h("th", { scope: "row", class: "number figures" }, count(found.numbers[index])),
          found.columns.map((_, column) => h("td", null, foreign(written(row[column]), 120))))), "lines"));
    this.#guessDecimal();
    for (const shown of this.steps.slice(1, 4)) shown.hidden = !found.rows.length;
    this.#mapped(true);
  }

  /** A table with semicolons has them because its numbers have commas, mostly. */
  #guessDecimal() {
    const some = this.#table.rows.slice(0, 200).flat();
    const like = (pattern) => some.some((cell) => typeof cell === "string" && pattern.test(cell));
    this.decimal.value = this.#table.delimiter === ";" && like(/^-?\d+,\d+$/) && !like(/^-?\d+\.\d+$/) ? "," : ".";
  }

  // The columns

  #mapped(anew) {
    const found = this.#table;
    if (!found) return;
    const type = this.#typeChosen;
    const action = this.action.value;
    if (!type) {
      fill(this.mapping, h("p", { class: "hint" }, "Choose a type first: its attributes are what the columns can become."));
      this.#changed();
      return;
    }
    if (anew) this.targets = guess(found.columns, type, action);
    const names = hasAttributes(action) ? Object.keys(propertiesOf(type)) : [];
    const required = new Set(requiredOf(type));
    const word = (name) => `${name.slice(0, 80)} (${typesOf(propertiesOf(type)[name]).join(" or ") || "any"}${required.has(name) ? ", required" : ""})`;
    const choices = [["", "Leave out"], ...(needsId(action) ? [[ID, "Id"]] : [[EXTERNAL_ID, "External id"]]), ...names.map((name) => [attribute(name), word(name)])];
    const line = (column, index) => {
      const select = choice(choices, { onchange: () => {
        this.targets[index] = select.value;
        this.#unused();
        this.#changed();
      } });
      select.value = this.targets[index];
      const labelled = field(foreign(column, 80), select);
      const examples = found.rows.slice(0, 50).map((row) => written(row[index])).filter(Boolean);
      return h("li", null, labelled, h("p", { class: "hint example" }, examples.length ? ["for example ", foreign([...new Set(examples)].slice(0, 3).join(" · "), 90)] : "empty in the first rows"));
    };
    this.unused = h("p", { class: "status-line", role: "status" });
    fill(this.mapping,
      h("p", { class: "hint" }, "What each column becomes. It is guessed from the names: look at it."),
      h("ol", { class: "mapping" }, found.columns.slice(0, SHOWN_MAPPINGS).map(line)),
      found.columns.length > SHOWN_MAPPINGS && h("p", { class: "hint" }, `The other ${count(found.columns.length - SHOWN_MAPPINGS)} columns are used as their names say, or left out.`),
      this.unused,
      hasAttributes(action) && h("div", { class: "finder-row" }, found.kind === "csv" && field("Empty cells", this.empty), field("Decimal sign of numbers", this.decimal)));
    this.#unused();
    this.#changed();
  }

  #unused() {
    const used = new Set(this.targets);
    const twice = [...used].filter((target) => target && this.targets.filter((one) => one === target).length > 1);
    const type = this.#typeChosen;
    const action = this.action.value;
    const missing = hasAttributes(action) ? Object.keys(propertiesOf(type)).filter((name) => !used.has(attribute(name))) : [];
    const required = new Set(requiredOf(type));
    const needed = missing.filter((name) => required.has(name) && action !== "update");
    const nameOf = (target) => (target === ID ? "Id" : target === EXTERNAL_ID ? "External id" : target.slice(1));
    this.obstacles = [
      ...twice.map((target) => ["Two columns become ", foreign(nameOf(target), 80), "."]),
      ...(needsId(action) && !used.has(ID) ? [["Say which column is the id of the record."]] : []),
      ...(needsExternalId(action) && !used.has(EXTERNAL_ID) ? [["Say which column is the external id of the record."]] : []),
      ...(needed.length && action === "post" ? [[`Required, and no column becomes it: `, foreign(needed.join(", "), 300), "."]] : []),
      ...(action === "update" && ![...used].some((target) => target.startsWith(".")) ? [["No column becomes an attribute: there is nothing to update."]] : []),
    ];
    const rest = missing.filter((name) => !needed.includes(name) || action !== "post");
    fill(this.unused, rest.length ? ["No column becomes: ", foreign(rest.slice(0, 30).join(", "), 400), rest.length > 30 ? ", and others." : "."] : "");
  }

  // The check

  /** Forgets what was checked: it was another thing. */
  #forget() {
    clearTimeout(this.#soon);
    this.#checking?.abort();
    this.#dry?.stop();
    this.#plan = this.#dry = null;
    this.steps[4].hidden = true;
  }

  #changed() {
    this.#forget();
    if (!this.#typeChosen) return fill(this.check, h("p", { class: "hint" }, "It is checked once the type is chosen."));
    if (this.obstacles.length) return fill(this.check, h("ul", { class: "obstacles", role: "alert" }, this.obstacles.map((words) => h("li", null, words))));
    if (!this.check.querySelector(".checking")) fill(this.check, h("p", { class: "status-line checking" }, "Checking every row…"));
    this.#soon = setTimeout(() => this.#checkAll(), SOON);
  }

  async #checkAll() {
    const checking = (this.#checking = new AbortController());
    const found = this.#table;
    const bar = h("progress", { class: "loading", "aria-label": "Rows checked", max: found.rows.length, value: 0 });
    fill(this.check, h("p", { class: "status-line checking" }, `Checking ${counted(found.rows.length, "row")}…`), bar);
    const plan = new Plan({ table: found, type: this.#typeChosen, action: this.action.value, targets: [...this.targets], clears: this.empty.value === "clear", decimal: this.decimal.value });
    try {
      if (!(await plan.check(checking.signal, (index) => (bar.value = index))) || this.#session.ended) return;
      this.#plan = plan;
      this.#checked();
    } catch (problem) {
      if (checking.signal.aborted || this.#session.ended) return;
      this.#forget();
      fill(this.check, wrong({ title: "It could not be checked", detail: String(problem.message) }, () => this.#changed()));
    }
  }

  #checked() {
    const plan = this.#plan;
    const all = this.#table.rows.length + this.#table.brokenCount;
    const bad = plan.wrongRows;
    const columnOf = ({ column, name }) => (name !== undefined ? foreign(name, 80) : column < 0 ? h("span", { class: "none" }, "the row") : foreign(this.#table.columns[column], 80));
    this.leave_out = h("input", { type: "checkbox", onchange: () => this.#sendable() });
    fill(this.check,
      h("p", { class: bad ? "verdict bad" : "verdict good" }, bad
        ? `${counted(plan.wrongCells, "mistake")} in ${counted(bad, "row")} of ${count(all)}.` : `${all === 1 ? "The only row" : `All ${counted(all, "row")}`} can be sent.`),
      bad > 0 && [
        table(`Mistakes${plan.wrongCells > SHOWN_ERRORS ? `, the first ${SHOWN_ERRORS}` : ""}`, [["Row", "number"], ["Column"], ["Cell"], ["What is wrong"]],
          plan.errors.slice(0, SHOWN_ERRORS).map((error) => h("tr", null, h("th", { scope: "row", class: "number figures" }, count(error.number)),
            h("td", null, columnOf(error)), h("td", null, foreign(written(error.value), 100)), h("td", null, foreign(error.words, 300)))), "fixed errors"),
        plan.wrongCells > SHOWN_ERRORS && h("p", { class: "hint" }, `The first ${SHOWN_ERRORS} of ${count(plan.wrongCells)} are shown.`),
        plan.good.length > 0 && h("label", { class: "check" }, this.leave_out, h("span", null, `Leave out the ${counted(bad, "row")} with mistakes, and send the other ${count(plan.good.length)}`)),
      ],
      plan.repeated > 0 && h("p", { class: "warned" }, `${counted(plan.repeated, "row")} ${plan.repeated === 1 ? "has" : "have"} an id that an earlier row has too. `,
        this.action.value === "post" ? "Only the first of them can be created." : "They are applied in the order of the file.",
        plan.acrossJobs && " Each job is sent when the one before has ended, so that this order is kept."));
    announce(bad ? `${counted(bad, "row")} with mistakes.` : "All rows can be sent.");
    this.#buildSend();
    this.#sendable();
  }

  #sendable() {
    this.steps[4].hidden = !(this.#plan?.good.length && (!this.#plan.wrongRows || this.leave_out.checked));
  }

  // Trying and sending

  #buildSend() {
    const { parts, good } = this.#plan;
    this.try = h("button", { type: "button", class: "button", onclick: () => this.#tryIt() }, "Try it without writing");
    this.go = h("button", { type: "button", class: "button main", onclick: () => this.#send() }, `Send ${counted(good.length, "item")}`);
    this.again = h("input", { type: "checkbox" });
    this.tryPlace = h("div", { class: "job-place" });
    this.jobsPlace = h("div", { class: "job-place" });
    this.before = h("div", { class: "job-place" },
      h("p", null, `${counted(good.length, "item")} in ${counted(parts.length, "job")} of at most 10,000 items. `,
        "Trying it first checks each item against what is there now, and writes nothing."),
      this.try, this.tryPlace,
      h("label", { class: "check" }, this.again, h("span", null, "Send it even when the same was sent today",
        h("small", null, "Otherwise the same file with the same choices, sent twice within a day, is the same jobs, and nothing is done twice."))),
      h("div", { class: "actions" }, this.go));
    fill(this.sendPlace, this.before, this.jobsPlace);
  }

  async #tryIt() {
    if (this.try.hasAttribute("aria-disabled")) return;
    const dry = new Sender(this.#session, this.#plan, { hash: null, checks: true, told: () => this.#tried(dry) });
    this.#dry?.stop();
    this.#dry = dry;
    busy(this.try, true);
    await dry.run();
    if (this.#session.ended || this.#dry !== dry) return;
    busy(this.try, false);
    if (dry.done) announce(dry.jobs.some(({ job }) => job.job_status !== "completed") ? "The trial ended before all items were checked." : `Tried: ${count(dry.progress().failed)} of ${counted(this.#plan.good.length, "item")} would fail.`);
  }

  #tried(dry) {
    if (this.#dry !== dry) return;
    const progress = dry.progress();
    const bar = new Bar();
    bar.show(progress);
    if (dry.problem) {
      return fill(this.tryPlace, wrong(dry.problem, () => dry.run().then(() => busy(this.try, false))));
    }
    if (!dry.done) {
      return fill(this.tryPlace, h("p", { class: "status-line" }, `Trying… ${count(progress.processed)} of ${counted(progress.total, "item")}`), bar.element);
    }
    const groups = group(dry.failed);
    const unseen = progress.failed - dry.failed.length;
    const incomplete = dry.jobs.some(({ job }) => job.job_status !== "completed");
    fill(this.tryPlace,
      h("p", { class: progress.failed || incomplete ? "verdict bad" : "verdict good" }, incomplete
        ? `${count(progress.processed)} of ${counted(progress.total, "item")} were tried: ${count(progress.failed)} would fail, ${count(progress.succeeded)} would succeed. Nothing was written.`
        : progress.failed
        ? `${counted(progress.failed, "item")} of ${count(progress.total)} would fail, ${count(progress.succeeded)} would succeed. Nothing was written.`
        : `${progress.total === 1 ? "The only item" : `All ${counted(progress.total, "item")}`} would succeed. Nothing was written.`),
      incomplete && h("p", { class: "warned" }, dry.jobs.some(({ unknown }) => unknown) ? "How a job of the trial ended is not known any more: try it again." : "The trial ended before all items were checked: look at its jobs."),
      groups.length > 0 && h("ul", { class: "reason-list" }, groups.slice(0, SHOWN_REASONS).map((found) => h("li", { class: "reason" },
        h("span", { class: "reason-count figures" }, counted(found.items.length, "item")),
        h("div", { class: "reason-words" }, h("p", { class: "reason-text" }, foreign(found.words || "no detail")),
          h("p", { class: "hint" }, "for example ", foreign(found.example.client_ref ?? "", 60), found.detail !== found.words && [": ", foreign(found.detail, 300)]),
          h("p", { class: "hint" }, foreign(found.items.slice(0, 8).map((item) => item.client_ref ?? "").join(", "), 200), found.items.length > 8 && " and others"))))),
      groups.length > SHOWN_REASONS && h("p", { class: "hint" }, `And ${counted(groups.length - SHOWN_REASONS, "rarer reason")}: the pages of the jobs have them all.`),
      unseen > 0 && h("p", { class: "hint" }, `The reasons of ${count(unseen)} more are on the pages of the jobs.`),
      h("p", { class: "hint" }, "The trial: ", dry.jobs.slice(0, 20).map(({ job }, index) => [index > 0 && ", ", h("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, `job ${index + 1}`)]), dry.jobs.length > 20 && " and others"));
  }

  async #send() {
    if (this.#sender) return;
    this.#dry?.stop();
    const sender = new Sender(this.#session, this.#plan, { hash: this.#table.hash, again: this.again.checked, told: () => this.#sending(sender) });
    this.#sender = sender;
    // What is being sent stays as it is. Tables can still be scrolled.
    for (const control of this.settings.querySelectorAll("input, select, button")) control.disabled = true;
    this.drop.classList.add("off");
    this.before.hidden = true;
    this.jobsHead = h("h3", { tabindex: "-1" }, "Sending");
    this.overall = new Bar();
    this.overallStatus = h("p", { class: "status-line" });
    this.obstacle = h("div", null);
    this.pauseButton = h("button", { type: "button", class: "button", onclick: () => (sender.running ? sender.stop() : sender.run()) }, "Pause");
    this.rows = this.#plan.parts.map((part, index) => this.#jobRow(part, index));
    fill(this.jobsPlace, this.jobsHead, this.overallStatus, this.overall.element, this.obstacle, h("div", { class: "actions" }, this.pauseButton),
      h("ol", { class: "sent" }, this.rows.map((row) => row.element)));
    this.jobsHead.focus();
    await sender.run();
    if (this.#session.ended) return;
    if (sender.done) {
      const { succeeded, failed } = sender.progress();
      announce(`All jobs have ended. ${counted(succeeded, "item")} succeeded, ${count(failed)} failed.`);
    }
  }

  #jobRow(part, index) {
    const [from, to] = this.#plan.rowsOf(part);
    const badge = new Badge();
    badge.element.hidden = true;
    const what = h("span", { class: "sent-what" }, `Job ${index + 1}`);
    const outcome = h("span", { class: "sent-outcome figures" }, "not sent yet");
    const bar = new Bar();
    return { badge, what, outcome, bar, index,
      element: h("li", null, what, h("span", { class: "hint figures" }, `${counted(part.to - part.from, "item")}, rows ${count(from)} to ${count(to)}`), badge.element, outcome, bar.element) };
  }

  #sending(sender) {
    const progress = sender.progress();
    this.overall.show(progress);
    sender.jobs.forEach(({ job, before, tried, unknown }, index) => {
      const row = this.rows[index];
      if (!job) return setText(row.outcome, tried && sender.running ? "sending…" : "not sent yet");
      if (!row.linked) {
        row.linked = true;
        announce(`Job ${index + 1} of ${count(sender.jobs.length)} is sent.`);
        fill(row.what, h("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, `Job ${index + 1}`), before && h("span", { class: "tag" }, "sent before"));
        row.badge.element.hidden = false;
      }
      row.badge.show(job.job_status);
      row.bar.show(job.progress);
      setText(row.outcome, unknown ? "its result is not known any more: the API shows a job for 24 hours" : `${count(job.progress.succeeded)} succeeded, ${count(job.progress.failed)} failed`);
    });
    const all = sender.jobs.length;
    const before = sender.jobs.filter((entry) => entry.before).length;
    const ended = sender.ended;
    const unknown = sender.jobs.filter((entry) => entry.unknown).length;
    const broken = sender.jobs.filter((entry) => entry.job && !entry.unknown && !isActive(entry.job) && entry.job.job_status !== "completed").length;
    setText(this.jobsHead, ended ? "Done" : sender.running ? (sender.sent < all ? "Sending" : "Sent: the jobs are running") : sender.problem?.final ? "Stopped" : "Paused");
    setText(this.overallStatus, `${count(sender.sent)} of ${counted(all, "job")} sent, ${count(progress.processed)} of ${counted(progress.total, "item")} done, ${count(progress.failed)} failed.`
      + (before ? ` ${counted(before, "job")} had been sent before today: nothing was done twice.` : "") + (broken ? ` ${counted(broken, "job")} ended early.` : "")
      + (unknown ? ` How ${counted(unknown, "job")} ended is not known any more: look at the records.` : "")
      + (sender.running && sender.sent < all ? " Leave this page open until all is sent." : ""));
    const over = ended || Boolean(sender.problem?.final);
    if (over && document.activeElement === this.pauseButton) this.jobsHead.focus({ preventScroll: true });
    this.pauseButton.hidden = over;
    setText(this.pauseButton, sender.running ? "Pause" : "Go on");
    this.obstacle.replaceChildren();
    if (sender.problem) {
      fill(this.obstacle, h("div", { class: "message wrong", role: "alert" }, h("h2", null, foreign(sender.problem.title ?? "Something went wrong", 200)),
        h("p", null, foreign(sender.problem.detail ?? String(sender.problem.message), 1000)),
        h("p", null, sender.problem.final ? "What was sent stays." : "What was sent stays. Going on sends the rest, and nothing twice.")));
    }
  }

  // Anew

  #ask() {
    if (!this.#sender || this.#sender.ended) return this.#anew();
    question(this.dialogs, {
      title: "Begin with another file?", yes: "Begin anew", no: "Stay",
      words: [h("p", null, "Jobs that were sent go on. What was not sent yet is not sent.")],
      act: async () => {
        this.fresh = true;
      },
      back: () => {
        if (this.fresh) this.#anew();
        else this.rest.focus();
      },
    });
  }

  #anew() {
    this.#sender?.drop();
    this.#reading?.abort();
    this.#forget();
    const next = new NewView(this.#session);
    this.#session.memory.set("new", next);
    this.element.replaceWith(next.element);
    next.element.querySelector("h1").focus();
  }
}
