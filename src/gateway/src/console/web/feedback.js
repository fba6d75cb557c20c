// What somebody says about an answer: thumbs, why, and what would have been right.

import { json } from "./api.js";
import { say } from "./announce.js";
import { open } from "./dialog.js";
import { button, el, fill, fresh, icon } from "./dom.js";
import { failure } from "./notice.js";

// Codes that go to the gateway, and what people read.
const REASONS = [
  ["wrong", "It says something that is wrong"],
  ["not_in_source", "The source does not say that"],
  ["incomplete", "Something important is missing"],
  ["off_topic", "It does not answer the question"],
  ["outdated", "It is out of date"],
  ["inappropriate", "It should not have said this"],
  ["other", "Something else"],
];
const LONGEST_COMMENT = 4096;
const LONGEST_CORRECTION = 32 << 10;
/// The trail of what was answered is written behind the answer, if only a moment.
const TRIES = 4;

async function send(room, id, kind, value, comment = null) {
  const body = { id, kind, value, ...(comment ? { comment } : {}) };
  for (let tried = 1; ; tried += 1) {
    try {
      return await json("POST", room.at("/feedback"), { body });
    } catch (error) {
      if (error.code !== "answer_not_found" || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * tried));
    }
  }
}

/// Buttons to say something about the answer with an id.
export function feedback(room, id) {
  const told = el("p", { class: "facts told" });
  const thumbs = {};
  const give = async (value) => {
    try {
      await send(room, id, "thumbs", value);
      for (const [which, thumb] of Object.entries(thumbs)) thumb.setAttribute("aria-pressed", String(which === value));
      const words = value === "up" ? "Thank you: noted as helpful." : "Noted as not helpful.";
      fill(told, words);
      say(words);
      if (value === "down") report(room, id, told);
    } catch (error) {
      fill(told, failure("Your feedback was not kept", error));
    }
  };
  thumbs.up = button([icon("up"), "Helpful"], () => give("up"), { class: "quiet", "aria-pressed": "false" });
  thumbs.down = button([icon("down"), "Not helpful"], () => give("down"), { class: "quiet", "aria-pressed": "false" });
  const wrong = button("Report an error", () => report(room, id, told), { class: "quiet" });
  return el("div", { class: "feedback" }, el("div", { class: "actions" }, thumbs.up, thumbs.down, wrong), told);
}

function report(room, id, told) {
  const group = fresh("reason");
  const reasons = REASONS.map(([code, words], place) => {
    const one = fresh("reason");
    const input = el("input", { type: "radio", name: group, id: one, value: code, required: true, autofocus: place === 0 });
    return el("div", { class: "choice" }, input, el("label", { for: one }, words));
  });
  const area = (rows, longest) => el("textarea", { id: fresh("text"), rows, maxlength: longest });
  const [comment, correction] = [area(2, LONGEST_COMMENT), area(3, LONGEST_CORRECTION)];
  const field = (label, hint, input) => {
    const about = fresh("hint");
    input.setAttribute("aria-describedby", about);
    return el("div", { class: "field" }, el("label", { for: input.id }, label), el("p", { id: about, class: "hint" }, hint), input);
  };
  const trouble = el("div", {});
  const submit = el("button", { type: "submit", class: "primary" }, "Send report");
  const form = el(
    "form",
    {
      on: {
        submit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          try {
            const code = form.querySelector(":checked").value;
            await send(room, id, "error_report", code, comment.value.trim());
            if (correction.value.trim()) await send(room, id, "correction", correction.value.trim());
            dialog.close();
            const words = "Thank you: your report is kept with the answer.";
            fill(told, words);
            say(words);
          } catch (error) {
            submit.disabled = false;
            fill(trouble, failure("Your report was not kept", error));
          }
        },
      },
    },
    el("fieldset", {}, el("legend", {}, "What is wrong?"), reasons),
    field("More about it", "Optional. Whoever audits this Room reads it.", comment),
    field("What would have been right", "Optional. It helps to test the Room.", correction),
    trouble,
    el("div", { class: "actions" }, submit),
  );
  const dialog = open({ title: "Report an error", content: form });
}
