// One answer, as it comes and once it is there.

import { el, fill } from "./dom.js";
import { list, mark } from "./citations.js";
import { feedback } from "./feedback.js";
import { render } from "./markdown.js";
import { marked, markedAfterwards, reason } from "./marks.js";
import { notice, waiting } from "./notice.js";
import { count, facts, name } from "./text.js";

/// The text of an answer that was given before.
export function past(text) {
  return el("div", { class: "answer-text" }, render(markedAfterwards(text)));
}

/// An answer that is still to come. `element` shows it.
export class Answer {
  constructor(room, mayRate) {
    this.room = room;
    this.mayRate = mayRate;
    this.sentences = "";
    this.text = el("div", { class: "answer-text" });
    this.rest = el("div", {}, waiting("Reading the documents…"));
    this.element = el("div", { class: "answer", "aria-busy": "true" }, this.text, this.rest);
  }

  /// More of it: a sentence that was checked.
  more(sentence) {
    this.sentences += marked(sentence);
    fill(this.text, render(this.sentences));
    fill(this.rest, waiting("Writing…"));
  }

  /// All of it is there. Returns what to say.
  done(answer) {
    const citations = new Map(answer.citations.map((citation) => [citation.number, citation]));
    const cite = (number) => citations.has(number) && mark(this.room, citations.get(number));
    const isUnknown = answer.outcome === "unknown";
    const reasons = answer.unsupported ?? [];
    const text = this.sentences || markedAfterwards(answer.answer);
    this.text.classList.toggle("is-unknown", isUnknown);
    fill(this.text, render(text, { cite, reasons }));
    const words = [isUnknown ? null : outcome(answer, reasons)];
    if (isUnknown) {
      words.push(notice("plain", "No answer", el("p", {}, "The documents that you may see do not say enough about this.")));
    }
    fill(
      this.rest,
      words,
      answer.citations.length > 0 ? list(this.room, answer.citations) : null,
      facts(
        answer.clearance > 0 ? `Clearance ${answer.clearance}` : null,
        answer.version ? name(`Model ${answer.version}`) : null,
      ),
      this.mayRate ? feedback(this.room, answer.id) : null,
    );
    this.element.removeAttribute("aria-busy");
    return spoken(answer, reasons);
  }

  /// It broke off. Whoever may not see it any more does not.
  broken(box, isGone) {
    if (isGone) fill(this.text);
    fill(this.rest, box);
    this.element.removeAttribute("aria-busy");
  }
}

/// What is to be known about how it ended.
function outcome(answer, reasons) {
  if (answer.outcome === "refused") {
    const why = reason(reasons.at(-1));
    return notice(
      "caution",
      "No answer",
      el("p", {}, `What the model said is not supported by the documents${why ? `: ${why}` : ""}.`),
    );
  }
  if (answer.quoted) {
    return notice("plain", "Quoted", el("p", {}, "What the model said itself is not supported by the documents."));
  }
  if (answer.withheld) {
    const why = reason(reasons.at(-1));
    return notice(
      "caution",
      "The rest of this answer is withheld",
      el("p", {}, `The model went on with something that the documents do not support${why ? `: ${why}` : ""}.`),
    );
  }
  if (reasons.length === 0) return null;
  const words = `${count(reasons.length, "sentence")} of this answer ${reasons.length === 1 ? "is" : "are"} not supported by the documents.`;
  return notice("caution", words, el("p", {}, "Each is marked in the text, with the reason."));
}

function spoken(answer, reasons) {
  const sources = `${count(answer.citations.length, "source")}.`;
  if (answer.outcome === "unknown") return "There is no answer: the documents do not say enough about this.";
  if (answer.outcome === "refused") return "There is no answer: what the model said is not supported by the documents.";
  if (answer.quoted) return `The answer is quoted from a document, with ${sources}`;
  if (answer.withheld) return `The answer is there as far as the documents support it, with ${sources}`;
  const marked = reasons.length > 0 ? ` ${count(reasons.length, "sentence")} not supported by the documents.` : "";
  return `The answer is there, with ${sources}${marked}`;
}
