// Elements from code alone. Text becomes text nodes and nothing else, so that what a tenant wrote is shown and never read as markup.

/** Makes an element. `props`: `class`, `on…` listeners, and attributes; null, undefined and false leave one out. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      if (typeof value !== "function") throw new TypeError(`${name} must be a function`);
      element.addEventListener(name.slice(2), value);
    } else if (name === "style" || name === "srcdoc" || name === "src") {
      throw new TypeError(`${name} is not set from here`);
    } else if (name === "href" && !/^#\//.test(value)) {
      throw new TypeError("links lead within the console");
    } else {
      element.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Puts children in the place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Changes a text only when it is another one: nothing is laid out again for nothing. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// What cannot be seen, or turns the text around it, and so could make one name look like another.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A text with its unseen characters written out. */
export function visible(text) {
  return String(text ?? "").replace(UNSEEN, (unseen) => `[U+${unseen.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

/** What a tenant wrote: its direction stays its own. `most` characters of it are enough for a row. */
export function foreign(text, most = Infinity) {
  const whole = visible(String(text ?? "").slice(0, most + 1));
  return h("bdi", { class: "foreign" }, whole.length > most ? `${whole.slice(0, most)}…` : whole);
}

const SHAPES = {
  queued: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 5v3.2l2 1.3",
  processing: "M8 2.5a5.5 5.5 0 1 1-5.2 3.7",
  completed: "M3 8.5l3.2 3.2L13 4.8",
  failed: "M4 4l8 8M12 4l-8 8",
  aborted: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M4.2 4.2l7.6 7.6",
};

/** A picture that says nothing its neighbour does not say. */
export function glyph(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `glyph glyph-${name in SHAPES ? name : "other"}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name] ?? "M8 8h.01");
  svg.appendChild(path);
  return svg;
}

/** A button that cannot be used just now keeps the focus that it has. */
export function busy(button, isBusy) {
  setAttribute(button, "aria-disabled", isBusy ? "true" : null);
}

/** The focus goes to the heading of the part that an element is in: of what is about to be taken away, it would be lost. */
export function toHeading(element) {
  const heading = element.closest("section, .view")?.querySelector("h1, h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Says something to those who hear the page. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = text), 50);
}

export function hush() {
  document.getElementById("announcer").textContent = "";
}
