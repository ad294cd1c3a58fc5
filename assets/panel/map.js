// Draws the attention map of one head on a canvas: raster, masked half, grid, labels, selection.

import { edgeOf, planOf } from "./geometry.js";
import { labelOf, shorten } from "./token_label.js";
import { fill } from "./raster.js";

const GRID_FROM = 6; // CSS pixels per cell from which cells are kept apart by a line

export class AttentionMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.raster = null;
    this.plan = planOf(300, 12);
  }

  // Forget the drawn rows: another run, layer or head.
  reset() {
    this.raster = null;
  }

  // view: {width, ratio, span, count, rowOf, tokens, selection, colors, pixels}
  draw(view) {
    const { width, ratio, span } = view;
    this.plan = planOf(width, span);
    this.fit(Math.round(width * ratio));
    const { context: c, plan } = this;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, width);
    if (view.count === 0) return;
    const limit = Math.floor(plan.side * ratio);
    this.raster = fill(this.raster, { ...view, limit });
    this.drawMasked(view);
    this.raster.drawOn(c, plan.gutter, plan.gutter, plan.side, span);
    if (plan.cell >= GRID_FROM) this.drawGrid(view);
    if (plan.labelled) this.drawLabels(view);
    else this.drawTicks(view);
    this.drawSelection(view);
  }

  fit(pixels) {
    if (this.canvas.width === pixels && this.canvas.height === pixels) return;
    this.canvas.width = this.canvas.height = pixels;
  }

  // The half above the diagonal of the rows there are: tinted and hatched, unlike a weight of 0.
  drawMasked({ count, colors }) {
    const { context: c, plan } = this;
    const from = plan.gutter;
    const to = edgeOf(plan, count);
    c.save();
    c.beginPath();
    c.moveTo(from, from);
    c.lineTo(to, from);
    c.lineTo(to, to);
    c.clip();
    c.fillStyle = colors.masked;
    c.fillRect(from, from, to - from, to - from);
    c.strokeStyle = colors.maskedLine;
    c.lineWidth = 1;
    c.beginPath();
    for (let d = 0; d < 2 * (to - from); d += 7) {
      c.moveTo(from + d, from);
      c.lineTo(from, from + d);
    }
    c.stroke();
    c.restore();
  }

  drawGrid({ count, colors }) {
    const { context: c, plan } = this;
    c.fillStyle = colors.card;
    for (let i = 1; i <= count; i++) {
      const at = edgeOf(plan, i) - 0.5;
      c.fillRect(plan.gutter, at, edgeOf(plan, Math.min(i + 1, count)) - plan.gutter, 1);
      const top = edgeOf(plan, i - 1);
      c.fillRect(at, top, 1, edgeOf(plan, count) - top);
    }
  }

  drawLabels({ count, tokens, selection, colors }) {
    const size = Math.min(11, Math.floor(this.plan.cell + 1));
    const room = Math.floor((this.plan.gutter - 8) / (size * 0.602));
    for (let i = 0; i < count; i++) {
      const text = shorten(labelOf(tokens[i]), room);
      const color = i === selection.query || i === selection.key ? colors.accent : colors.quiet;
      this.write(text, i, { color, size, bold: i === selection.query, rows: true });
      this.write(text, i, { color, size, bold: i === selection.query, columns: true });
    }
  }

  drawTicks({ count, selection, colors }) {
    const { tick } = this.plan;
    const { query, key } = selection;
    const far = (i, mark) => mark === null || Math.abs(i - mark) * this.plan.cell > 20;
    for (let i = 0; i < count; i += tick) {
      const style = { color: colors.quiet, size: 10 };
      if (far(i, query)) this.write(String(i), i, { ...style, rows: true });
      if (far(i, key)) this.write(String(i), i, { ...style, columns: true });
    }
    const mark = { color: colors.accent, size: 10, bold: true };
    if (query >= 0) this.write(String(query), query, { ...mark, rows: true });
    if (key !== null && key < count) this.write(String(key), key, { ...mark, columns: true });
  }

  write(text, i, { color, size, bold, rows, columns }) {
    const { context: c, plan } = this;
    const middle = Math.min(edgeOf(plan, i + 0.5), plan.width - size / 2);
    c.save();
    c.fillStyle = color;
    c.font = `${bold ? "700 " : ""}${size}px ${this.mono}`;
    c.direction = "ltr";
    c.textBaseline = "middle";
    if (rows) {
      c.textAlign = "right";
      c.fillText(text, plan.gutter - 5, middle);
    }
    if (columns) {
      c.translate(middle, plan.gutter - 5);
      c.rotate(-Math.PI / 2);
      c.fillText(text, 0, 0);
    }
    c.restore();
  }

  // The query's row is outlined as far as it can see; the key's column and cell when one is chosen.
  drawSelection({ count, selection, colors }) {
    const { query, key } = selection;
    if (query < 0 || query >= count) return;
    const { plan } = this;
    const thick = Math.max(plan.cell, 3);
    this.outline(0, query, edgeOf(plan, query + 1) - plan.gutter, thick, colors.accent);
    if (key === null || key > query) return;
    this.outline(key, key, thick, edgeOf(plan, count) - edgeOf(plan, key), colors.warm, [3, 3]);
    this.outline(key, query, thick, thick, colors.ink);
  }

  outline(column, row, width, height, color, dash = []) {
    const { context: c, plan } = this;
    c.save();
    c.strokeStyle = color;
    c.lineWidth = 2;
    c.setLineDash(dash);
    c.strokeRect(edgeOf(plan, column) - 1, edgeOf(plan, row) - 1, width + 1, height + 1);
    c.restore();
  }
}
