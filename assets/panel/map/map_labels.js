// What stands along the map's edges: tokens and their numbers, or numbers alone where room is short.

import { xOf, yOf } from "./geometry.js";
import { strongest } from "./reading.js";
import { labelOf, shorten } from "../text/token_label.js";

const MONO = 0.602; // width of a character, in its size
const MARKED = 11; // CSS pixels, what is selected on a map that shows numbers else
const COLUMNS = 4; // of the selected row's strongest that are named there
const LEAST = 0.05; // a weight worth a name
const NUMBER = 26; // CSS pixels, room for the longest number that may stand there

/** Which way the map is read: a row is a token, its columns what that reads from. */
export const CAPTION = ["reads from →", "↓ token"];

/**
 * The tokens in sight from `from` on, quietly.
 * @param {CanvasRenderingContext2D} c
 * @param {MapPlan} plan
 * @param {MapView} given
 * @param {number} from
 */
export function drawLabels(c, plan, { count, tokens, colors, mono }, from) {
  c.fillStyle = colors.quiet;
  c.font = `${sizeOf(plan)}px ${mono}`;
  along(c, plan, [from, count], 1, (i) => textOf(plan, tokens, i));
}

/**
 * Every so many tokens a number.
 * @param {CanvasRenderingContext2D} c
 * @param {MapPlan} plan
 * @param {MapView} given
 * @param {number} from
 */
export function drawTicks(c, plan, { count, colors, mono }, from) {
  c.fillStyle = colors.quiet;
  c.font = `10px ${mono}`;
  along(c, plan, [from, count], plan.tick, String);
}

// Both edges: row labels end at the map, column labels begin there and run upwards.
/**
 * @param {CanvasRenderingContext2D} c
 * @param {MapPlan} plan
 * @param {number[]} range
 * @param {number} step
 * @param {(i: number) => string} text
 */
function along(c, plan, range, step, text) {
  const { window, shift } = plan;
  c.save();
  c.textBaseline = "middle";
  c.textAlign = "right";
  for (const i of inSight(window.y, window.size, range, step)) {
    c.fillText(text(i), rowEnd(plan), rowMiddle(plan, i));
  }
  c.rotate(-Math.PI / 2);
  c.textAlign = "left";
  for (const k of inSight(window.x + shift, window.size, range, step)) {
    c.fillText(text(k), -rowEnd(plan), columnMiddle(plan, k));
  }
  c.restore();
}

/** @param {CanvasRenderingContext2D} c @param {MapView} given */
export function drawCaption(c, { colors, sans }) {
  c.fillStyle = colors.quiet;
  c.font = `10px ${sans}`;
  c.textAlign = "left";
  c.textBaseline = "top";
  for (const [line, words] of CAPTION.entries()) c.fillText(words, 0, 1 + 13 * line);
}

/**
 * The selected row and column in the accent colour, over what stood there.
 * @param {CanvasRenderingContext2D} c
 * @param {MapPlan} plan
 * @param {MapView} given
 */
export function markLabels(c, plan, { count, tokens, selection, shownOf, colors, mono }) {
  const { query, key } = selection;
  const size = plan.labelled ? sizeOf(plan) : MARKED;
  /** @param {number} i */
  const text = (i) => textOf(plan, tokens, i, size);
  /** @param {number} i */
  const cover = (i) => ({ room: plan.gutter - 4, reach: reachOf(plan, i, size / 2 + 1), colors });
  c.save();
  c.textBaseline = "middle";
  if (query >= 0 && query < count && within(plan, query, plan.window.y)) {
    c.font = `700 ${size}px ${mono}`;
    c.textAlign = "right";
    writeOver(c, text(query), rowEnd(plan), rowMiddle(plan, query), cover(query));
  }
  c.font = `${size}px ${mono}`;
  c.rotate(-Math.PI / 2);
  c.textAlign = "left";
  /** @param {number} k @param {string} color */
  const write = (k, color) =>
    writeOver(c, text(k), -rowEnd(plan), columnMiddle(plan, k), { ...cover(k), color });
  /** @param {number} k */
  const inSightOf = (k) =>
    k < count && k >= plan.shift && within(plan, k - plan.shift, plan.window.x);
  const chosen = key !== null && inSightOf(key) ? [key] : [];
  // Where only numbers stand, the columns that the row reads most get their words too.
  for (const k of plan.labelled
    ? []
    : apart(plan, chosen, mostOf(plan, shownOf, query, count).filter(inSightOf))) {
    write(k, colors.ink);
  }
  for (const k of chosen) write(k, colors.accent);
  c.restore();
}

