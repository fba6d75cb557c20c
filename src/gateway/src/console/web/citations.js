// What an answer cites: a list of documents with page and quote, each of which opens.

import { button, el } from "./dom.js";
import { show } from "./picture.js";
import { facts, name, passage, plain } from "./text.js";

/// What a part of a document is called.
export function titleOf(part) {
  return part.title || part.name;
}

/// Shows a citation, or a passage that was found.
export function open(room, part, quote) {
  const { page = null, area = null, headings = [] } = part.place ?? {};
  show(room, { id: part.document, title: titleOf(part), source: part.source, page, area, headings, quote });
}

/// The element for a mark such as `[1]`.
export function mark(room, citation) {
  const page = citation.place?.page ? `, page ${citation.place.page}` : "";
  const label = `Source ${citation.number}: ${plain(titleOf(citation))}${page}`;
  return button(String(citation.number), () => open(room, citation, citation.quote), { class: "cite", "aria-label": label });
}

/// The list of what is cited.
export function list(room, citations) {
  const item = (citation) => {
    const { page, headings = [] } = citation.place ?? {};
    return el(
      "li",
      {},
      el("span", { class: "number" }, String(citation.number)),
      button(name(titleOf(citation)), () => open(room, citation, citation.quote), { class: "source" }),
      facts(
        page ? `Page ${page}` : null,
        headings.length ? name(headings.join(" › ")) : null,
        name(citation.source),
        citation.title && citation.title !== citation.name ? name(citation.name) : null,
      ),
      el("blockquote", {}, passage(citation.quote)),
    );
  };
  return el("section", { class: "sources" }, el("h4", {}, "Sources"), el("ol", { role: "list" }, citations.map(item)));
}
