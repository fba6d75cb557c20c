// Passages that a search has found.

import { json } from "./api.js";
import { button, el } from "./dom.js";
import { open, titleOf } from "./citations.js";
import { nothing } from "./notice.js";
import { count, facts, name, passage } from "./text.js";

/// Looks for something; gives what to show and what to say.
export async function search(room, query, signal) {
  const found = await json("POST", room.at("/search"), { body: { query }, signal });
  if (found.hits.length === 0) {
    const words = "Nothing was found among what you may see.";
    return { content: nothing(words), words };
  }
  const item = (hit) => {
    const { page, headings = [] } = hit.place ?? {};
    return el(
      "li",
      {},
      button(name(titleOf(hit)), () => open(room, hit, hit.text), { class: "source" }),
      facts(
        page ? `Page ${page}` : null,
        headings.length ? name(headings.join(" › ")) : null,
        name(hit.source),
        `Similarity ${hit.score.toFixed(2)}`,
      ),
      el("blockquote", {}, passage(hit.text)),
    );
  };
  const words = `${count(found.hits.length, "passage")} found.`;
  return { content: el("section", { class: "sources" }, el("h4", {}, words), el("ol", { role: "list" }, found.hits.map(item))), words };
}
