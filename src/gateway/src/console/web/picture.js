// The picture of a page in a dialog, with what is quoted from it.

import { ask } from "./api.js";
import { say } from "./announce.js";
import { open } from "./dialog.js";
import { button, el, fill } from "./dom.js";
import { nothing, waiting } from "./notice.js";
import { facts, name, passage, plain } from "./text.js";

/// Shows a document: `page` from 1, or none where it has no pages; `pages` to leaf through; a `quote`, and the `area` of
/// the page that it is from.
export function show(room, { id, title, source, page = null, pages = null, quote = null, area = null, headings = [], setAside = false }) {
  const leaving = new AbortController();
  let address = null;
  let current = page;
  const stage = el("div", { class: "page-stage" });
  const where = el("span", { class: "page-where" });
  const back = button("Previous page", () => leaf(current - 1), { class: "quiet" });
  const on = button("Next page", () => leaf(current + 1), { class: "quiet" });

  function release() {
    if (address) URL.revokeObjectURL(address);
    address = null;
  }

  function leaf(to) {
    if (to >= 1 && to <= pages) turn(to);
  }

  async function turn(to) {
    current = to;
    where.textContent = pages ? `Page ${to} of ${pages}` : `Page ${to}`;
    // A button with the focus stays one, even where there is nothing behind it.
    back.setAttribute("aria-disabled", String(to <= 1));
    on.setAttribute("aria-disabled", String(!pages || to >= pages));
    fill(stage, waiting(`Loading page ${to}…`));
    const path = room.document(id, `/pages/${to}`, { quarantined: setAside ? "true" : null });
    try {
      const response = await ask("GET", path, { signal: leaving.signal });
      const blob = await response.blob();
      if (current !== to || leaving.signal.aborted) return;
      release();
      address = URL.createObjectURL(blob);
      const shown = el("img", { src: address, alt: `Picture of page ${to} of ${plain(title)}` });
      shown.addEventListener("error", () => fill(stage, nothing("This picture cannot be shown.")));
      fill(stage, el("div", { class: "page-sheet" }, shown, to === page ? outline(area) : null));
      say(`Page ${to} is shown.`);
    } catch (error) {
      if (error.name === "AbortError" || current !== to) return;
      const words = error.status === 404 ? `There is no picture of page ${to}.` : error.message;
      fill(stage, nothing(words));
      say(words);
    }
  }

  const content = [
    facts(source ? name(source) : null, headings.length ? name(headings.join(" › ")) : null, page ? where : null),
    quote ? el("blockquote", {}, passage(quote)) : null,
  ];
  if (page) {
    if (pages > 1) content.push(el("div", { class: "actions" }, back, on));
    content.push(stage);
    turn(page);
  }
  open({
    title: name(title),
    content,
    wide: Boolean(page),
    closed: () => {
      leaving.abort();
      release();
    },
  });
}

/// A frame around the part of the page that is meant, where it is known.
function outline(area) {
  if (!area || area.length !== 4 || !area.every((part) => part >= 0 && part <= 1)) return null;
  const [left, top, right, bottom] = area;
  const frame = el("div", { class: "page-area" });
  frame.style.left = `${left * 100}%`;
  frame.style.top = `${top * 100}%`;
  frame.style.width = `${(right - left) * 100}%`;
  frame.style.height = `${(bottom - top) * 100}%`;
  return frame;
}
