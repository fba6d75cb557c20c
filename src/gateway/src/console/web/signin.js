// The form for a token.

import { el, fresh } from "./dom.js";
import * as session from "./session.js";

const TITLES = {
  none: "Sign in",
  left: "You are signed out",
  expired: "Your token has expired",
  refused: "This token is not accepted",
};
const WORDS = {
  none: "This page asks the gateway in your name. It needs a token of yours for that.",
  left: "Your token is forgotten. Paste one to come back.",
  expired: "The gateway does not take it any more. Paste a new one to go on where you were.",
  refused: "The gateway does not know it, or it has expired, or it is for another audience. Paste another one.",
};
const COMMAND = "kubectl create token NAME \\\n  --namespace NAMESPACE --audience atelier";

/// The form, for one of the reasons above. `done` is called when there is a token.
export function signIn(reason, done) {
  const [id, hint, why] = [fresh("token"), fresh("hint"), fresh("why")];
  const isWrong = reason === "refused" || reason === "expired";
  const input = el("input", {
    id,
    type: "password",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": `${why} ${hint}`,
    "aria-invalid": reason === "refused" ? "true" : null,
  });
  const submit = (event) => {
    event.preventDefault();
    if (!input.value.trim()) return input.focus();
    session.keep(input.value);
    input.value = "";
    done();
  };
  const form = el(
    "form",
    { on: { submit } },
    el("div", { class: "field" }, el("label", { for: id }, "Token"), input),
    el("p", { id: hint, class: "hint" }, "It stays in this browser tab and is forgotten when you close it."),
    el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Sign in")),
    el(
      "details",
      {},
      el("summary", {}, "Where do I get a token?"),
      el("p", {}, "A token of a ServiceAccount, made with:"),
      el("pre", { class: "command" }, COMMAND),
      el("p", {}, "Or a token of your organization's sign-in, or an API key, if whoever runs this gateway has set that up."),
    ),
  );
  const words = el("p", { id: why, class: isWrong ? "notice caution" : "lead" }, WORDS[reason]);
  const title = el("h2", { tabindex: -1 }, TITLES[reason]);
  return { element: el("section", { class: "card sign-in" }, title, words, form), focus: () => input.focus() };
}
