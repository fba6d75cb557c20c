// Uploading files, several at a time, each with its progress and its end.

import { headers, refusal } from "./api.js";
import { say } from "./announce.js";
import { button, el, fill, fresh } from "./dom.js";
import * as session from "./session.js";
import { bytes, count, name, plain } from "./text.js";

/// Files on their way at once.
const AT_ONCE = 2;

const FORMATS = "PDF, DOCX, HTML, Markdown, plain text, CSV, PNG, JPEG, TIFF or WebP";

/// The form. `changed` is called when something was kept.
export function uploads(room, sources, changed) {
  const waiting = [];
  let [onTheWay, kept, failed] = [0, 0, 0];

  const [select, input] = [el("select", { id: fresh("source") }), el("input", { id: fresh("files"), type: "file", multiple: true })];
  select.append(...sources.map((source) => el("option", { value: source.name }, plain(source.name))));
  const hint = el("p", { class: "hint", id: fresh("hint") });
  input.setAttribute("aria-describedby", hint.id);
  const list = el("ul", { class: "rows transfers", role: "list" });
  const chosen = () => sources.find((source) => source.name === select.value);
  const explain = () => {
    const { max_bytes: most, clearance } = chosen();
    const who = clearance > 0 ? ` Only people with clearance ${clearance} and above will find them.` : "";
    hint.textContent = `${FORMATS}, up to ${bytes(most)} each.${who}`;
  };
  select.addEventListener("change", explain);
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });

  const zone = el(
    "div",
    { class: "drop" },
    sources.length > 1 ? el("div", { class: "field" }, el("label", { for: select.id }, "Where to"), select) : null,
    el("div", { class: "field" }, el("label", { for: input.id }, "Choose files, or drop them here"), input, hint),
  );
  const over = (isOver) => (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    zone.classList.toggle("over", isOver);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files]);
  });
  explain();

  function take(files) {
    for (const file of files) waiting.push(transfer(file, chosen()));
    next();
  }

  function next() {
    while (onTheWay < AT_ONCE && waiting.length > 0) {
      const begin = waiting.shift();
      onTheWay += 1;
      begin().then((outcome) => {
        onTheWay -= 1;
        if (outcome === "kept") kept += 1;
        if (outcome === "failed") failed += 1;
        if (onTheWay === 0 && waiting.length === 0) end();
        next();
      });
    }
  }

  function end() {
    const words = [kept > 0 ? `${count(kept, "file")} uploaded.` : "", failed > 0 ? `${count(failed, "file")} not uploaded.` : ""];
    say(words.join(" ").trim());
    if (kept > 0) changed();
    [kept, failed] = [0, 0];
  }

  // Leaving would break it off.
  window.addEventListener("beforeunload", (event) => {
    if (onTheWay > 0) event.preventDefault();
  });

  /// A row for a file; what is returned sends it.
  function transfer(file, source) {
    const label = fresh("file");
    const bar = el("progress", { max: 1, value: 0, "aria-labelledby": label });
    const told = el("p", { class: "facts" }, "Waiting");
    const actions = el("div", { class: "actions" });
    const row = el(
      "li",
      {},
      el("div", { class: "row-text" }, el("p", { class: "row-title", id: label }, name(file.name)), bar, told),
      actions,
    );
    list.append(row);
    let [request, isOff] = [null, false];
    const cancel = () => {
      isOff = true;
      if (request) request.abort();
      else told.textContent = "Cancelled";
    };
    fill(actions, button("Cancel", cancel, { class: "quiet", "aria-label": `Cancel ${plain(file.name)}` }));

    const close = (outcome, words, again = false) => {
      if (outcome !== "kept") bar.remove();
      row.dataset.outcome = outcome;
      told.textContent = words;
      const hadFocus = actions.contains(document.activeElement);
      const retry = () => {
        row.remove();
        waiting.push(transfer(file, source));
        next();
      };
      fill(actions, again ? button("Try again", retry, { class: "quiet", "aria-label": `Try ${plain(file.name)} again` }) : null);
      if (hadFocus) (actions.querySelector("button") ?? input).focus();
      return outcome;
    };

    return async () => {
      if (isOff) return close("cancelled", "Cancelled", true);
      if (file.size > source.max_bytes) {
        const [size, most] = apart(file.size, source.max_bytes);
        return close("failed", `Too large: it has ${size}, and ${most} is the limit.`);
      }
      told.textContent = `0 of ${bytes(file.size)}`;
      const path = room.at("/documents", { source: source.name, file: file.name });
      const outcome = await send(path, file, (sent) => {
        bar.value = file.size > 0 ? sent / file.size : 1;
        told.textContent = sent < file.size ? `${bytes(sent)} of ${bytes(file.size)}` : "Being kept…";
      }, (made) => { request = made; });
      if (outcome === "cancelled") return close("cancelled", "Cancelled", true);
      if (outcome instanceof Error) {
        const { status } = outcome;
        // With another token, or later, it may work.
        return close("failed", plain(outcome.message), status === 0 || status === 401 || status >= 500);
      }
      bar.value = 1;
      return close("kept", `Uploaded, ${bytes(file.size)}. It can be found once the Room is synchronized again.`);
    };
  }

  return el("section", { class: "card" }, el("h3", {}, "Upload documents"), zone, list);
}

/// Two sizes as words that are not the same.
function apart(one, other) {
  const words = [one, other].map(bytes);
  return words[0] === words[1] ? [one, other].map((size) => `${size.toLocaleString("en")} bytes`) : words;
}

/// Sends a file. Only this old interface tells how much of it has gone.
function send(path, file, progress, made) {
  return new Promise((resolve) => {
    const token = session.token();
    const request = new XMLHttpRequest();
    made(request);
    request.open("POST", path);
    for (const [key, value] of Object.entries(headers())) request.setRequestHeader(key, value);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) return resolve("kept");
      if (request.status === 401 && token === session.token()) session.drop("expired");
      resolve(refusal(request.status, request.responseText, request.getResponseHeader("x-request-id")));
    });
    const words = "The connection broke off before the file had arrived";
    request.addEventListener("error", () => resolve(refusal(0, { error: { code: "network", message: words } }, null)));
    request.addEventListener("abort", () => resolve("cancelled"));
    request.send(file);
  });
}
