// What the caller asked before.

import { json } from "./api.js";
import { past } from "./answer.js";
import { el } from "./dom.js";
import { feedback } from "./feedback.js";
import { nothing } from "./notice.js";
import { paged } from "./paged.js";
import { append, count, facts, time } from "./text.js";

const PAGE = 20;

/// The view.
export function view(room, overview) {
  const mayRate = overview.verbs.includes("feedback");
  const list = paged({
    load: async (after) => {
      const page = await json("GET", room.at("/history", { after, limit: PAGE }));
      return { items: page.entries, next: page.next };
    },
    row: (entry) =>
      el(
        "li",
        { class: "entry" },
        append(el("h3", { class: "question" }), entry.question ?? "A question that is not kept any more", true),
        entry.answer === undefined ? nothing("The answer is not kept any more, or you may not see it now.") : past(entry.answer),
        facts(time(entry.at), entry.clearance > 0 ? `Clearance ${entry.clearance}` : null),
        mayRate ? feedback(room, entry.id) : null,
      ),
    words: (shown) => count(shown, "question"),
    empty: "You have asked nothing in this Room yet.",
  });
  const lead = "Your own questions. Answers are shown as long as you may see everything that they were made of.";
  return { element: el("div", {}, el("p", { class: "lead" }, lead), list.element), load: list.reload };
}
