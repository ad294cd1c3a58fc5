// One head as pixels: a pixel is the largest weight of a pool x pool block of cells, so that thin
// stripes survive when there are more tokens than pixels. Cells nobody can see stay transparent.

export class Raster {
  constructor(side, pool, pixels) {
    this.side = side;
    this.pool = pool;
    this.pixels = pixels; // 256 colours as Uint32
    this.rows = 0;
    this.bytes = new Uint8Array(side * side);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = side;
    this.context = this.canvas.getContext("2d");
    this.stale = new Set();
  }

  // Does a map of `span` tokens still fit?
  holds(span) {
    return span <= this.side * this.pool;
  }

  add(weights) {
    const y = Math.floor(this.rows / this.pool);
    const base = y * this.side;
    for (let j = 0; j < weights.length; j++) {
      const at = base + Math.floor(j / this.pool);
      if (weights[j] > this.bytes[at]) this.bytes[at] = weights[j];
    }
    this.stale.add(y);
    this.rows += 1;
  }

  paint() {
    for (const y of this.stale) {
      const image = new ImageData(y + 1, 1);
      const out = new Uint32Array(image.data.buffer);
      const base = y * this.side;
      for (let x = 0; x <= y; x++) out[x] = this.pixels[this.bytes[base + x]];
      this.context.putImageData(image, 0, y);
    }
    this.stale.clear();
  }

  // Draw the first `span` tokens into a square; a pixel of ours becomes a crisp rectangle.
  drawOn(context, x, y, size, span) {
    this.paint();
    const shown = span / this.pool;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, shown, shown, x, y, size, size);
  }
}

// The raster for `span` tokens on at most `limit` pixels, kept while it fits and filled up.
export function fill(raster, { span, limit, pixels, count, rowOf, powerOfTwo = false }) {
  let pool = Math.max(1, Math.ceil(span / limit));
  if (powerOfTwo) pool = 2 ** Math.ceil(Math.log2(pool));
  let kept = raster;
  if (!kept || kept.pool !== pool || kept.pixels !== pixels || !kept.holds(span)) {
    const side = powerOfTwo ? limit : Math.min(roundUp(span / pool), limit);
    kept = new Raster(Math.max(side, Math.ceil(span / pool)), pool, pixels);
  }
  while (kept.rows < count) kept.add(rowOf(kept.rows));
  return kept;
}

function roundUp(side) {
  return 2 ** Math.ceil(Math.log2(Math.max(side, 32)));
}
