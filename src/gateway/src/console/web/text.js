// Words of strangers, made harmless to look at: each is isolated from the direction of what stands around it, and what
// would not be seen, or would move other letters about, is shown by its number.

import { el } from "./dom.js";

// Controls, formats (such as the overrides of direction), separators, and letters that are blank. Joiners (U+200C, U+200D)
// are part of how some languages and emoji are written, and move nothing.
const UNSEEN =
  /[\p{Cc}\p{Zl}\p{Zp}\u{115F}\u{1160}\u{2800}\u{3164}\u{FFA0}]|(?![\u{200C}\u{200D}])\p{Cf}/gu;
const BREAKS = /^[\n\t]$/;

function number(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/// The same with what is unseen written out, for places that hold nothing but text: titles and labels.
export function plain(text) {
  return String(text ?? "").replace(UNSEEN, (character) => `⟨${number(character)}⟩`);
}

/// Appends a text to a node. `lines` leaves its line ends and tabs as they are.
export function append(node, text, lines = false) {
  const all = String(text ?? "").replaceAll("\r\n", "\n");
  let from = 0;
  for (const found of all.matchAll(UNSEEN)) {
    if (lines && BREAKS.test(found[0])) continue;
    node.append(all.slice(from, found.index));
    node.append(el("span", { class: "unseen" }, number(found[0])));
    from = found.index + found[0].length;
  }
  node.append(all.slice(from));
  return node;
}

/// A name, on its own line of thought.
export function name(text) {
  return append(el("bdi", { class: "name" }), text);
}

/// A passage of a document, as it was written.
export function passage(text) {
  return append(el("bdi", { class: "passage" }), text, true);
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/// A size in bytes, for people.
export function bytes(size) {
  if (size < 1024) return `${size} ${size === 1 ? "byte" : "bytes"}`;
  let [value, unit] = [size / 1024, 0];
  while (value >= 1023.95 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  const digits = value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value);
  return `${digits} ${UNITS[unit]}`;
}

/// A number of things.
export function count(amount, one, many = `${one}s`) {
  return `${amount.toLocaleString("en")} ${amount === 1 ? one : many}`;
}

/// A time as the API gives it, in the reader's own.
export function time(text) {
  const date = new Date(text);
  const known = !Number.isNaN(date.getTime());
  const words = known ? date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : plain(text);
  return el("time", { datetime: known ? date.toISOString() : null }, words);
}

/// What stands between small facts about a thing.
export function facts(...parts) {
  const present = parts.filter((part) => part !== null && part !== undefined && part !== false && part !== "");
  const line = el("p", { class: "facts" });
  for (const [place, part] of present.entries()) {
    if (place > 0) line.append(el("span", { class: "dot", "aria-hidden": "true" }, " · "));
    line.append(el("span", {}, part));
  }
  return line;
}
