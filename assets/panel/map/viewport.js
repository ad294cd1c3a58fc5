// Which part of a long text the map shows: zoom and pan, in tokens. Pure.

import { clamp } from "./geometry.js";

const LEAST = 8; // tokens that are always in sight

/** @typedef {import("./geometry.js").Window} Window */

/**
 * All of it. @returns {Window}
 * @param {number} span
 */
export function whole(span) {
  return { x: 0, y: 0, size: span };
}

/** @param {Span} window @param {number} span */
export function isWhole(window, span) {
  return window.size >= span;
}

/**
 * Inside the text.
 * @param {Span} window
 * @param {number} span
 */
export function kept({ x, y, size }, span) {
  const inside = clamp(size, Math.min(LEAST, span), span);
  const most = span - inside;
  return { x: clamp(x, 0, most), y: clamp(y, 0, most), size: inside };
}

/**
 * `factor` times as near, with the point (x, y) of the text staying where it is.
 * @param {Span} window
 * @param {number} factor
 * @param {Point} given
 * @param {number} span
 */
export function zoomed(window, factor, { x, y }, span) {
  const size = clamp(window.size / factor, Math.min(LEAST, span), span);
  const share = size / window.size;
  return kept({ x: x - (x - window.x) * share, y: y - (y - window.y) * share, size }, span);
}

/** @param {Span} window @param {number} dx @param {number} dy @param {number} span */
export function panned(window, dx, dy, span) {
  return kept({ ...window, x: window.x + dx, y: window.y + dy }, span);
}

/**
 * Moved as little as needed to bring a cell into sight.
 * @param {Span} window
 * @param {Selected} given
 * @param {number} span
 */
export function revealing(window, { query, key }, span) {
  /** @param {number} from @param {number} at */
  const reach = (from, at) => clamp(from, at + 1 - window.size, at);
  const x = key === null ? window.x : reach(window.x, key);
  return kept({ ...window, x, y: reach(window.y, query) }, span);
}
