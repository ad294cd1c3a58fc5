// The page's own controls, worked as a hand would: nothing happens that the reader could not do.

import { perFrame } from "./dom.js";

/**
 * Types into a text or number field.
 * @param {string} selector
 * @param {string | number} value
 */
export function type(selector, value) {
  const field = document.querySelector(selector);
  if (!field) return;
  const kind = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
  Object.getOwnPropertyDescriptor(kind.prototype, "value")?.set?.call(field, String(value));
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @param {string} selector @returns {HTMLInputElement | null} */
function fieldOf(selector) {
  return document.querySelector(selector);
}

/** @param {string} selector */
export function press(selector) {
  fieldOf(selector)?.click();
}

/** @param {string} selector @param {string} value */
export function choose(selector, value) {
  const select = fieldOf(selector);
  if (!select) return;
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

/** @param {string} selector @param {string} name */
export function key(selector, name) {
  const node = fieldOf(selector);
  node?.focus({ preventScroll: true });
  node?.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
}

/** Once what was typed has reached the controls. @returns {Promise<void>} */
export function settled() {
  return new Promise((go) => perFrame(() => perFrame(() => go())())());
}

/**
 * Once the text that was asked for is written. @returns {Promise<void>}
 * @param {Runs} runs
 */
export function ended(runs) {
  const before = runs.run?.id;
  return new Promise((go) => {
    const stop = runs.subscribe(() => {
      if (runs.run?.id === before || runs.running || !runs.run?.status?.stats) return;
      stop();
      go();
    });
  });
}

/** @param {string} name */
export function showTab(name) {
  const tabs = /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll("#tabs [role=tab]")
  );
  const tab = [...tabs].find((one) => one.textContent.trim() === name);
  if (tab?.getAttribute("aria-selected") === "false") tab.click();
}
