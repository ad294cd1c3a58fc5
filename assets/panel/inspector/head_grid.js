// A number for each head as a small picture: a row is a layer, a column a head. What was not
// measured is hatched, never drawn as nothing.

import { made } from "./question.js";

const MOST = 20; // CSS pixels of a cell
const LEAST = 5;

export class HeadGrid {
  /** @param {(head: {layer: number, head: number}) => void} onOpen */
  constructor(onOpen) {
    this.canvas = made("canvas", { className: "headgrid", role: "img" });
    this.values = [];
    this.step = MOST;
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const layer = Math.floor((event.clientY - box.top) / this.step);
      const head = Math.floor((event.clientX - box.left) / this.step);
      if (this.values[layer]?.[head] !== undefined) onOpen({ layer, head });
    });
  }

  /**
   * @param {(number|null)[][]} values by layer and head
   * @param {{layer: number, head: number}} look
   */
  show(values, look, name) {
    this.values = values;
    const heads = values[0]?.length ?? 1;
    const width = this.canvas.parentElement?.clientWidth || 260;
    this.step = Math.max(LEAST, Math.min(MOST, Math.floor(width / heads)));
    const { canvas, step } = this;
    const ratio = Math.max(1, devicePixelRatio);
    canvas.width = heads * step * ratio;
    canvas.height = values.length * step * ratio;
    canvas.style.width = `${heads * step}px`;
    canvas.style.height = `${values.length * step}px`;
    canvas.setAttribute("aria-label", name);
    const style = getComputedStyle(canvas);
    const [accent, warm, none, line, ink] = [
      "--accent",
      "--warm",
      "--masked",
      "--masked-line",
      "--ink",
    ].map((token) => style.getPropertyValue(token).trim());
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const most = Math.max(1e-9, ...values.flat().map((value) => Math.abs(value ?? 0)));
    values.forEach((row, layer) => {
      row.forEach((value, head) => {
        const [x, y, size] = [head * step, layer * step, step - 1];
        if (value === null) {
          hatch(c, x, y, size, none, line);
          return;
        }
        c.globalAlpha = 0.06 + 0.94 * Math.sqrt(Math.abs(value) / most);
        c.fillStyle = value < 0 ? warm : accent;
        c.fillRect(x, y, size, size);
        c.globalAlpha = 1;
      });
    });
    c.strokeStyle = ink;
    c.strokeRect(look.head * step - 0.5, look.layer * step - 0.5, step, step);
  }
}

function hatch(c, x, y, size, ground, line) {
  c.fillStyle = ground;
  c.fillRect(x, y, size, size);
  c.strokeStyle = line;
  c.beginPath();
  c.moveTo(x, y + size);
  c.lineTo(x + size, y);
  c.stroke();
}
