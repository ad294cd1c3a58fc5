// Draws one map on a canvas: raster, strip of the first token, masked half, grid, selection.

import { darkOn, indexOf, indexRow } from "./color.js";
import { planOf, xOf, yOf } from "./geometry.js";
import { drawCaption, drawLabels, drawTicks, markLabels } from "./map_labels.js";
import { fill, penOf } from "./raster.js";
import { whole } from "./viewport.js";

const DIGITS = 9; // CSS pixels the numbers in the strip are high
const GRID_FROM = 6; // CSS pixels per cell from which cells are kept apart by a line

export class AttentionMap {
  /**
   * Rows are added to `canvas`; what is selected is drawn on `over`, which lies on it, so that the
   * rows need not be drawn again when that moves. A picture that does not change needs but one.
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLCanvasElement} [over]
   */
  constructor(canvas, over = canvas) {
    this.canvas = canvas;
    this.base = penOf(canvas);
    this.over = penOf(over);
    this.levels = new Uint8Array(0);
    this.reset();
    this.plan = planOf(300, whole(12));
  }

  /** Forget the drawn rows: another text, map or scale. */
  reset() {
    /** @type {import("./raster.js").Raster | null} */
    this.raster = null;
    /** @type {{ as: string, count: number }} */
    this.drawn = { as: "", count: 0 };
  }

  /** @param {MapView} view */
  draw(view) {
    const { width, ratio, window, split } = view;
    this.plan = planOf(width, window, split);
    this.fit(Math.round(width * ratio));
    const { count, tokens } = view;
    const unnamed = tokens.length < count ? tokens.length : "";
    const as = [
      view.key,
      view.span,
      width,
      ratio,
      window.x,
      window.y,
      window.size,
      split,
      view.scale,
      view.colors.card,
      unnamed,
    ].join();
    const same = as === this.drawn.as && count >= this.drawn.count;
    if (!same || count > this.drawn.count) this.drawBase(view, same ? this.drawn.count : 0);
    this.drawn = { as, count };
    const { over: c } = this;
    if (c !== this.base) emptied(c);
    if (view.count === 0) return;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    markLabels(c, this.plan, view);
    this.drawSelection(view);
  }

  /** @param {number} pixels */
  fit(pixels) {
    for (const { canvas } of [this.over, this.base]) {
      if (canvas.width === pixels && canvas.height === pixels) continue;
      canvas.width = canvas.height = pixels;
      this.drawn = { as: "", count: 0 };
    }
  }

  // Rows before `from` stand there already: of those that follow, only what they change is drawn.
  /** @param {MapView} view @param {number} from */
  drawBase(view, from) {
    const { base: c, plan } = this;
    const { ratio, count } = view;
    if (from === 0) emptied(c);
    if (count === 0) return;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const limit = Math.floor(plan.side * ratio);
    const { shift } = plan;
    this.raster = fill(this.raster, {
      ...view,
      shift,
      limit,
      levelsOf: (i) => this.levelsOf(view, i),
    });
    const { rows, columns, strip } = bandsOf(
      plan,
      Math.max(0, from - 2 * this.raster.pool),
      count,
      ratio,
    );
    for (const band of from === 0 ? [wholeOf(plan)] : [rows, columns]) {
      within(c, band, () => this.drawCells(c, view));
    }
    if (view.split) within(c, strip, () => this.drawStrip(c, view));
    if (from === 0) drawCaption(c, view);
    if (plan.labelled) drawLabels(c, plan, view, from);
    else drawTicks(c, plan, view, from);
  }

  /** @param {CanvasRenderingContext2D} c @param {MapView} view */
  drawCells(c, view) {
    const { plan } = this;
    this.drawMasked(c, view);
    this.raster?.drawOn(c, view.window, plan.left, plan.gutter, plan.side);
    if (plan.cell >= GRID_FROM) this.drawGrid(c, view);
  }

  /** @param {MapView} given @param {number} i */
  levelsOf({ rowOf, shownOf, scale, split }, i) {
    const shown = shownOf(i);
    if (this.levels.length < shown.length) this.levels = new Uint8Array(2 * shown.length);
    const levels = indexRow(shown, scale, this.levels.subarray(0, shown.length));
    return { levels, first: split ? indexOf(rowOf(i)[0], scale) : 0 };
  }

  // The half above the diagonal of the rows there are: tinted and hatched, unlike a weight of 0.
  /** @param {CanvasRenderingContext2D} c @param {MapView} given */
  drawMasked(c, { count, colors }) {
    const { plan } = this;
    const [left, right] = [xOf(plan, plan.shift), xOf(plan, count)];
    const [top, bottom] = [yOf(plan, 0), yOf(plan, count)];
    c.save();
    c.beginPath();
    c.moveTo(left, top);
    c.lineTo(right, top);
    c.lineTo(right, bottom);
    c.lineTo(left, yOf(plan, plan.shift));
    c.clip();
    c.fillStyle = colors.masked;
    c.fillRect(plan.left, plan.gutter, plan.side, plan.side);
    c.strokeStyle = colors.maskedLine;
    c.lineWidth = 1;
    c.beginPath();
    for (let d = 0; d < 2 * plan.side; d += 7) {
      c.moveTo(plan.left + d, plan.gutter);
      c.lineTo(plan.left, plan.gutter + d);
    }
    c.stroke();
    c.restore();
  }

