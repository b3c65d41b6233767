// What the page remembers of its visitor.
//
// * Choices (language, camera, mirror …) stay on this device in localStorage. The API key is a secret: it lives in sessionStorage and is
//   gone with the tab.
// * A browser that forbids storage (private windows, policies) must not break the page: then nothing is remembered.

const PREFIX = "signlang.";

export function remembered(name, fallback = null) {
  const text = read(() => localStorage, name);
  if (text === null) return fallback;
  try {
    return JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(name, value) {
  write(() => localStorage, name, JSON.stringify(value));
}

export function rememberedKey() {
  return read(() => sessionStorage, "key") || "";
}

export function rememberKey(key) {
  write(() => sessionStorage, "key", key);
}

function read(store, name) {
  try {
    return store().getItem(PREFIX + name);
  } catch {
    return null;
  }
}

function write(store, name, value) {
  try {
    store().setItem(PREFIX + name, value);
  } catch {
    // Nothing is remembered then.
  }
}
