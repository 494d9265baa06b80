import { BASE, Gone, Session, basic, bearer } from "./api.js";
import { busy, fill, h, setText } from "./dom.js";

/** Shows the form in `place`, and calls `opened(credentials, keeps)` once the service has accepted them. */
export function signIn(place, { reason, waiting, answered, opened }) {
  let trial = null;
  const token = field("Token", { name: "token", type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "none", required: true });
  const email = field("Email", { name: "email", type: "text", inputmode: "email", autocomplete: "username", spellcheck: "false", autocapitalize: "none", required: true });
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const byToken = radio("token", "Token", true);
  const byPassword = radio("password", "Email and password", false);
  const remember = h("input", { type: "checkbox", name: "remember" });
  const complaint = h("p", { class: "complaint", role: "alert", id: "complaint" });
  const go = h("button", { type: "submit", class: "button main wide" }, "Sign in");
  const stop = h("button", { type: "button", class: "button quiet wide", hidden: true, onclick: () => {
    go.focus();
    settle();
  } }, "Cancel");
  const inputs = [token.input, email.input, password.input];

  const hint = h("p", { class: "hint" }, "With an API token: write /token behind the email, and the token as the password.");

  const choose = () => {
    hint.hidden = !byPassword.input.checked;
    token.element.hidden = token.input.disabled = !byToken.input.checked;
    email.element.hidden = email.input.disabled = !byPassword.input.checked;
    password.element.hidden = password.input.disabled = !byPassword.input.checked;
  };
  const complain = (text) => {
    setText(complaint, text);
    for (const input of inputs) {
      if (text) input.setAttribute("aria-describedby", "complaint");
      else input.removeAttribute("aria-describedby");
    }
  };
  const settle = () => {
    trial?.end();
    trial = null;
    answered();
    stop.hidden = true;
    busy(go, false);
    setText(go, "Sign in");
  };

  const send = async (event) => {
    event.preventDefault();
    if (trial) return;
    complain("");
    const credentials = byToken.input.checked
      ? bearer(token.input.value.trim())
      : basic(email.input.value.trim(), password.input.value);
    if (/[^\x20-\x7e]/.test(credentials.header)) return complain("A token has no such characters.");
    const mine = (trial = new Session(credentials, {
      waiting,
      answered,
      signedOut: () => {
        if (trial !== mine) return;
        settle();
        complain(byToken.input.checked ? "This token is not accepted. It may be wrong, revoked or at its end."
          : "This email and password are not accepted.");
        (byToken.input.checked ? token : password).input.focus();
      },
    }));
    busy(go, true);
    stop.hidden = false;
    setText(go, "Signing in…");
    try {
      await mine.json(`${BASE}/jobs?per_page=1`);
      if (trial !== mine) return;
      const keeps = remember.checked;
      settle();
      for (const input of inputs) input.value = "";
      opened(credentials, keeps);
    } catch (problem) {
      if (problem instanceof Gone || trial !== mine) return;
      settle();
      complain(problem.detail ?? "Something went wrong.");
      go.focus();
    }
  };

  const form = h("form", { class: "card sign-in", onsubmit: send, autocomplete: "on" },
    h("div", { class: "sign-in-mark", "aria-hidden": true }),
    h("h1", { tabindex: "-1" }, "Sign in to Sundial"),
    complaint,
    h("fieldset", { class: "choice", onchange: choose },
      h("legend", null, "Sign in with"),
      h("div", { class: "segments" }, byToken.element, byPassword.element),
    ),
    token.element, email.element, password.element, hint,
    h("label", { class: "check" }, remember, h("span", null, "Stay signed in while this tab is open",
      h("small", null, "Otherwise a reload asks again."))),
    go, stop,
    h("p", { class: "hint" }, "Only agents and admins may use jobs."),
  );
  choose();
  fill(place, h("main", { class: "sign-in-page" }, form));
  complain(reason ?? "");
  token.input.focus();
}

let fields = 0;

function field(label, props) {
  const id = `field-${(fields += 1)}`;
  const input = h("input", { id, ...props });
  return { input, element: h("div", { class: "field" }, h("label", { for: id }, label), input) };
}

function radio(value, label, checked) {
  const input = h("input", { type: "radio", name: "with", value, checked });
  return { input, element: h("label", { class: "segment" }, input, h("span", null, label)) };
}
