// Boxes that tell how something went.

import { say } from "./announce.js";
import { button, el } from "./dom.js";
import { plain } from "./text.js";

/// A box with a title and some words; `kind` is `plain`, `caution` or `bad`.
export function notice(kind, title, ...words) {
  return el("div", { class: `notice ${kind}` }, el("p", { class: "notice-title" }, title), ...words);
}

/// Why something was not done, with a way to try again.
export function failure(title, error, again = null) {
  const words = plain(error.message);
  say(`${title}. ${words}`);
  return notice(
    "bad",
    title,
    el("p", {}, words),
    error.id ? el("p", { class: "facts" }, `Request ${plain(error.id)}`) : null,
    again ? button("Try again", again, { class: "quiet" }) : null,
  );
}

/// Nothing to show, and why.
export function nothing(words) {
  return el("p", { class: "nothing" }, words);
}

/// Something is on its way.
export function waiting(words) {
  return el("p", { class: "waiting" }, el("span", { class: "spinner", "aria-hidden": "true" }), words);
}
