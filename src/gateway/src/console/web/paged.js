// Lists that come page by page.

import { say } from "./announce.js";
import { button, el, fill } from "./dom.js";
import { failure, nothing, waiting } from "./notice.js";

/// A list. `load(after)` gives `{items, next, total}`, `row(item)` an `li`, and `words(shown, total)` says how many there are.
/// Returns the element, and a function that loads it anew.
export function paged({ load, row, words, empty }) {
  const summary = el("p", { class: "facts" });
  const list = el("ul", { class: "rows", role: "list" });
  const foot = el("div", {});
  const element = el("div", {}, summary, list, foot);
  let [total, asked] = [null, 0];

  async function more(after, isFirst) {
    asked += 1;
    const mine = asked;
    fill(foot, waiting("Loading…"));
    try {
      const page = await load(after);
      if (mine !== asked) return;
      if (isFirst) {
        list.replaceChildren();
        total = page.total ?? null;
      }
      const rows = page.items.map(row);
      list.append(...rows);
      list.hidden = list.childElementCount === 0;
      tell();
      if (page.next) fill(foot, button("Show more", () => more(page.next, false), { class: "quiet" }));
      else fill(foot, list.hidden ? nothing(empty) : null);
      if (!isFirst) {
        // The button that had the focus is gone.
        rows[0]?.setAttribute("tabindex", "-1");
        rows[0]?.focus();
        say(summary.textContent);
      }
    } catch (error) {
      if (mine !== asked) return;
      if (isFirst) [list.hidden, summary.textContent] = [true, ""];
      // That is no failure: it only takes time.
      if (error.code === "room_empty") return fill(foot, nothing(error.message));
      fill(foot, failure("The list could not be loaded", error, () => more(after, isFirst)));
    }
  }

  function tell() {
    const shown = list.childElementCount;
    summary.textContent = shown === 0 ? "" : words(shown, total);
  }

  /// Takes a row out, and gives the focus to its neighbour.
  function remove(item) {
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    if (total !== null) total -= 1;
    tell();
    list.hidden = list.childElementCount === 0;
    if (list.hidden) fill(foot, nothing(empty));
    neighbour?.setAttribute("tabindex", "-1");
    neighbour?.focus();
  }

  return { element, reload: () => more(null, true), remove };
}
