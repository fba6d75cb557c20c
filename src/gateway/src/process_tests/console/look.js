// Looks at the page that is open, and lists what somebody could not read, reach or understand.
(() => {
  const faults = [];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const scope = document.querySelector("dialog[open]") ?? document.body;
  const called = (element) => `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 40)}"`;

  // Colours, as the browser would paint them.
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((part, at) => part * a + ground[at] * (1 - a));
  const groundOf = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = paint(getComputedStyle(one).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  let texts = 0;
  const words = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !seen(element) || element.closest(".unsighted, .skip, script, style, noscript")) continue;
    texts += 1;
    const ground = groundOf(element);
    const found = contrast(over(paint(getComputedStyle(element).color), ground), ground);
    if (found < 4.5) faults.push(`contrast ${found.toFixed(2)} of ${called(element)}`);
  }
  for (const field of scope.querySelectorAll("input:not([type=radio]), textarea, select")) {
    if (!seen(field)) continue;
    const style = getComputedStyle(field);
    const edge = contrast(paint(style.borderTopColor).slice(0, 3), groundOf(field.parentElement));
    if (edge < 3) faults.push(`the edge of ${field.id} has contrast ${edge.toFixed(2)}`);
    const inside = contrast(paint(style.color).slice(0, 3), groundOf(field));
    if (inside < 4.5) faults.push(`contrast ${inside.toFixed(2)} in ${field.id}`);
  }

  // Nothing is wider than the page, unless it scrolls by itself.
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const element of scope.querySelectorAll("*")) {
    if (!seen(element) || element.closest(".unsighted, .skip, pre, .table")) continue;
    const box = element.getBoundingClientRect();
    if (box.width > 0 && (box.right > width + 1 || box.left < -1)) faults.push(`${called(element)} ends at ${box.right}`);
  }

  // What can be pressed is large enough for a finger, but in running text.
  for (const target of scope.querySelectorAll("button, input, select, textarea, summary, nav a")) {
    const box = target.getBoundingClientRect();
    if (!seen(target) || target.closest("p, li")?.contains(target.closest(".answer-text"))) continue;
    if (box.height < 16 || (!target.matches("[type=radio]") && box.height < 24)) faults.push(`${called(target)} is ${box.height} high`);
  }

  // One page, one subject, and headings that leave out no level.
  if (scope === document.body) {
    if (document.querySelectorAll("main").length !== 1) faults.push("there is not one main");
    if ([...document.querySelectorAll("h1")].filter(seen).length !== 1) faults.push("there is not one h1");
  }
  let level = scope === document.body ? 0 : 1;
  for (const heading of scope.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!seen(heading)) continue;
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push(`${called(heading)} comes after h${level}`);
    level = next;
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push("an id is there twice");
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(" ")) {
        if (!document.getElementById(id)) faults.push(`${called(element)}: ${attribute} ${id} is nowhere`);
      }
    }
  }
  return { texts, faults };
})()
