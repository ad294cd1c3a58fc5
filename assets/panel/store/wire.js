// What travels: packed attention rows in, weights out. Pure, no page, no state.
// A row i holds i + 1 bytes, as gpt2/interpret/row_codec.py makes them.

/** @param {string} text base64 @returns {Uint8Array} */
export function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Cut packed bytes into rows start, start + 1, ...; bytes that do not end on a row are an error. */
export function splitRows(bytes, start) {
  if (!isIndex(start)) throw new RangeError(`rows from ${start} cannot be`);
  const rows = [];
  let at = 0;
  for (let i = start; at < bytes.length; i++) {
    const end = at + i + 1;
    if (end > bytes.length) {
      throw new RangeError(`row ${i} needs ${end - at} bytes and ${bytes.length - at} are left`);
    }
    rows.push(bytes.subarray(at, end));
    at = end;
  }
  return rows;
}

/**
 * The weights of a row. Byte 0 tells which part is kept for the other tokens, the others how that
 * is shared out: the row sums to 1. A plain row (a maximum over heads) holds weights as such.
 * @param {Uint8Array} bytes @param {boolean} plain @returns {Float32Array}
 */
export function weightsOf(bytes, plain = false) {
  const row = Float32Array.from(bytes, (byte) => byte / 255);
  if (plain) return row.map((root) => root * root);
  let [total, squares] = [0, 0];
  for (let j = 1; j < row.length; j++) {
    total += row[j];
    squares += row[j] * row[j];
  }
  const kept = total > 0 ? row[0] * row[0] : 0;
  const excess = total > 0 ? (squares - 1) / total : 0; // what rounding brought, root by root
  for (let j = 1; j < row.length; j++) row[j] *= kept * (row[j] - excess);
  row[0] = 1 - kept;
  return row;
}

/** A message as Gradio carries it, text or nothing; or as a view of ours hands it to another. */
export function messageOf(value) {
  return typeof value === "string" ? JSON.parse(value || "null") : value;
}

/** Two numbers 0 to 15 a byte, the first in the high half. */
export function unpackNibbles(bytes) {
  const out = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    out[2 * i] = bytes[i] >> 4;
    out[2 * i + 1] = bytes[i] & 15;
  }
  return out;
}

export function isIndex(value) {
  return Number.isInteger(value) && value >= 0;
}

/**
 * A list that may arrive in any order: `ready` items are there without a gap from 0 on.
 * What is there stays; a repeated item is dropped.
 */
export class Arrivals {
  constructor() {
    this.items = [];
    this.ready = 0;
  }

  put(start, list) {
    if (!isIndex(start)) return 0;
    let fresh = 0;
    list.forEach((item, offset) => {
      if (this.items[start + offset] !== undefined) return;
      this.items[start + offset] = item;
      fresh += 1;
    });
    while (this.items[this.ready] !== undefined) this.ready += 1;
    return fresh;
  }

  at(index) {
    return this.items[index];
  }
}
