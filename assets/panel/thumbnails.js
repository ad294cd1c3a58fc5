// Small live maps of every head of the layer, each a button that chooses its head.

import { spanOf } from "./geometry.js";
import { fill } from "./raster.js";

const SIDE = 64; // raster pixels; more tokens are pooled by maximum

export class Thumbnails {
  constructor(parent, onChoose) {
    this.parent = parent;
    this.onChoose = onChoose;
    this.items = [];
  }

  reset() {
    for (const item of this.items) item.raster = null;
  }

  // One button per head; those that are there stay.
  setHeads(heads) {
    while (this.items.length > heads) this.items.pop().button.remove();
    while (this.items.length < heads) this.items.push(this.create(this.items.length));
  }

  create(head) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "thumb";
    button.setAttribute("aria-label", `Head ${head + 1}`);
    const canvas = document.createElement("canvas");
    const name = document.createElement("span");
    name.textContent = String(head + 1);
    name.setAttribute("aria-hidden", "true");
    button.append(canvas, name);
    button.addEventListener("click", () => this.onChoose(head));
    this.parent.append(button);
    return { button, canvas, raster: null };
  }

  mark(chosen) {
    this.items.forEach(({ button }, head) => {
      button.setAttribute("aria-pressed", String(head === chosen));
    });
  }

  // view: {count, rowOf(i, head), pixels, colors, growing, ratio}
  draw(view) {
    const span = spanOf(view.count, view.growing);
    this.items.forEach((item, head) => this.drawOne(item, head, span, view));
  }

  drawOne(item, head, span, { count, rowOf, pixels, colors, ratio }) {
    const size = Math.round(SIDE * ratio);
    const { canvas } = item;
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const there = (size * count) / span;
    context.clearRect(0, 0, size, size);
    if (count === 0) return;
    context.fillStyle = colors.masked;
    context.fillRect(0, 0, there, there);
    item.raster = fill(item.raster, {
      span, count, pixels, limit: SIDE, powerOfTwo: true, rowOf: (i) => rowOf(i, head),
    });
    item.raster.drawOn(context, 0, 0, size, span);
  }
}
