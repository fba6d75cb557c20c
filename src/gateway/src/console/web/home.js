// The first page: which Room?

import { account } from "./account.js";
import { button, el, fill } from "./dom.js";
import { nothing } from "./notice.js";
import * as recent from "./recent.js";
import * as session from "./session.js";
import { name } from "./text.js";

const address = (namespace, room) => `/console/rooms/${encodeURIComponent(namespace)}/${encodeURIComponent(room)}`;
const place = (id) => document.getElementById(id);

place("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const [namespace, room] = [place("namespace").value.trim(), place("room").value.trim()];
  if (namespace && room) window.location.assign(address(namespace, room));
});

function list() {
  const rooms = recent.all();
  const forget = () => {
    recent.clear();
    list();
    place("namespace").focus();
  };
  const item = ([namespace, room]) =>
    el(
      "li",
      {},
      el("a", { href: address(namespace, room) }, el("span", { class: "row-title" }, name(room)), el("span", { class: "facts" }, name(namespace))),
    );
  fill(
    place("recent"),
    rooms.length === 0
      ? nothing("None yet in this browser.")
      : [el("ul", { class: "rows links", role: "list" }, rooms.map(item)), button("Forget these", forget, { class: "quiet" })],
  );
}

const linked = session.fromAddress();
// A token that a link brings does not push out one that is there.
if (linked !== null && !session.token()) session.keep(linked);
session.onGone(() => {
  account(null);
  list();
});
account(null);
list();
