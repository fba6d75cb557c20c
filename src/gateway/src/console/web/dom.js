// Elements. Text becomes text nodes: nothing that comes in here is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/// An element. `on` in the attributes has listeners; `true` sets an attribute, `false`, null and undefined leave it out.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, String(value));
    }
  }
  element.append(...present(children));
  return element;
}

/// Puts other children into an element.
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

function present(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}

/// A button that is no part of a form.
export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", ...attributes, on: { click: onclick } }, label);
}

const ICONS = {
  up: "M7 11v9H4v-9zm3 9h7.5a2 2 0 0 0 2-1.6l1.2-6A2 2 0 0 0 18.7 10H14V5.5A2.5 2.5 0 0 0 11.5 3L9 10v9z",
  down: "M7 13V4H4v9zm3-9h7.5a2 2 0 0 1 2 1.6l1.2 6a2 2 0 0 1-2 2.4H14v4.500A2.500 2.500 0 0 1 11.500 21L9 14V5z",
};

/// A picture that says nothing which is not written beside it.
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

let last = 0;

/// An id that no other element of the page has.
export function fresh(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}
