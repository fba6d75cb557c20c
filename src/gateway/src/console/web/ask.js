// Asking and searching: a question, and below it what came of it, the latest first.

import { ask, refusal } from "./api.js";
import { say } from "./announce.js";
import { Answer } from "./answer.js";
import { button, el, fill, fresh } from "./dom.js";
import { events } from "./events.js";
import { failure, notice, waiting } from "./notice.js";
import { search } from "./search.js";
import { append } from "./text.js";

const LONGEST = 8192;
/// Questions and answers of before that go along with one.
const MOST_TURNS = 8;

/// The view. What the caller may do decides between asking and searching.
export function view(room, overview) {
  const may = (verb) => overview.verbs.includes(verb);
  const canAsk = overview.answers && may("ask");
  const turns = [];
  let running = null;

  const thread = el("div", { class: "thread" });
  const hint = fresh("hint");
  const box = el("textarea", { id: fresh("question"), rows: 3, maxlength: LONGEST, required: true, "aria-describedby": hint });
  const primary = el("button", { type: "submit", class: "primary" }, canAsk ? "Ask" : "Search");
  const find = canAsk && may("search") ? button("Find passages only", () => start("search"), { class: "quiet" }) : null;
  const stop = button("Stop", () => running?.abort(), { class: "quiet", hidden: true });
  const anew = button(canAsk ? "New conversation" : "Clear results", forget, { class: "quiet", hidden: true });
  const trouble = el("p", { class: "field-error", hidden: true, id: fresh("error") });
  const form = el(
    "form",
    {
      class: "ask",
      novalidate: true,
      on: {
        submit: (event) => {
          event.preventDefault();
          start(canAsk ? "ask" : "search");
        },
      },
    },
    el("label", { for: box.id }, canAsk ? "Your question" : "What are you looking for?"),
    box,
    trouble,
    el("p", { id: hint, class: "hint" }, "Enter sends, Shift and Enter begins a new line."),
    el("div", { class: "actions" }, primary, find, stop, anew),
  );
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  function forget() {
    running?.abort();
    turns.length = 0;
    thread.replaceChildren();
    anew.hidden = true;
    box.focus();
    say(canAsk ? "A new conversation begins." : "The results are cleared.");
  }

  function complain(words) {
    trouble.hidden = words === null;
    trouble.textContent = words ?? "";
    box.setAttribute("aria-invalid", String(words !== null));
    box.setAttribute("aria-describedby", words === null ? hint : `${trouble.id} ${hint}`);
    if (words !== null) {
      box.focus();
      say(words);
    }
  }

  async function start(how) {
    const question = box.value.trim();
    if (running) return say("Wait for the answer, or stop it.");
    if (!question) return complain(how === "ask" ? "Write a question first." : "Write what to look for first.");
    complain(null);
    const id = fresh("turn");
    const heading = append(el("h3", { id, class: "question" }), question, true);
    const body = el("div", {});
    thread.prepend(el("article", { class: "turn", "aria-labelledby": id }, heading, body));
    box.value = "";
    running = new AbortController();
    stop.hidden = false;
    const { signal } = running;
    try {
      await (how === "ask" ? answer(question, body, signal) : hits(question, body, signal));
    } finally {
      running = null;
      if (document.activeElement === stop) box.focus();
      stop.hidden = true;
      anew.hidden = false;
    }
  }

  async function hits(query, body, signal) {
    fill(body, waiting("Searching…"));
    try {
      const { content, words } = await search(room, query, signal);
      fill(body, content);
      say(words);
    } catch (error) {
      fill(body, ended(error, "The search failed"));
    }
  }

  async function answer(question, body, signal) {
    const shown = new Answer(room, may("feedback"));
    fill(body, shown.element);
    say("The question is asked.");
    try {
      const sent = { question, stream: true, history: turns.slice(-MOST_TURNS) };
      const response = await ask("POST", room.at("/ask"), { body: sent, signal });
      const got = await read(response, shown);
      say(shown.done(got));
      if (got.outcome === "answered") turns.push({ question, answer: got.answer });
    } catch (error) {
      // Rights may end in the middle of an answer.
      const isGone = error.status === 404 || error.code === "room_not_found" || error.status === 401;
      shown.broken(ended(error, "There is no answer"), isGone);
    }
  }

  const about = canAsk
    ? "Answers come from the documents that you may see, and say where from."
    : `${overview.answers ? "You may search this Room, but not ask it." : "This Room has no model to ask."} What you look for is found among the documents that you may see.`;
  return { element: el("div", {}, el("p", { class: "lead" }, about), form, thread), leave: () => running?.abort() };
}

function ended(error, title) {
  if (error.name !== "AbortError") return failure(title, error);
  say("Stopped.");
  return notice("plain", "Stopped");
}

/// Reads a stream to its end; gives the answer.
async function read(response, shown) {
  let got = null;
  try {
    for await (const data of events(response)) {
      if (data === "[DONE]") break;
      const event = JSON.parse(data);
      if (event.type === "delta") shown.more(event.text);
      else if (event.type === "done") got = event.answer;
      else if (event.type === "error") throw refusal(200, { error: event.error }, response.headers.get("x-request-id"));
    }
  } catch (error) {
    if (error.name === "AbortError" || error.code) throw error;
    throw refusal(0, { error: { code: "network", message: "The answer broke off on its way" } }, null);
  }
  if (!got) throw refusal(0, { error: { code: "network", message: "The answer broke off on its way" } }, null);
  return got;
}