  /** @param {CanvasRenderingContext2D} c @param {MapView} given */
  drawGrid(c, { count, colors }) {
    const { plan } = this;
    const bottom = Math.min(yOf(plan, count), plan.gutter + plan.side);
    c.fillStyle = colors.card;
    for (let i = Math.max(1, Math.floor(plan.window.y)); i <= count; i++) {
      const y = yOf(plan, i) - 0.5;
      if (y > plan.gutter + plan.side) break;
      c.fillRect(plan.left, y, xOf(plan, Math.min(i + 1, count)) - plan.left, 1);
    }
    for (let k = Math.max(1, Math.floor(plan.window.x)); k <= count; k++) {
      const top = Math.max(yOf(plan, k - 1), plan.gutter);
      c.fillRect(xOf(plan, k) - 0.5, top, 1, bottom - top);
    }
  }

  // How much of each row rests on the first token, in per cent where there is room for a number.
  /** @param {CanvasRenderingContext2D} c @param {MapView} given */
  drawStrip(c, { count, window, rowOf, scale, colors, pixels, mono }) {
    const { plan } = this;
    this.raster?.drawStrip(c, window, plan.gutter, plan.gutter, plan.strip, plan.side);
    c.font = `${DIGITS}px ${mono}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    for (
      let i = Math.floor(window.y);
      plan.labelled && i < Math.min(count, window.y + window.size);
      i++
    ) {
      c.fillStyle = colors.card;
      c.fillRect(plan.gutter, yOf(plan, i + 1) - 0.5, plan.strip, 1);
      const middle = yOf(plan, i + 0.5);
      const cut = Math.min(middle - plan.gutter, plan.gutter + plan.side - middle) < DIGITS / 2;
      if (cut) continue; // half a number is another one
      const [first] = rowOf(i);
      const pixel = pixels[indexOf(first, scale)];
      const dark = darkOn(pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255);
      c.fillStyle = dark ? "#000000" : "#ffffff";
      c.fillText(String(Math.round(100 * first)), plan.gutter + plan.strip / 2, middle + 0.5);
    }
  }

  // The query's row is outlined as far as it can see; the key's column and cell when one is chosen.
  /** @param {MapView} given */
  drawSelection({ count, selection, colors }) {
    const { query, key } = selection;
    if (query < 0 || query >= count) return;
    const { plan, over: c } = this;
    c.save();
    c.beginPath();
    c.rect(plan.gutter - 2, plan.gutter - 2, plan.width, plan.side + 4);
    c.clip();
    const thick = Math.max(plan.cell, 3);
    const right = Math.min(Math.max(xOf(plan, query + 1), plan.left), plan.width - 1);
    this.outline(plan.gutter, yOf(plan, query), right - plan.gutter, thick, colors.accent);
    if (key !== null && key <= query) this.outlineKey(key, query, count, thick, colors);
    c.restore();
  }

  /**
   * @param {number} key
   * @param {number} query
   * @param {number} count
   * @param {number} thick
   * @param {PageTheme["colors"]} colors
   */
  outlineKey(key, query, count, thick, colors) {
    const { plan } = this;
    const apart = key < plan.shift;
    const left = apart ? plan.gutter : xOf(plan, key);
    const wide = apart ? plan.strip : thick;
    if (!apart && left < plan.left - 1) return;
    this.outline(
      left,
      yOf(plan, key),
      wide,
      yOf(plan, count) - yOf(plan, key),
      colors.warm,
      [3, 3],
    );
    this.outline(left, yOf(plan, query), wide, thick, colors.ink);
  }

  /**
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   * @param {string} color
   * @param {number[]} [dash]
   */
  outline(left, top, width, height, color, dash = []) {
    const { over: c } = this;
    c.save();
    c.strokeStyle = color;
    c.lineWidth = 2;
    c.setLineDash(dash);
    c.strokeRect(left - 1, top - 1, width + 1, height + 1);
    c.restore();
  }
}

// Where rows `from` to `count` lie: across, their columns down to them, and their part of the strip.
// Whole pixels, and one more on either side, so that nothing of what is drawn anew is left standing.
/** @param {MapPlan} plan @param {number} from @param {number} count @param {number} ratio */
function bandsOf(plan, from, count, ratio) {
  const { gutter, left, side } = plan;
  const end = gutter + side;
  /** @param {number} at @param {number} least */
  const inside = (at, least) => Math.min(end, Math.max(least, at));
  /** @param {number} at */
  const down = (at) => Math.floor(at * ratio - 1) / ratio;
  /** @param {number} at */
  const up = (at) => Math.ceil(at * ratio + 1) / ratio;
  const top = inside(down(yOf(plan, from)), gutter);
  const high = inside(up(yOf(plan, count)), gutter) - top;
  const first = Math.max(left, down(xOf(plan, from)));
  const last = Math.min(left + side, up(xOf(plan, count)));
  return {
    rows: [left, top, side, high],
    columns: [first, gutter, Math.max(0, last - first), top + high - gutter],
    strip: [gutter, top, plan.strip, high],
  };
}

/** @param {MapPlan} given */
function wholeOf({ left, gutter, side }) {
  return [left, gutter, side, side];
}

// To the last pixel, also where CSS pixels are no whole ones.
/** @param {CanvasRenderingContext2D} c */
function emptied(c) {
  c.setTransform(1, 0, 0, 1, 0, 0);
  c.clearRect(0, 0, c.canvas.width, c.canvas.height);
}

/**
 * Draw into a rectangle that is emptied before.
 * @param {CanvasRenderingContext2D} c
 * @param {number[]} band
 * @param {() => void} draw
 */
function within(c, [left, top, width, height], draw) {
  c.save();
  c.beginPath();
  c.rect(left, top, width, height);
  c.clip();
  c.clearRect(left, top, width, height);
  draw();
  c.restore();
}
