// The Markdown of answers, as elements. There are no links, images or HTML in it: what looks like them is text.

import { el } from "./dom.js";
import { BORDERS, isOpening, reason } from "./marks.js";
import { append } from "./text.js";

const INLINE =
  /`([^`\n]+)`|\*\*(?=\S)([^]+?)\*\*|__(?=\S)([^]+?)__|\*(?=[^\s*])([^*\n]+)\*|[[【](\d{1,4}(?:\s*[,–-]\s*\d{1,4})*)[\]】]/gu;
const ITEM = /^\s*(?:[-*+•]|(\d{1,3})[.)])\s+/;

/// An answer's text. `cite` gives the element for a mark such as `[1]`, or nothing where it is only text; `reasons` are why
/// the marked sentences are not supported, in their order.
export function render(text, { cite = () => null, reasons = [] } = {}) {
  const state = { cite, reasons, flagged: 0, isOpen: false };
  const out = document.createDocumentFragment();
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const start = at;
    if (/^\s*```/.test(line)) {
      do at += 1;
      while (at < lines.length && !/^\s*```/.test(lines[at]));
      out.append(code(lines.slice(start + 1, at), state));
      at += 1;
    } else if (/^\s*\|/.test(line)) {
      while (at < lines.length && /^\s*\|/.test(lines[at])) at += 1;
      out.append(code(lines.slice(start, at), state));
    } else if (ITEM.test(unmarked(line))) {
      while (at < lines.length && ITEM.test(unmarked(lines[at]))) at += 1;
      out.append(list(lines.slice(start, at), state));
    } else if (/^\s*#{1,6}\s/.test(line)) {
      // The page's own headings stay in order.
      out.append(el("p", { class: "answer-heading" }, inline(line.replace(/^\s*#+\s+/, ""), state)));
      at += 1;
    } else if (line.trim() === "") {
      at += 1;
    } else {
      const plain = (one) => one.trim() !== "" && !/^\s*(```|\||#{1,6}\s)/.test(one) && !ITEM.test(unmarked(one));
      do at += 1;
      while (at < lines.length && plain(lines[at]));
      out.append(el("p", {}, inline(lines.slice(start, at).join("\n"), state)));
    }
  }
  return out;
}

/// Borders of marked sentences stand before the marks of lists.
function unmarked(line) {
  return line.replace(new RegExp(BORDERS, "gu"), "");
}

function code(lines, state) {
  const text = lines.join("\n");
  const out = document.createDocumentFragment();
  out.append(append(el("pre", { tabindex: 0 }), unmarked(text), true));
  for (const border of text.match(new RegExp(BORDERS, "gu")) ?? []) {
    state.isOpen = isOpening(border);
    if (!state.isOpen) out.append(el("p", {}, flag(state)));
  }
  return out;
}

function flag(state) {
  const why = reason(state.reasons[state.flagged]);
  state.flagged += 1;
  return el("span", { class: "flag" }, why ? `Not supported: ${why}` : "Not supported by the documents");
}

function list(lines, state) {
  const first = unmarked(lines[0]).match(ITEM)[1];
  const items = lines.map((line) => {
    const lead = line.match(/^[\s\u{E000}\u{E001}]*/u)[0];
    const number = unmarked(line).match(ITEM)[1];
    const text = lead.replace(/\s/g, "") + line.slice(lead.length).replace(ITEM, "");
    return el("li", { value: number ?? null }, inline(text, state));
  });
  return first === undefined ? el("ul", {}, items) : el("ol", {}, items);
}

/// A line's text, with the sentences in it that are not supported.
function inline(text, state) {
  const out = document.createDocumentFragment();
  let target = state.isOpen ? opened(out) : out;
  for (const part of text.split(BORDERS)) {
    if (!BORDERS.test(part)) {
      words(target, part, state);
    } else if (isOpening(part)) {
      state.isOpen = true;
      target = opened(out);
    } else {
      state.isOpen = false;
      target.append(" ", flag(state));
      target = out;
    }
  }
  return out;
}

function opened(out) {
  const mark = el("mark", { class: "unsupported" });
  out.append(mark);
  return mark;
}

function words(target, text, state) {
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    append(target, text.slice(from, found.index), true);
    from = found.index + found[0].length;
    const [all, codeText, strong, strongToo, emphasis, numbers] = found;
    if (codeText !== undefined) target.append(append(el("code"), codeText));
    else if (strong !== undefined) words(target.appendChild(el("strong")), strong, state);
    else if (strongToo !== undefined) words(target.appendChild(el("strong")), strongToo, state);
    else if (emphasis !== undefined) words(target.appendChild(el("em")), emphasis, state);
    else target.append(...cites(all, numbers, state));
  }
  append(target, text.slice(from), true);
}

/// `[1, 3-4]` as one element for each number, as far as each is a citation.
function cites(all, numbers, state) {
  const single = [];
  for (const part of numbers.split(",")) {
    const [from, to = from] = part.split(/[–-]/).map((number) => Number(number.trim()));
    if (to < from || to - from > 20) return [all];
    for (let number = from; number <= to; number += 1) single.push(number);
  }
  const elements = single.map((number) => state.cite(number));
  return elements.every(Boolean) ? elements : [all];
}
