// Server-sent events out of the body of a response: `EventSource` cannot send a token.

/// The data of each event, until the stream ends.
export async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line's end.
      const whole = done || !rest.endsWith("\r") ? rest : rest.slice(0, -1);
      const parts = whole.replaceAll("\r\n", "\n").replaceAll("\r", "\n").split("\n\n");
      rest = parts.pop() + rest.slice(whole.length);
      for (const part of parts) {
        const data = dataOf(part);
        if (data !== null) yield data;
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/// The data of one event; null for comments.
function dataOf(part) {
  const lines = part.split("\n").filter((line) => line.startsWith("data:"));
  if (lines.length === 0) return null;
  return lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
}
