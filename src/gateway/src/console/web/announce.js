// What is said to whoever does not see the page: once, and when there is something to say.

/// Says it when the reader is done with what is being read.
export function say(text) {
  // What is outside of an open dialog is not there for whoever listens.
  const region = document.querySelector("dialog[open] [role=status]") ?? document.getElementById("status");
  region.textContent = "";
  // The same words twice are two changes only if there is something in between.
  setTimeout(() => {
    region.textContent = text;
  }, 50);
}
