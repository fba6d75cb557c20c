// Which sentences of an answer are not supported. The gateway writes a mark behind each of them.

const MARK = "⚠ [not supported by the documents]";
const [OPEN, CLOSE] = ["\u{E000}", "\u{E001}"];

export const BORDERS = /([\u{E000}\u{E001}])/u;
export const isOpening = (text) => text === OPEN;

/// Text of the gateway's, without what we mark with.
function bare(text) {
  return text.replaceAll(OPEN, "").replaceAll(CLOSE, "");
}

/// A sentence as it comes in a stream: the mark is about all of it.
export function marked(sentence) {
  const text = bare(sentence);
  const at = text.indexOf(MARK);
  if (at < 0) return text;
  const start = text.length - text.trimStart().length;
  return `${text.slice(0, start)}${OPEN}${text.slice(start, at).trimEnd()}${CLOSE}${text.slice(at + MARK.length)}`;
}

/// A whole answer, where nobody knows any more where its sentences began: behind the end of the one before, or where the
/// line begins.
export function markedAfterwards(answer) {
  let rest = bare(answer);
  let done = "";
  for (let at = rest.indexOf(MARK); at >= 0; at = rest.indexOf(MARK)) {
    const before = rest.slice(0, at);
    const body = before.trimEnd();
    // The sentence's own end is not the end of the one before.
    const ends = [...body.slice(0, -1).matchAll(/[.!?…](?:\s*\[[\d,\s–-]+\])*["')\]]*\s+(?=\S)|\n+/gu)];
    const last = ends.at(-1);
    const start = last ? last.index + last[0].length : body.length - body.trimStart().length;
    done += `${body.slice(0, start)}${OPEN}${body.slice(start)}${CLOSE}`;
    rest = rest.slice(at + MARK.length);
  }
  return done + rest;
}

const REASONS = {
  Uncited: "it names no source",
  Dangling: "it cites a source that there is not",
  Number: "a number in it is not in what it cites",
  Misplaced: "what it cites says it of something else",
  Date: "a date in it is not in what it cites",
  Name: "a name in it is not in what it cites",
  Contradiction: "what it cites says the opposite",
  Overlap: "little of it is in what it cites",
  Repetition: "it goes round in circles",
  Evasive: "it has nothing of what was asked for",
  NotEntailed: "it does not follow from what it cites",
  Uncertain: "the model was not certain of it",
};

/// Why a sentence is not supported, for people; null where that is not known.
export function reason(code) {
  return REASONS[code] ?? null;
}
