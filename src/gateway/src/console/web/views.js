// The parts of the page, one of which is shown: which one stands in the address behind `#`.

import { el, fill } from "./dom.js";

/// Parts of a page in `place`, with links to them in `links`. Each has a `key`, a `title`, and `make`, which gives
/// `{element, load?, leave?}`. `shown` is told the title of the one that is shown.
export class Views {
  constructor(parts, { place, links, shown }) {
    this.parts = parts;
    this.shown = shown;
    this.current = null;
    this.made = new Map();
    this.place = place;
    this.anchors = new Map(parts.map(({ key, title }) => [key, el("a", { href: `#${key}` }, title)]));
    fill(links, el("ul", {}, [...this.anchors.values()].map((anchor) => el("li", {}, anchor))));
    fill(place);
  }

  /// Shows what the address names, or the first one. `focus` is for those who have gone there, not for a page that opens.
  show(focus) {
    const key = window.location.hash.slice(1);
    const named = this.parts.find((one) => one.key === key);
    // Other addresses lead to places within the page.
    if (this.current && !named && key) return;
    const part = named ?? this.parts[0];
    this.current = part;
    for (const [other, anchor] of this.anchors) {
      if (other === part.key) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
    if (!this.made.has(part.key)) this.make(part);
    for (const [other, { section }] of this.made) section.hidden = other !== part.key;
    const { view, heading } = this.made.get(part.key);
    // What others did meanwhile is seen with each visit.
    view.load?.();
    this.shown(part.title);
    if (focus) heading.focus();
  }

  make(part) {
    const id = `view-${part.key}`;
    const heading = el("h2", { id, tabindex: -1 }, part.title);
    const view = part.make();
    const section = el("section", { "aria-labelledby": id, class: "view" }, heading, view.element);
    this.place.append(section);
    this.made.set(part.key, { section, heading, view });
  }

  /// Ends what is going on in them.
  leave() {
    for (const { view } of this.made.values()) view.leave?.();
  }
}
