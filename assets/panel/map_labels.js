// What stands along the map's edges: tokens where there is room for them, else their numbers.

import { xOf, yOf } from "./geometry.js";
import { labelOf, shorten } from "./token_label.js";

const MONO = 0.602; // width of a character, in its size

/** The tokens in sight, quietly. */
export function drawLabels(c, plan, { count, tokens, colors, mono }) {
  const style = { color: colors.quiet, size: sizeOf(plan), mono };
  each(plan, plan.window.y, count, (i) => row(c, plan, i, textOf(plan, tokens, i), style));
  each(plan, plan.window.x + plan.shift, count, (k) => column(c, plan, k, textOf(plan, tokens, k), style));
}

/** Every so many tokens a number. */
export function drawTicks(c, plan, { count, colors, mono }) {
  const style = { color: colors.quiet, size: 10, mono };
  const { tick, window, shift } = plan;
  const first = (from) => Math.ceil(from / tick) * tick;
  each(plan, first(window.y), count, (i) => row(c, plan, i, String(i), style), tick);
  each(plan, first(window.x + shift), count, (k) => column(c, plan, k, String(k), style), tick);
}

/** The selected row and column in the accent colour, over what stood there. */
export function markLabels(c, plan, { count, tokens, selection, colors, mono }) {
  const { query, key } = selection;
  const style = { color: colors.accent, size: plan.labelled ? sizeOf(plan) : 10, mono, bold: true, colors };
  const text = (i) => (plan.labelled ? textOf(plan, tokens, i) : String(i));
  if (query >= 0 && query < count && within(plan, query, plan.window.y)) {
    row(c, plan, query, text(query), { ...style, over: true });
  }
  if (key !== null && key < count && key >= plan.shift && within(plan, key - plan.shift, plan.window.x)) {
    column(c, plan, key, text(key), { ...style, bold: false, over: true });
  }
}

function each(plan, from, count, draw, step = 1) {
  const end = Math.min(count, from + plan.window.size);
  for (let i = Math.max(0, Math.floor(from)); i < end; i += step) draw(i);
}

function within({ window }, i, from) {
  return i >= from - 0.5 && i < from + window.size;
}

function sizeOf(plan) {
  return Math.min(11, Math.floor(plan.cell + 1));
}

function textOf(plan, tokens, i) {
  return shorten(labelOf(tokens[i]), Math.floor((plan.gutter - 8) / (sizeOf(plan) * MONO)));
}

function row(c, plan, i, text, style) {
  const middle = Math.min(yOf(plan, i + 0.5), plan.gutter + plan.side - style.size / 2);
  write(c, plan, text, plan.gutter - 5, middle, 0, style);
}

function column(c, plan, k, text, style) {
  const middle = Math.min(xOf(plan, k + 0.5), plan.width - style.size / 2);
  write(c, plan, text, middle, plan.gutter - 5, -Math.PI / 2, style);
}

// Row labels end at the map, column labels begin there and run upwards.
function write(c, plan, text, x, y, turn, { color, size, bold, mono, over, colors }) {
  c.save();
  c.translate(x, y);
  c.rotate(turn);
  if (over) {
    const room = plan.gutter - 4;
    const high = Math.max(size + 2, plan.labelled ? 0 : 24);
    c.fillStyle = colors.card;
    c.fillRect(turn ? -1 : -room, -high / 2, room, high);
  }
  c.fillStyle = color;
  c.font = `${bold ? "700 " : ""}${size}px ${mono}`;
  c.direction = "ltr";
  c.textBaseline = "middle";
  c.textAlign = turn ? "left" : "right";
  c.fillText(text, 0, 0);
  c.restore();
}
