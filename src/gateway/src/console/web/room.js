// The page of a Room: signs in, sees what the caller may do, and puts the parts together.

import * as about from "./about.js";
import { account, leave } from "./account.js";
import { say } from "./announce.js";
import { Room, json } from "./api.js";
import * as ask from "./ask.js";
import * as audit from "./audit.js";
import { confirm } from "./dialog.js";
import * as documents from "./documents.js";
import { button, el, fill } from "./dom.js";
import * as history from "./history.js";
import { failure, notice, waiting } from "./notice.js";
import * as quarantine from "./quarantine.js";
import * as recent from "./recent.js";
import * as session from "./session.js";
import { signIn } from "./signin.js";
import { facts, name, plain } from "./text.js";
import { Views } from "./views.js";

const part = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
const [namespace, called] = window.location.pathname.split("/").slice(3, 5).map(part);
const room = new Room(namespace, called);

const place = (id) => document.getElementById(id);
const [title, gate, banner, links, views] = ["title", "gate", "banner", "views-nav", "views"].map(place);
let [shown, user, hasEntered] = [null, null, false];

function titled(part) {
  document.title = [part, plain(called), "Atelier"].filter(Boolean).join(" · ");
}

/// What the caller may do decides which parts there are.
function parts(overview) {
  const may = (verb) => overview.verbs.includes(verb);
  const canAsk = overview.answers && may("ask");
  const all = [
    [canAsk || may("search"), { key: "ask", title: canAsk ? "Ask" : "Search", make: () => ask.view(room, overview) }],
    [may("search") || may("contribute"), { key: "documents", title: "Documents", make: () => documents.view(room, overview) }],
    [may("curate"), { key: "quarantine", title: "Quarantine", make: () => quarantine.view(room) }],
    [may("ask"), { key: "history", title: "History", make: () => history.view(room, overview) }],
    [may("audit"), { key: "audit", title: "Audit", make: () => audit.view(room) }],
    [true, { key: "about", title: "About", make: () => about.view(room, overview) }],
  ];
  return all.filter(([isThere]) => isThere).map(([, view]) => view);
}

/// Takes everything of the Room off the page.
function empty() {
  shown?.leave();
  [shown, user] = [null, null];
  fill(views);
  fill(links);
  fill(banner);
}

function cover(isCovered) {
  for (const part of [views, links, banner]) part.hidden = isCovered;
}

function askForToken(reason) {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  cover(true);
  account(null);
  titled("Sign in");
  const form = signIn(reason, enter);
  fill(gate, form.element);
  form.focus();
  if (reason !== "none") say(form.element.querySelector("h2").textContent);
}

async function enter() {
  if (!session.token()) return askForToken("none");
  const isBack = shown !== null;
  fill(gate, waiting("Opening the Room…"));
  let overview;
  try {
    overview = await json("GET", room.path);
  } catch (error) {
    if (error.status === 401) return undefined;
    empty();
    account(null);
    return fill(
      gate,
      failure("The Room does not open", error, enter),
      el("p", { class: "actions" }, button("Sign in as somebody else", leave, { class: "quiet" })),
    );
  }
  hasEntered = true;
  recent.add(namespace, called);
  fill(gate);
  // Whoever is back goes on where they were; somebody else finds nothing of theirs.
  if (isBack && overview.user === user) {
    cover(false);
    account(user);
    return shown.show(true);
  }
  empty();
  user = overview.user;
  account(user);
  cover(false);
  fill(banner, overview.empty ? notFilled() : null);
  shown = new Views(parts(overview), { place: views, links, shown: titled });
  shown.show(false);
  say(`The Room ${plain(called)} is open. You are signed in as ${plain(user)}.`);
  return undefined;
}

function notFilled() {
  const words = "Nothing can be found in it before its first synchronization, which takes a while.";
  return notice("plain", "This Room is still empty", el("p", {}, words), button("Look again", again, { class: "quiet" }));
}

function again() {
  empty();
  enter();
}

/// A link may bring a token. It does not push out the one that is there without a word.
function takeLinked() {
  const linked = session.fromAddress();
  if (linked === null || linked === session.token()) return;
  const take = () => {
    session.keep(linked);
    again();
  };
  if (!session.token()) return void session.keep(linked);
  confirm({
    title: "Sign in as somebody else?",
    words: "The link that you have followed brings another token. With it, you act as whoever it belongs to.",
    action: "Use that token",
    danger: false,
    work: take,
  });
}

session.onGone((reason) => {
  if (reason === "left") empty();
  askForToken(reason === "expired" && !hasEntered ? "refused" : reason);
  if (reason === "left") hasEntered = false;
});
window.addEventListener("hashchange", () => {
  const isLink = session.isLink();
  takeLinked();
  const isInside = shown !== null && !views.hidden;
  if (!isInside && session.token()) enter();
  else if (isInside && !isLink) shown.show(true);
});

fill(title, name(called));
fill(place("where"), facts(["Room in ", name(namespace)]));
titled(null);
takeLinked();
enter();
