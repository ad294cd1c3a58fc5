// What one token reads and who reads it, from the rows of one head. Pure.

import { weightOf } from "./wire.js";
import { nameOf } from "./token_label.js";

// The strongest entries of a row: [{index, byte}], largest first, earlier token first on a tie.
export function strongest(row, limit, from = 0) {
  const found = [];
  for (let j = from; j < row.length; j++) {
    if (found.length === limit && row[j] <= found[limit - 1].byte) continue;
    let at = found.length;
    while (at > 0 && found[at - 1].byte < row[j]) at -= 1;
    found.splice(at, 0, { index: j, byte: row[j] });
    if (found.length > limit) found.pop();
  }
  return found;
}

// The rows that look at token `key`, strongest first: rowOf(i) gives row i of the head.
export function readersOf(key, count, rowOf, limit) {
  const column = new Uint8Array(Math.max(0, count - key - 1));
  for (let i = key + 1; i < count; i++) column[i - key - 1] = rowOf(i)?.[key] ?? 0;
  return strongest(column, limit).map(({ index, byte }) => ({ index: index + key + 1, byte }));
}

export function number(byte) {
  const weight = weightOf(byte);
  return weight > 0 && weight < 0.005 ? "<0.01" : weight.toFixed(2);
}

export function percent(byte) {
  return `${Math.round(100 * weightOf(byte))} %`;
}

// One sentence about a selection; row is null where the query has none.
export function sentence(tokens, { query, key }, row) {
  if (query < 0) return "";
  const name = nameOf(tokens, query);
  if (key !== null && key > query) return `${name} cannot see ${nameOf(tokens, key)}: it comes later`;
  if (row === null) return `${name} is the newest token: it has read nothing yet`;
  const target = key ?? strongest(row, 1)[0].index;
  const verb = key === null ? "reads most from" : "reads";
  return `${name} ${verb} ${nameOf(tokens, target)}: ${number(row[target])}`;
}
