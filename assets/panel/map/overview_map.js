// The whole map, small, with a frame around what is in sight; a press or drag moves that.

import { setHidden } from "../gradio/dom.js";
import { fill, penOf } from "./raster.js";
import { indexRow } from "./color.js";
import { whole } from "./viewport.js";

const SIDE = 96; // CSS pixels

export class Minimap {
  /**
   * @param {(x: number, y: number) => void} onPoint gets a point of the text, in tokens
   * @param {HTMLCanvasElement} canvas
   */
  constructor(canvas, onPoint) {
    this.canvas = canvas;
    /** @type {import("./raster.js").Raster | null} */
    this.raster = null;
    this.shown = "";
    this.span = 1;
    /** @param {PointerEvent} event */
    const point = (event) => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const box = canvas.getBoundingClientRect();
      const scale = this.span / box.width;
      onPoint((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
  }

  /** @param {MapView | null} view null hides it @param {number} top below the labels */
  draw(view, top) {
    const { canvas } = this;
    setHidden(canvas, view === null);
    if (view === null) return;
    canvas.style.top = `${top}px`;
    const { span, window, ratio, colors, count, key, scale, split } = view;
    const size = Math.round(SIDE * ratio);
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const now = [key, scale, split].join();
    if (now !== this.shown) this.raster = null;
    this.shown = now;
    this.span = span;
    /** @param {number} i */
    const levelsOf = (i) => {
      const row = view.shownOf(i);
      return { levels: indexRow(row, scale, new Uint8Array(row.length)), first: 0 };
    };
    this.raster = fill(this.raster, {
      ...view,
      window: whole(span),
      shift: split ? 1 : 0,
      limit: size,
      levelsOf,
    });
    const c = penOf(canvas);
    c.fillStyle = colors.masked;
    c.fillRect(0, 0, size, size);
    this.raster.drawOn(c, whole(span), 0, 0, size);
    const unit = size / span;
    c.strokeStyle = colors.warm;
    c.lineWidth = 2 * ratio;
    const side = Math.min(window.size, count) * unit;
    c.strokeRect(
      window.x * unit + ratio,
      window.y * unit + ratio,
      side - 2 * ratio,
      side - 2 * ratio,
    );
  }
}
