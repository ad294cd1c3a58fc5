// One map as pixels: a pixel is the largest weight of a pool x pool block of cells, so that thin
// stripes survive when there are more tokens than pixels. Cells nobody can see stay transparent.

/** What draws on a canvas. @param {HTMLCanvasElement} canvas */
export function penOf(canvas) {
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("this browser draws on no canvas");
  return pen;
}

export class Raster {
  /**
   * @param {number} shift columns left out at the start @param {Uint32Array} pixels 256 colours
   * @param {number} side
   * @param {number} pool
   */
  constructor(side, pool, pixels, shift = 0) {
    this.side = side;
    this.pool = pool;
    this.pixels = pixels;
    this.shift = shift;
    this.rows = 0;
    this.bytes = new Uint8Array(side * side);
    this.first = new Uint8Array(side); // the first token's column, where it is shown separately
    this.canvas = square(side, side);
    this.strip = square(1, side);
    this.stale = new Set();
  }

  /**
   * Does a map of `span` tokens still fit?
   * @param {number} span
   */
  holds(span) {
    return span <= this.side * this.pool;
  }

  /**
   * The next row, as ramp indices; `first` is that of the first token.
   * @param {Uint8Array} levels
   * @param {number} first
   */
  add(levels, first) {
    const y = Math.floor(this.rows / this.pool);
    const base = y * this.side;
    for (let j = this.shift; j < levels.length; j++) {
      const at = base + Math.floor((j - this.shift) / this.pool);
      if (levels[j] > this.bytes[at]) this.bytes[at] = levels[j];
    }
    if (first > this.first[y]) this.first[y] = first;
    this.stale.add(y);
    this.rows += 1;
  }

  paint() {
    const image = new ImageData(this.side, 1);
    const out = new Uint32Array(image.data.buffer);
    const dot = new ImageData(1, 1);
    for (const y of this.stale) {
      const base = y * this.side;
      const end = Math.ceil((Math.min((y + 1) * this.pool, this.rows) - this.shift) / this.pool);
      for (let x = 0; x < end; x++) out[x] = this.pixels[this.bytes[base + x]];
      this.canvas.putImageData(image, 0, y, 0, 0, Math.max(0, end), 1);
      new Uint32Array(dot.data.buffer)[0] = this.pixels[this.first[y]];
      this.strip.putImageData(dot, 0, y);
    }
    this.stale.clear();
  }

  /**
   * Draw the part {x, y, size} of the text into a square; a pixel of ours becomes a rectangle.
   * @param {CanvasRenderingContext2D} context
   * @param {Span} window
   * @param {number} left
   * @param {number} top
   * @param {number} side
   */
  drawOn(context, window, left, top, side) {
    this.paint();
    const { x, y, size } = window;
    const { pool } = this;
    context.imageSmoothingEnabled = false;
    context.drawImage(
      this.canvas.canvas,
      x / pool,
      y / pool,
      size / pool,
      size / pool,
      left,
      top,
      side,
      side,
    );
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Span} window
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   */
  drawStrip(context, window, left, top, width, height) {
    context.imageSmoothingEnabled = false;
    const { pool, strip } = this;
    context.drawImage(
      strip.canvas,
      0,
      window.y / pool,
      1,
      window.size / pool,
      left,
      top,
      width,
      height,
    );
  }
}

/** @param {number} width @param {number} height */
function square(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return penOf(canvas);
}

/**
 * The raster for `span` tokens of which `window.size` lie on at most `limit` pixels, kept while it
 * fits and filled up. levelsOf(i) gives row i as {levels, first}, ramp indices.
 * @param {Raster | null} raster
 * @param {{ span: number, window: Span, limit: number, pixels: Uint32Array, shift: number, count: number, levelsOf: (i: number) => LevelsOfRow }} given
 * @returns {Raster}
 */
export function fill(raster, { span, window, limit, pixels, shift, count, levelsOf }) {
  const pool = 2 ** Math.max(0, Math.ceil(Math.log2(window.size / limit)));
  const fits = raster && raster.pool === pool && raster.pixels === pixels && raster.shift === shift;
  const kept =
    fits && raster.holds(span) ? raster : new Raster(roundUp(span / pool), pool, pixels, shift);
  while (kept.rows < count) {
    const { levels, first } = levelsOf(kept.rows);
    kept.add(levels, first);
  }
  return kept;
}

/** @param {number} side */
function roundUp(side) {
  return 2 ** Math.ceil(Math.log2(Math.max(side, 32)));
}
