// The colour scale in numbers, which scale it is, and whether the first token is shown separately.

import { penOf } from "./raster.js";
import { indexOf, rampColors, SCALES, themeOf } from "./color.js";
import { isPlain } from "../store/map_view.js";

export class Legend {
  /** @param {Parts} parts @param {Runs} runs */
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.shown = "";
    const { scales, apart } = parts;
    scales.replaceChildren(
      ...Object.entries(SCALES).map(([value, { name }]) => new Option(name, value)),
    );
    scales.addEventListener("change", () => runs.draw({ scale: scales.value }));
    apart.addEventListener("change", () => runs.draw({ apart: apart.checked }));
  }

  show() {
    const { parts, runs } = this;
    const plain = isPlain(runs.look.mode);
    const now = [runs.scale, runs.splits, plain].join();
    if (now === this.shown) return;
    this.shown = now;
    const scale = SCALES[runs.scale];
    parts.scales.value = runs.scale;
    parts.apart.checked = runs.splits;
    parts.apart.disabled = plain;
    const most = runs.scale === "row" ? "the row's largest" : "1";
    parts.scale.setAttribute(
      "aria-label",
      `Colour scale from weight ${scale.marks[0]} to ${most}, ${scale.name}`,
    );
    const marks = scale.marks.map((/** @type {number} */ weight) => {
      const mark = document.createElement("span");
      mark.style.left = `${(100 * indexOf(weight, runs.scale)) / 255}%`;
      mark.textContent = runs.scale === "row" && weight === 1 ? "max" : String(weight);
      return mark;
    });
    parts.marks.replaceChildren(...marks);
  }

  /** Paint the ramp in the colours of the theme. */
  dress() {
    const context = penOf(this.parts.ramp);
    rampColors(themeOf(document.body)).forEach((rgb, x) => {
      context.fillStyle = `rgb(${rgb.join(",")})`;
      context.fillRect(x, 0, 1, 1);
    });
    this.show();
  }
}
