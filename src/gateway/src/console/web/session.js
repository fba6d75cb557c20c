// The caller's token. It is in this tab's memory and storage alone, and never part of an address that is asked for.

const KEY = "atelier.token";
const LINK = "#token=";

let held = null;
const listeners = new Set();

function storage() {
  try {
    return window.sessionStorage;
  } catch {
    // Browsers may be told to keep nothing: then the token lives as long as the page.
    return null;
  }
}

/// The token, if there is one.
export function token() {
  held ??= storage()?.getItem(KEY) ?? null;
  return held;
}

/// Takes a token as people paste it.
export function keep(text) {
  held = text.trim().replace(/^bearer\s+/i, "").replace(/\s+/g, "");
  storage()?.setItem(KEY, held);
}

/// Forgets the token, and tells whoever listens why: `left` or `expired`.
export function drop(reason) {
  held = null;
  storage()?.removeItem(KEY);
  for (const listener of listeners) listener(reason);
}

/// Calls `listener` with the reason whenever the token is gone.
export function onGone(listener) {
  listeners.add(listener);
}

/// Whether the address brings a token.
export function isLink() {
  return window.location.hash.startsWith(LINK);
}

/// Takes a token out of the address, which then does not have it any more.
export function fromAddress() {
  const { hash, pathname, search } = window.location;
  if (!isLink()) return null;
  history.replaceState(null, "", pathname + search);
  try {
    return decodeURIComponent(hash.slice(LINK.length).split("&")[0]) || null;
  } catch {
    return null;
  }
}

/// When the token says that it ends; null where it does not say. Nobody relies on it: the gateway decides.
export function ends() {
  const part = token()?.split(".")[1];
  if (!part) return null;
  try {
    const claims = JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/")));
    return Number.isFinite(claims.exp) ? new Date(claims.exp * 1000) : null;
  } catch {
    return null;
  }
}
