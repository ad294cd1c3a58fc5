// What a row of a map shows, in one sentence that needs no numbers; and which head of a text, and
// which of its rows, show something most clearly. Pure.

import { wholePercent } from "../gradio/formats.js";
import { keptOf, mostRead } from "./reading.js";
import { isUnruly, labelOf, shorten } from "../text/token_label.js";
import { needsHead, needsLayer } from "../store/map_view.js";

const LONGEST = 16; // characters of a token
const IDLE = 0.6; // of a row on the first token: the head does little else
const SPREAD = 0.2; // below, no token stands out
const CLEAR = 0.4; // a score that deserves a role, as in gpt2/interpret/head_roles.py
const REPEATS = 3; // rows with an earlier copy from which on a lookup can be told from chance

/**
 * A token as a word between quotes.
 * @param {any} token
 */
export function wordOf(token) {
  const text = typeof token === "string" && !isUnruly(token) ? token.trim() : "";
  return `“${shorten(text || labelOf(token), LONGEST)}”`;
}

/**
 * @param {{mode: string}} look
 * @param {boolean} named
 */
function whoOf(look, named) {
  if (named) return "it looks";
  if (needsHead(look.mode)) return "this head looks";
  return needsLayer(look.mode) ? "this layer looks" : "the model looks";
}

/**
 * @param {{tokens: object[], query: number, row: Float32Array | null, split: boolean,
 *   look: {mode: string}, named?: boolean}} view named: the sentence before says which head it is
 */
export function captionOf({ tokens, query, row, split, look, named = false }) {
  if (query < 1 || !row || row.length < 2) return "";
  const who = whoOf(look, named);
  const at = wordOf(tokens[query]);
  const key = mostRead(row, split);
  const share = split ? row[key] / Math.max(keptOf(row), 1e-9) : row[key];
  if (split && row[0] >= IDLE) {
    return `At ${at}, ${who} mostly at the first token (${wholePercent(row[0])}): it has little to do here.`;
  }
  if (key === query) return `At ${at}, ${who} mostly at the token itself.`;
  if (share < SPREAD) return `At ${at}, ${who} at many tokens, at none of them much.`;
  const target = wordOf(tokens[key]);
  if (key > 0 && key - 1 !== query && same(tokens[key - 1], tokens[query])) {
    const next = tokens[query + 1];
    const again = next !== undefined && same(next, tokens[key]);
    const when = next === undefined || again ? `After ${at}` : `Before ${wordOf(next)}`;
    const ending = again ? ", and follows again" : "";
    return `${when}, ${who} back to ${target}, which followed ${at} last time${ending}.`;
  }
  if (same(tokens[key], tokens[query])) return `At ${at}, ${who} back to an earlier ${target}.`;
  if (key === query - 1) return `At ${at}, ${who} at the token just before it, ${target}.`;
  return `At ${at}, ${who} back to ${target}, ${query - key} tokens earlier.`;
}

/** @param {any} a @param {any} b */
function same(a, b) {
  return labelOf(a) === labelOf(b);
}

const TELLING = ["induction", "duplicate", "previous"]; // roles, the rarest first

/**
 * The head that does the clearest thing on a text, the rarest thing first, or null.
 * @param {import("../store/roles_feed.js").Roles} roles @param {number} heads of a layer
 */
export function clearestHead(roles, heads) {
  for (const role of TELLING) {
    if (role !== "previous" && roles.repeats < REPEATS) continue;
    const scores = roles.scores[role].map((score) => score ?? 0);
    const best = scores.indexOf(Math.max(...scores));
    if (scores[best] < CLEAR) continue;
    return { layer: Math.floor(best / heads), head: best % heads, role };
  }
  return null;
}

/**
 * The row of a map that shows a role most clearly: of words rather than of signs.
 * @param {(i: number) => Float32Array | null} rowOf @returns {number} -1 where there is none
 * @param {Token[]} tokens
 * @param {number} count
 * @param {RoleName | undefined} role
 */
export function tellingRow(tokens, count, rowOf, role) {
  let [best, most] = [-1, 0];
  for (let i = 2; i < count; i++) {
    const row = rowOf(i);
    if (!row || !isWord(tokens[i])) continue;
    const weight = keysOf(tokens, i, role).reduce(
      (sum, key) => sum + (isWord(tokens[key]) ? row[key] : 0),
      0,
    );
    if (weight > most) [best, most] = [i, weight];
  }
  return best;
}

// Where row i looks if it plays the role. What would only repeat the text is no telling example.
/** @param {Token[]} tokens @param {number} i @param {any} role */
function keysOf(tokens, i, role) {
  if (role === "previous") return [i - 1];
  const copies = [];
  for (let j = 1; j < i; j++) if (same(tokens[j], tokens[i])) copies.push(j);
  return role === "duplicate" ? copies : copies.map((j) => j + 1).filter((j) => j < i);
}

/** @param {Token} token */
function isWord(token) {
  return typeof token === "string" && /\p{L}{2}/u.test(token);
}
