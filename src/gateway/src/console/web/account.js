// Who is signed in, at the top of the page.

import { button, el, fill } from "./dom.js";
import * as recent from "./recent.js";
import * as session from "./session.js";
import { name } from "./text.js";

/// Signs out.
export function leave() {
  recent.clear();
  session.drop("left");
}

/// Shows `user`; null where it is not known who has the token, and nothing without a token.
export function account(user) {
  const place = document.getElementById("account");
  if (!session.token()) return fill(place);
  const ends = session.ends()?.toLocaleTimeString(undefined, { timeStyle: "short" });
  const who = user === null ? "Signed in" : ["Signed in as ", name(user)];
  return fill(
    place,
    el("span", {}, who, ends ? el("span", { class: "until" }, ` until ${ends}`) : null),
    button("Sign out", leave, { class: "quiet" }),
  );
}
