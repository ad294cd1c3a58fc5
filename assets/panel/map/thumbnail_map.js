// A small live map of one head, and the button that opens the full one.

import { indexRow } from "./color.js";
import { atLeisure, atMostEvery, setHidden, setText } from "../gradio/dom.js";
import { spanOf } from "./geometry.js";
import { titleOf } from "../store/map_view.js";
import { fill, penOf } from "./raster.js";
import { onThemeChange, readTheme } from "./theme.js";
import { whole } from "./viewport.js";

const SIDE = 72; // CSS pixels
const GAP = 100; // ms between two drawings

export class MiniMap {
  /** @param {Runs} runs @param {() => void} onOpen */
  constructor(runs, onOpen) {
    this.runs = runs;
    this.title = "";
    /** @type {import("./raster.js").Raster | null} */
    this.raster = null;
    this.shown = "";
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.hidden = true;
    this.canvas = document.createElement("canvas");
    this.words = document.createElement("span");
    this.button.append(this.canvas, this.words);
    this.button.addEventListener("click", onOpen);
    this.expand(false);
    this.drawSoon = atMostEvery(
      GAP,
      atLeisure(() => this.draw()),
    );
    runs.subscribe((/** @type {string} */ kind) => kind !== "selection" && this.drawSoon());
    /** @type {PageTheme | null} */
    this.theme = null; // to read it is dear
    onThemeChange(() => {
      this.theme = null;
      this.drawSoon();
    });
  }

  /** @param {string} title */
  name(title) {
    this.title = title;
  }

  /** @param {boolean} open */
  expand(open) {
    this.button.setAttribute("aria-expanded", String(open));
  }

  draw() {
    const { runs, canvas, button } = this;
    const count = runs.drawable;
    setHidden(button, count === 0);
    if (count === 0 || !button.isConnected) return;
    this.theme ??= readTheme(button);
    const { theme } = this;
    const looked = `${runs.run?.id} ${runs.key} ${runs.splits} ${theme.colors.card}`;
    if (looked !== this.shown) this.raster = null;
    this.shown = looked;
    setText(this.words, `Attention, ${titleOf(runs.look).replace("One head: ", "")}`);
    const size = Math.round(SIDE * Math.max(1, devicePixelRatio));
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const context = penOf(canvas);
    const span = spanOf(count, runs.running);
    context.clearRect(0, 0, size, size);
    context.fillStyle = theme.colors.masked;
    context.fillRect(0, 0, (size * count) / span, (size * count) / span);
    const window = whole(span);
    /** @param {number} i */
    const levelsOf = (i) => {
      const row = runs.shownRow(i);
      return { levels: indexRow(row, runs.scale, new Uint8Array(row.length)), first: 0 };
    };
    const shift = runs.splits ? 1 : 0;
    this.raster = fill(this.raster, {
      span,
      window,
      limit: 64,
      pixels: theme.pixels,
      shift,
      count,
      levelsOf,
    });
    this.raster.drawOn(context, window, 0, 0, size);
  }
}