/** @param {MapPlan} plan @param {RowOf} shownOf @param {number} query @param {number} count */
function mostOf(plan, shownOf, query, count) {
  const row = query >= 0 && query < count ? shownOf(query) : null;
  return row
    ? strongest(row, COLUMNS, plan.shift)
        .filter(({ weight }) => weight >= LEAST)
        .map(({ index }) => index)
    : [];
}

// Those whose labels would not touch one that stands there already.
/** @param {MapPlan} plan @param {number[]} placed @param {number[]} wanted */
function apart(plan, placed, wanted) {
  const all = [...placed];
  return wanted.filter((k) => {
    const free = all.every((other) => Math.abs(xOf(plan, k) - xOf(plan, other)) > MARKED + 2);
    if (free) all.push(k);
    return free;
  });
}

// How far before and after its middle a label covers what stood there: a number that it touches is
// covered whole.
/**
 * @returns {[number, number]}
 * @param {MapPlan} given
 * @param {number} i
 * @param {number} half
 */
function reachOf({ labelled, tick, cell }, i, half) {
  // No more than its own cell, where its neighbours have labels too.
  if (labelled) return [Math.min(half, cell / 2), Math.min(half, cell / 2)];
  const past = (i % tick) * cell;
  /** @param {number} away */
  const reach = (away) => (away < 2 * half ? away + half : half);
  return [reach(past), reach(tick * cell - past)];
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {{ room: number, reach: number[], colors: PageTheme["colors"], color?: string }} given
 */
function writeOver(c, text, x, y, { room, reach: [before, after], colors, color = colors.accent }) {
  const wide = Math.min(room, Math.max(NUMBER, c.measureText(text).width) + 2);
  c.fillStyle = colors.card;
  c.fillRect(c.textAlign === "right" ? x + 1 - wide : x - 1, y - before, wide, before + after);
  c.fillStyle = color;
  c.fillText(text, x, y);
}

// Where labels meet the map, and the middle of one, kept inside the picture.
/** @param {MapPlan} plan */
function rowEnd(plan) {
  return plan.gutter - 5;
}

/** @param {MapPlan} plan @param {number} i */
function rowMiddle(plan, i) {
  return Math.min(yOf(plan, i + 0.5), plan.gutter + plan.side - 5);
}

/** @param {MapPlan} plan @param {number} k */
function columnMiddle(plan, k) {
  return Math.min(xOf(plan, k + 0.5), plan.width - 5);
}

// Every so many tokens of a range, those whose middle is in the window.
/** @param {number} at @param {number} size @param {number[]} pair @param {number} step */
function* inSight(at, size, [from, count], step) {
  const end = Math.min(count, at + size - 0.5);
  for (let i = Math.ceil(Math.max(from, at - 0.5) / step) * step; i < end; i += step) yield i;
}

/** @param {MapPlan} given @param {number} i @param {number} from */
function within({ window }, i, from) {
  return i >= from - 0.5 && i < from + window.size;
}

/**
 * How large the tokens are written, in CSS pixels.
 * @param {MapPlan} plan
 */
export function sizeOf(plan) {
  return Math.min(11, Math.floor(plan.cell + 1));
}

/**
 * A token as far as there is room, and its number.
 * @param {MapPlan} plan
 * @param {Token[]} tokens
 * @param {number} i
 * @param {number} [size]
 */
export function textOf(plan, tokens, i, size = sizeOf(plan)) {
  const room = Math.floor((plan.gutter - 8) / (size * MONO));
  const index = ` ${i}`;
  return shorten(labelOf(tokens[i]), room - index.length) + index;
}
