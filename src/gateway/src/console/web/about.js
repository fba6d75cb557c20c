// What the Room is to the caller, and who else is in it.

import { el } from "./dom.js";
import { count, name, plain } from "./text.js";

const VERBS = {
  search: "search its documents",
  ask: "ask questions",
  feedback: "say what answers are worth",
  contribute: "upload documents",
  curate: "remove and release documents",
  audit: "read who asked what",
  redteam: "test it for leaks",
};

/// The view.
export function view(room, overview) {
  const row = (term, ...what) => el("div", {}, el("dt", {}, term), el("dd", {}, ...what));
  const can = overview.verbs.map((verb) => el("li", {}, VERBS[verb] ?? plain(verb)));
  const element = el(
    "div",
    {},
    el(
      "dl",
      { class: "about" },
      row("Room", name(room.name)),
      row("Namespace", name(room.namespace)),
      row("You are", name(overview.user)),
      row("Your clearance", `${overview.clearance} of 100`),
      row("You may", el("ul", {}, can)),
      overview.verbs.includes("search") ? row("Documents that you see", count(overview.documents, "document")) : null,
      row("Answers", overview.answers ? "From a model, out of the documents" : "None: it can only be searched"),
    ),
    ...members(overview.members ?? []),
  );
  return { element };
}

function members(all) {
  if (all.length === 0) return [];
  const row = (member) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name(member.name)),
      el("td", {}, plain(member.kind)),
      el("td", {}, plain(member.role)),
      el("td", {}, String(member.clearance)),
    );
  const head = ["Name", "Kind", "Role", "Clearance"].map((title) => el("th", { scope: "col" }, title));
  return [
    el("h3", { id: "members" }, "Members"),
    // It scrolls where it is wider than the page, also by keys.
    el(
      "div",
      { class: "table", role: "region", "aria-labelledby": "members", tabindex: 0 },
      el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, all.map(row))),
    ),
  ];
}
