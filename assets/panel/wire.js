// What travels: base64 of packed attention rows in, indexable rows out. Pure, no page, no state.
// A row i holds heads * (i + 1) bytes, head after head; a byte is round(255 * sqrt(weight)).

export function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Cut packed bytes into rows start, start + 1, ...; bytes that do not end on a row are an error.
export function splitRows(bytes, start, heads) {
  if (!isIndex(start) || !isIndex(heads) || heads === 0) {
    throw new RangeError(`rows from ${start} with ${heads} heads cannot be`);
  }
  const rows = [];
  let at = 0;
  for (let i = start; at < bytes.length; i++) {
    const end = at + heads * (i + 1);
    if (end > bytes.length) {
      throw new RangeError(`row ${i} needs ${end - at} bytes and ${bytes.length - at} are left`);
    }
    rows.push(bytes.subarray(at, end));
    at = end;
  }
  return rows;
}

// The weights of one head in row i: i + 1 bytes.
export function headOf(row, head, i) {
  return row.subarray(head * (i + 1), (head + 1) * (i + 1));
}

export function weightOf(byte) {
  const root = byte / 255;
  return root * root;
}

export function isIndex(value) {
  return Number.isInteger(value) && value >= 0;
}

// A list that may arrive in any order: `ready` items are there without a gap from 0 on.
// What is there stays; a repeated item is dropped.
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
