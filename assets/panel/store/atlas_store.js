// All heads small: per head a map pooled by maximum at 16 levels, grown row by row.
// The same pooling as gpt2/interpret/atlas.py: one bin holds `pool` tokens, and `pool` doubles in time.

import { unpackNibbles } from "./wire.js";

export function poolFor(count, bins) {
  let pool = 1;
  while (pool * bins < count) pool *= 2;
  return pool;
}

let made = 0;

export class AtlasStore {
  /** @param {number} heads of all layers together @param {number} bins a thumbnail's side at most */
  constructor(heads, bins) {
    this.id = made++; // tells it from other texts'
    this.heads = heads;
    this.bins = bins;
    this.count = 0; // rows so far
    this.pooled = 0; // those of them that are in the bins; the others wait in `packed`
    this.packed = [];
    this.pool = 1;
    this.rest = new Uint8Array(heads * bins * bins); // shares of what is not on the first token
    this.first = new Uint8Array(heads * bins); // what is, row by row
  }

  /** Bins in use: a thumbnail is side x side. */
  get side() {
    return Math.ceil(this.pooled / this.pool);
  }

  /**
   * The rows from `start` on that a running text sends. False when rows before them are missing.
   * They are only put by: `settle` pools them when somebody looks.
   */
  push(start, bytes) {
    if (start > this.count) return false;
    let at = 0;
    for (let i = start; at < bytes.length; i++) {
      const pool = poolFor(i + 1, this.bins);
      const width = 1 + Math.ceil((i + 1) / pool);
      const size = Math.ceil((this.heads * width) / 2);
      if (at + size > bytes.length) throw new RangeError(`row ${i} of the atlas is cut off`);
      if (i === this.count) {
        this.packed.push(bytes.subarray(at, at + size));
        this.count += 1;
      }
      at += size;
    }
    return true;
  }

  /** Pool what was put by. */
  settle() {
    for (const bytes of this.packed.splice(0)) this.add(unpackNibbles(bytes));
  }

  add(numbers) {
    const { bins } = this;
    const pool = poolFor(this.pooled + 1, bins);
    const width = 1 + Math.ceil((this.pooled + 1) / pool);
    while (this.pool < pool) this.halve();
    const y = Math.floor(this.pooled / pool);
    for (let head = 0; head < this.heads; head++) {
      const from = head * width;
      const row = (head * bins + y) * bins;
      this.first[head * bins + y] = Math.max(this.first[head * bins + y], numbers[from]);
      for (let x = 1; x < width; x++) {
        if (numbers[from + x] > this.rest[row + x - 1]) this.rest[row + x - 1] = numbers[from + x];
      }
    }
    this.pooled += 1;
  }

  /** Everything at once: the maps of the first `count` rows. */
  replace(count, bytes) {
    if (count < this.count) return;
    const numbers = unpackNibbles(bytes);
    const pool = poolFor(count, this.bins);
    const side = Math.ceil(count / pool);
    const size = side * (1 + side);
    if (numbers.length < this.heads * size) throw new RangeError("the atlas is cut off");
    this.rest.fill(0);
    this.first.fill(0);
    for (let head = 0; head < this.heads; head++) {
      for (let y = 0; y < side; y++) {
        const from = head * size + y * (1 + side);
        this.first[head * this.bins + y] = numbers[from];
        this.rest.set(
          numbers.subarray(from + 1, from + 1 + side),
          (head * this.bins + y) * this.bins,
        );
      }
    }
    this.count = this.pooled = count;
    this.packed = [];
    this.pool = pool;
  }

  // Two bins become one, both ways.
  halve() {
    const { bins, rest, first } = this;
    const small = new Uint8Array(rest.length);
    const sinks = new Uint8Array(first.length);
    for (let line = 0; line < this.heads * bins; line++) {
      const y = line % bins;
      const to = line - y + (y >> 1);
      sinks[to] = Math.max(sinks[to], first[line]);
      for (let x = 0; x < bins; x++) {
        const at = to * bins + (x >> 1);
        if (rest[line * bins + x] > small[at]) small[at] = rest[line * bins + x];
      }
    }
    this.rest = small;
    this.first = sinks;
    this.pool *= 2;
  }
}
