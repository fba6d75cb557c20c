// Dialogs. The browser's own keep the focus inside, close on Escape, and give the focus back to where it was.

import { button, el, fresh } from "./dom.js";

/// Opens a dialog and returns it. `closed` is called when it is gone.
export function open({ title, content, wide = false, closed = () => {} }) {
  const id = fresh("dialog");
  const before = document.activeElement;
  const dialog = el("dialog", { "aria-labelledby": id, class: wide ? "wide" : null });
  const close = () => dialog.close();
  dialog.append(
    el("div", { class: "dialog-head" }, el("h2", { id }, title), button("Close", close, { class: "quiet" })),
    el("div", { class: "dialog-body" }, content),
    el("div", { class: "unsighted", role: "status", "aria-live": "polite" }),
  );
  // The backdrop is the dialog itself, outside of its children.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
    // What had the focus may have gone with what was done here.
    if (!document.activeElement || document.activeElement === document.body) {
      if (before?.isConnected) before.focus();
      else document.querySelector("main section:not([hidden]) h2")?.focus();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/// Asks before something that cannot be undone; calls `work` if it is wanted.
export function confirm({ title, words, action, danger = true, work }) {
  const answer = (wanted) => {
    dialog.close();
    if (wanted) work();
  };
  const content = [
    el("p", {}, words),
    el(
      "div",
      { class: "actions" },
      button("Cancel", () => answer(false), { class: "quiet", autofocus: true }),
      button(action, () => answer(true), { class: danger ? "danger" : "primary" }),
    ),
  ];
  const dialog = open({ title, content });
}
