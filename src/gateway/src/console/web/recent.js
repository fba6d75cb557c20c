// Rooms that were opened in this browser: their names, and nothing else. Who signs out leaves none.

const KEY = "atelier.rooms";
const MOST = 8;

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/// `[namespace, name]` of each, the latest first.
export function all() {
  try {
    const kept = JSON.parse(storage()?.getItem(KEY) ?? "[]");
    const isRoom = (one) => Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === "string");
    return Array.isArray(kept) ? kept.filter(isRoom).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/// One was opened.
export function add(namespace, name) {
  const others = all().filter(([space, room]) => space !== namespace || room !== name);
  try {
    storage()?.setItem(KEY, JSON.stringify([[namespace, name], ...others].slice(0, MOST)));
  } catch {
    // No room for it, so it is not remembered.
  }
}

/// Forgets them.
export function clear() {
  storage()?.removeItem(KEY);
}
