// Documents that were set aside: why, what to do, and letting them in all the same.

import { json } from "./api.js";
import { say } from "./announce.js";
import { confirm } from "./dialog.js";
import { button, el, fill } from "./dom.js";
import { failure } from "./notice.js";
import { paged } from "./paged.js";
import { show } from "./picture.js";
import { count, facts, name, plain } from "./text.js";

const PAGE = 50;

/// `LowCoverage` as words.
function reasonWords(code) {
  const words = plain(code).replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/// The view.
export function view(room) {
  const list = paged({
    load: async (after) => {
      const page = await json("GET", room.at("/documents", { quarantined: "true", after, limit: PAGE }));
      return { items: page.documents, next: page.next };
    },
    row: (document) => row(room, document),
    words: (shown) => `${count(shown, "document")} set aside`,
    empty: "No document is set aside.",
  });
  const lead = "These documents are not found by anybody. Read why, then correct them in their source, or release them.";
  return { element: el("div", {}, el("p", { class: "lead" }, lead), list.element), load: list.reload };
}

function row(room, document) {
  const title = document.title || document.name;
  const label = plain(title);
  const pages = document.pictures ?? 0;
  const look = () => show(room, { id: document.id, title, source: document.source, page: 1, pages, setAside: true });
  const state = el("p", { class: "facts told" }, document.released ? RELEASED : null);
  const release = () =>
    confirm({
      title: "Release this document?",
      words: ["“", name(title), "” is let in with the next synchronization, whatever was found in it. Look at it first."],
      action: "Release",
      danger: false,
      work: async () => {
        try {
          await json("POST", room.document(document.id, "/release"));
          letIn.remove();
          fill(state, RELEASED);
          say(`${label} is released.`);
        } catch (error) {
          fill(state, failure("The document was not released", error));
        }
      },
    });
  const letIn = button("Release", release, { class: "quiet", "aria-label": `Release ${label}` });
  return el(
    "li",
    {},
    el(
      "div",
      { class: "row-text" },
      el("p", { class: "row-title" }, name(title)),
      el("p", {}, el("span", { class: "reason" }, reasonWords(document.quarantined)), document.advice ? `: ${plain(document.advice)}.` : null),
      facts(
        document.title && document.title !== document.name ? name(document.name) : null,
        name(document.source),
        document.clearance > 0 ? `Clearance ${document.clearance}` : null,
      ),
      state,
    ),
    el(
      "div",
      { class: "actions" },
      pages > 0 ? button("Pages", look, { class: "quiet", "aria-label": `Pages of ${label}` }) : null,
      document.releasable && !document.released ? letIn : null,
    ),
  );
}

const RELEASED = "Released: it comes with the next synchronization.";
