// The documents that the caller sees, and what they have uploaded.

import { json } from "./api.js";
import { say } from "./announce.js";
import { confirm } from "./dialog.js";
import { button, el, fill } from "./dom.js";
import { failure, nothing } from "./notice.js";
import { paged } from "./paged.js";
import { show } from "./picture.js";
import { bytes, count, facts, name, plain } from "./text.js";
import { uploads } from "./uploads.js";

/// Shown at once; the gateway would give more.
const PAGE = 50;

/// The view.
export function view(room, overview) {
  const mayCurate = overview.verbs.includes("curate");
  const list = paged({
    load: async (after) => {
      const page = await json("GET", room.at("/documents", { after, limit: PAGE }));
      return { items: page.documents, next: page.next, total: page.total };
    },
    row: (document) => row(document),
    words: (shown, total) =>
      total !== null && total > shown ? `${shown} of ${count(total, "document")}` : count(shown, "document"),
    empty: "There are no documents that you may see yet.",
  });

  function row(document) {
    const title = document.title || document.name;
    const label = plain(title);
    const { pages } = document;
    const look = () => show(room, { id: document.id, title, source: document.source, page: 1, pages });
    const trouble = el("div", {});
    const remove = () =>
      confirm({
        title: "Remove this document?",
        words: ["“", name(title), "” goes away for everybody, at once, and does not come back with its source."],
        action: "Remove for good",
        work: async () => {
          try {
            await json("DELETE", room.document(document.id));
            list.remove(item);
            say(`${label} was removed.`);
          } catch (error) {
            fill(trouble, failure("The document was not removed", error));
          }
        },
      });
    const item = el(
      "li",
      {},
      el(
        "div",
        { class: "row-text" },
        el("p", { class: "row-title" }, name(title)),
        facts(
          document.title && document.title !== document.name ? name(document.name) : null,
          name(document.source),
          pages ? count(pages, "page") : null,
          document.bytes === undefined ? null : bytes(document.bytes),
          document.clearance > 0 ? `Clearance ${document.clearance}` : null,
        ),
        trouble,
      ),
      el(
        "div",
        { class: "actions" },
        pages ? button("Pages", look, { class: "quiet", "aria-label": `Pages of ${label}` }) : null,
        mayCurate ? button("Remove", remove, { class: "quiet danger", "aria-label": `Remove ${label}` }) : null,
      ),
    );
    return item;
  }

  const mine = el("div", {});
  const upload = overview.uploads.length > 0 ? uploads(room, overview.uploads, loadMine) : null;

  async function loadMine() {
    if (!overview.verbs.includes("contribute")) return;
    try {
      const { uploads: sent } = await json("GET", room.at("/documents", { mine: "true" }));
      // Who could upload nothing need not be told that they have not.
      const content = sent.length === 0 ? nothing("Nothing yet.") : ownList(sent);
      fill(mine, upload || sent.length > 0 ? [el("h3", {}, "What you have uploaded"), content] : null);
    } catch (error) {
      fill(mine, failure("Your uploads could not be loaded", error, loadMine));
    }
  }

  const listed = overview.verbs.includes("search")
    ? [el("h3", {}, "In this Room"), list.element]
    : [nothing("You may not list documents.")];
  return {
    element: el("div", {}, upload, listed, mine),
    load: () => {
      if (overview.verbs.includes("search")) list.reload();
      loadMine();
    },
  };
}

function ownList(sent) {
  const row = (one) =>
    el(
      "li",
      {},
      el(
        "div",
        { class: "row-text" },
        el("p", { class: "row-title" }, name(one.file)),
        facts(name(one.source), bytes(one.bytes), one.clearance > 0 ? `Clearance ${one.clearance}` : null),
      ),
    );
  return el("ul", { class: "rows", role: "list" }, sent.map(row));
}
