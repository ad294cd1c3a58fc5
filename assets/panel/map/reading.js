// What one token reads and who reads it, from the rows of one map. Pure.

import { wholePercent } from "../gradio/formats.js";
import { nameOf } from "../text/token_label.js";

/**
 * The strongest entries of a row: [{index, weight}], largest first, earlier first on a tie.
 * @param {Weights} row
 * @param {number} limit
 * @param {number} [from]
 */
export function strongest(row, limit, from = 0) {
  /** @type {Entry[]} */
  const found = [];
  for (let j = from; j < row.length; j++) {
    if (found.length === limit && row[j] <= found[limit - 1].weight) continue;
    let at = found.length;
    while (at > 0 && found[at - 1].weight < row[j]) at -= 1;
    found.splice(at, 0, { index: j, weight: row[j] });
    if (found.length > limit) found.pop();
  }
  return found;
}

/**
 * The rows that look at token `key`, strongest first: rowOf(i) gives row i of the map.
 * @param {number} key
 * @param {number} count
 * @param {RowOf} rowOf
 * @param {number} limit
 */
export function readersOf(key, count, rowOf, limit) {
  const column = new Float32Array(Math.max(0, count - key - 1));
  for (let i = key + 1; i < count; i++) column[i - key - 1] = rowOf(i)?.[key] ?? 0;
  return strongest(column, limit).map(({ index, weight }) => ({ index: index + key + 1, weight }));
}

/**
 * Which part of a row is not on the first token; row 0 has nothing else and keeps nothing.
 * @param {Weights} row
 */
export function keptOf(row) {
  return 1 - row[0];
}

/**
 * The row without the first token, scaled to sum to 1: [0, ...].
 * @param {Weights} row
 */
export function restOf(row) {
  const kept = keptOf(row);
  if (kept <= 0) return new Float32Array(row.length);
  const rest = row.map((weight) => weight / kept);
  rest[0] = 0;
  return rest;
}

/**
 * One sentence about a selection; row is null where the query has none. With the first token shown
 * separately, `split`, it also tells the share without it, which is what map and list show, where the
 * two differ.
 * @param {Token[]} tokens
 * @param {Selected} given
 * @param {Weights} row
 * @param {boolean} [split]
 */
export function sentence(tokens, { query, key }, row, split = false) {
  if (query < 0) return "";
  const name = nameOf(tokens, query);
  if (key !== null && key > query)
    return `${name} cannot see ${nameOf(tokens, key)}: it comes later`;
  if (row === null) return `${name} was just written; its row appears with the next token`;
  const target = key ?? mostRead(row, split);
  const verb = key === null ? "reads most from" : "reads";
  return `${name} ${verb} ${nameOf(tokens, target)}: ${weightText(row, target, split)}`;
}

// The weight, and the share without the first token where that is another number.
/** @param {Weights} row @param {number} target @param {boolean} split */
function weightText(row, target, split) {
  const [weight, share] = [row[target], row[target] / Math.max(keptOf(row), 1e-9)].map(
    wholePercent,
  );
  return split && target > 0 && share !== weight
    ? `${weight} (${share} without the first token)`
    : weight;
}

/**
 * What a row reads most; row 0 can only read itself.
 * @param {Weights} row
 * @param {boolean} split
 */
export function mostRead(row, split) {
  return strongest(row, 1, split && row.length > 1 ? 1 : 0)[0].index;
}
