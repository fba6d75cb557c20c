// Who asked what, for auditors.

import { json } from "./api.js";
import { past } from "./answer.js";
import { el } from "./dom.js";
import { nothing } from "./notice.js";
import { paged } from "./paged.js";
import { append, count, facts, name, time } from "./text.js";

const PAGE = 20;

/// The view.
export function view(room) {
  const list = paged({
    load: async (after) => {
      const page = await json("GET", room.at("/audit", { after, limit: PAGE }));
      return { items: page.entries, next: page.next };
    },
    row: (entry) =>
      el(
        "li",
        { class: "entry" },
        append(el("h3", { class: "question" }), entry.question ?? "A question that is not shown", true),
        entry.answer === undefined ? nothing("The answer is not kept, or you may not see what it was made of.") : past(entry.answer),
        facts(
          name(entry.user),
          time(entry.at),
          `Generation ${entry.generation}`,
          count(entry.chunks.length, "passage"),
          entry.clearance > 0 ? `Clearance ${entry.clearance}` : null,
        ),
        said(entry.feedback ?? []),
      ),
    words: (shown) => count(shown, "question"),
    empty: "Nobody has asked anything that you may see.",
  });
  const lead = "Questions in this Room, the latest first, as far as your clearance reaches.";
  return { element: el("div", {}, el("p", { class: "lead" }, lead), list.element), load: list.reload };
}

const KINDS = { thumbs: "Thumb", rating: "Rating", error_report: "Error report", correction: "Correction" };

function said(all) {
  if (all.length === 0) return null;
  const one = (feedback) =>
    el(
      "li",
      {},
      `${KINDS[feedback.kind] ?? "Feedback"} by `,
      name(feedback.user),
      ": ",
      append(el("bdi"), feedback.value, true),
      feedback.comment ? [". ", append(el("bdi"), feedback.comment, true)] : null,
    );
  return el("ul", { class: "said" }, all.map(one));
}
