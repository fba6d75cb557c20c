// The gateway's API for one Room.

import * as session from "./session.js";

const UNREACHED = "The gateway cannot be reached. Check the connection and try again.";

// What callers are told by code, where the gateway's own words say more of its insides than people need.
const WORDS = {
  invalid_api_key: "The token does not count, or not any more. Sign in again.",
  room_not_found: "There is no such Room, or you may not do this in it.",
  room_content_not_found: "It is not there, or you may not see it.",
  room_access_stale: "Who may see what was read too long ago. The Room answers again once its sources were read.",
  room_empty: "Nothing of this Room has been read yet. It answers after its first synchronization.",
  room_closed: "This Room is closed: it failed its own tests against leaks. Whoever runs it has to look at it.",
  room_has_no_model: "This Room has no model to ask. It can be searched.",
  room_model_unsure: "The model of this Room does not tell how certain it is, as the Room wants it to. Whoever runs it has to look at it.",
  rooms_unavailable: "The Room cannot be reached at the moment. Try again soon.",
  rooms_off: "This gateway has no Rooms.",
  authorization_unavailable: "Nobody can tell at the moment what you may do. Try again soon.",
  authentication_unavailable: "Nobody can tell at the moment who you are. Try again soon.",
  audit_unavailable: "What happens here has to be written down, and cannot be at the moment. Try again soon.",
};

/// Why something was not done. `code` is the API's, or `network`.
export class Refused extends Error {
  constructor(status, code, message, id) {
    super(message);
    this.status = status;
    this.code = code;
    this.id = id;
  }
}

/// What the body of a refusal says.
export function refusal(status, body, id) {
  let error = null;
  try {
    error = (typeof body === "string" ? JSON.parse(body) : body)?.error;
  } catch {
    // Something between us and the gateway has answered.
  }
  const code = typeof error?.code === "string" ? error.code : `status_${status}`;
  const said = typeof error?.message === "string" ? error.message : `The gateway answered with status ${status}.`;
  const words = WORDS[code] ?? said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
  return new Refused(status, code, words, id);
}

/// Whom and how to ask: the same for each request.
export function headers(more = {}) {
  return { Authorization: `Bearer ${session.token() ?? ""}`, ...more };
}

/// A response that is good. The token is forgotten once the gateway does not take it any more.
export async function ask(method, path, { body, signal } = {}) {
  let response;
  const token = session.token();
  try {
    response = await fetch(path, {
      method,
      headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "network", UNREACHED, null);
  }
  if (response.ok) return response;
  const refused = refusal(response.status, await response.text(), response.headers.get("x-request-id"));
  // Another one may have been given meanwhile.
  if (response.status === 401 && token === session.token()) session.drop("expired");
  throw refused;
}

/// The JSON of a response.
export async function json(method, path, options) {
  const response = await ask(method, path, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "network", UNREACHED, null);
  }
}

/// Paths of a Room.
export class Room {
  constructor(namespace, name) {
    this.namespace = namespace;
    this.name = name;
    this.path = `/v1/rooms/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  }

  /// A path in it, with values of the query that are there.
  at(suffix, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const text = new URLSearchParams(given).toString();
    return `${this.path}${suffix}${text && "?"}${text}`;
  }

  document(id, suffix = "", query = {}) {
    return this.at(`/documents/${encodeURIComponent(id)}${suffix}`, query);
  }
}
