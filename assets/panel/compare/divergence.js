// Where two texts part: compared byte by byte, since two vocabularies cut one text differently. Pure.

import { bareOf, bytesOf, labelOf, plainText } from "../text/token_label.js";

const known = new Map(); // "run run" -> divergence that later tokens cannot change

// a, b: {run, tokens, ended} or null. {first, second, same}: the token in each from which they
// differ (-1: that text ends there), after `same` tokens of b; null while they agree.
/** @param {any} a @param {any} b */
export function divergenceOf(a, b) {
  if (!a || !b) return null;
  const key = `${a.run} ${b.run}`;
  if (known.has(key)) return known.get(key);
  const divergence = firstDifference(a, b);
  if (divergence) {
    if (known.size > 50) known.clear();
    known.set(key, divergence);
  }
  return divergence;
}

/** @param {any} a @param {any} b */
function firstDifference(a, b) {
  const left = spelled(a.tokens);
  const right = spelled(b.tokens);
  const most = Math.min(left.bytes.length, right.bytes.length);
  let at = 0;
  while (at < most && left.bytes[at] === right.bytes[at]) at += 1;
  const leftOver = at < left.bytes.length;
  const rightOver = at < right.bytes.length;
  // One that goes on may still say the same.
  if (!leftOver && !rightOver) return null;
  if ((!leftOver && !a.ended) || (!rightOver && !b.ended)) return null;
  /** @param {any} text @param {boolean} over */
  const place = (text, over) => (over ? text.owner[at] : -1);
  const second = place(right, rightOver);
  return {
    first: place(left, leftOver),
    second,
    same: second >= 0 ? second : b.tokens.length,
    words: [wordAt(a, place(left, leftOver)), wordAt(b, second)],
  };
}

// All bytes of the tokens, and to which token each belongs. A marker counts as its name.
/** @param {Token[]} tokens */
function spelled(tokens) {
  /** @type {number[]} */
  const bytes = [];
  /** @type {number[]} */
  const owner = [];
  tokens.forEach((token, i) => {
    const own = bytesOf(bareOf(token).special ?? token);
    for (const byte of own) {
      bytes.push(byte);
      owner.push(i);
    }
  });
  return { bytes, owner };
}

/** @param {any} given @param {number} at */
function wordAt({ tokens }, at) {
  if (at < 0) return null;
  const token = tokens[at];
  const text = typeof token === "string" ? token : plainText([token]) || labelOf(token);
  return text.trim() === "" ? labelOf(token) : text.trim();
}

/** @param {any} divergence @param {any} first */
export function divergenceSentence(divergence, first) {
  if (!divergence) return "";
  const { same, words } = divergence;
  const after =
    same === 0 ? "at the first token" : same === 1 ? "after 1 token" : `after ${same} tokens`;
  const [theirs, own] = words.map((/** @type {number} */ word) =>
    word === null ? null : `“${word}”`,
  );
  if (own === null) return `Ends ${after}, where ${first.title} continues with ${theirs}.`;
  if (theirs === null) return `Continues ${after} with ${own}, where ${first.title} ends.`;
  return `Diverges from ${first.title} ${after}: ${own} instead of ${theirs}.`;
}
