// A picture of layers times tokens with words in its cells. Drawn are the cells in sight, so a text
// of any length scrolls; both axes stay labelled.

import { darkOn } from "../map/color.js";
import { perFrame, setText } from "../gradio/dom.js";
import { made } from "./question.js";
import { labelOf, shorten } from "../text/token_label.js";

const CELL = { width: 78, height: 24 }; // CSS pixels
const LEFT = 46;
const TOP = 26;

/**
 * @typedef {{share: number|null, text: string, words: string}} Cell share: 0 to 1, null where
 * nothing was measured; words: the cell in a sentence
 * @typedef {{columns: any[], first: number, rows: string[], cell: (row: number, column: number) => Cell, name: string}} Grid
 * columns: tokens, the first of them at place `first`
 */

export class GridMap {
  /** @param {(place: number) => void} onPick is told which column was chosen */
  constructor(onPick) {
    this.onPick = onPick;
    /** @type {Grid|null} */
    this.grid = null;
    this.theme = null;
    this.at = null; // {row, column} under the pointer or chosen by key
    this.selected = -1; // the column that is selected elsewhere
    this.canvas = made("canvas", { "aria-hidden": "true" });
    this.space = made("div", { className: "grid-space" }, this.canvas);
    this.scroll = made(
      "div",
      {
        className: "grid-scroll",
        tabIndex: 0,
        role: "application",
        "aria-roledescription": "grid of layers and tokens",
      },
      this.space,
    );
    this.words = made("p", { className: "readout grid-words", role: "status" });
    this.drawSoon = perFrame(() => this.draw());
    this.listen();
  }

  /** @param {Grid|null} grid */
  show(grid, theme) {
    this.grid = grid;
    this.theme = theme;
    if (grid) {
      this.space.style.width = `${LEFT + grid.columns.length * CELL.width}px`;
      this.space.style.height = `${TOP + grid.rows.length * CELL.height}px`;
      this.scroll.setAttribute("aria-label", `${grid.name} Arrow keys move from cell to cell.`);
    }
    this.drawSoon();
  }

  /** Outline the column of a place, and bring it into sight. */
  select(place) {
    const { grid, scroll } = this;
    const column = grid ? place - grid.first : -1;
    if (column === this.selected) return;
    this.selected = column;
    if (grid && column >= 0 && column < grid.columns.length) {
      const x = column * CELL.width;
      const room = scroll.clientWidth - LEFT - CELL.width;
      if (x < scroll.scrollLeft) scroll.scrollLeft = x;
      else if (x > scroll.scrollLeft + room) scroll.scrollLeft = x - room;
    }
    this.drawSoon();
  }

  draw() {
    const { grid, canvas, scroll, theme } = this;
    const [width, height] = [scroll.clientWidth, scroll.clientHeight];
    if (!grid || !theme || !width || !height) return;
    const ratio = Math.max(1, devicePixelRatio);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = theme.colors.card;
    c.fillRect(0, 0, width, height);
    c.font = `12px ${theme.mono}`;
    c.textBaseline = "middle";
    const { scrollLeft: x0, scrollTop: y0 } = scroll;
    const columns = range(x0, width - LEFT, CELL.width, grid.columns.length);
    const rows = range(y0, height - TOP, CELL.height, grid.rows.length);
    clipped(c, LEFT, TOP, width - LEFT, height - TOP, () => {
      for (const row of rows) for (const column of columns) this.drawCell(c, row, column, x0, y0);
    });
    c.fillStyle = theme.colors.quiet;
    clipped(c, LEFT, 0, width - LEFT, TOP, () => {
      for (const column of columns) {
        c.fillStyle = column === this.selected ? theme.colors.ink : theme.colors.quiet;
        const label = shorten(labelOf(grid.columns[column]), 10);
        c.fillText(label, LEFT + column * CELL.width - x0 + 4, TOP / 2, CELL.width - 8);
      }
    });
    c.textAlign = "right";
    clipped(c, 0, TOP, LEFT, height - TOP, () => {
      for (const row of rows) {
        c.fillStyle = row === this.at?.row ? theme.colors.ink : theme.colors.quiet;
        c.fillText(grid.rows[row], LEFT - 6, TOP + (row + 0.5) * CELL.height - y0);
      }
    });
    c.textAlign = "left";
    this.outline(c, x0, y0, width, height);
  }

  drawCell(c, row, column, x0, y0) {
    const { grid, theme } = this;
    const { share, text } = grid.cell(row, column);
    const [x, y] = [LEFT + column * CELL.width - x0, TOP + row * CELL.height - y0];
    const [w, h] = [CELL.width - 1, CELL.height - 1];
    if (share === null) {
      c.fillStyle = theme.colors.masked;
      c.fillRect(x, y, w, h);
      return;
    }
    const pixel = theme.pixels[Math.round(255 * Math.min(1, Math.max(0, share)))];
    const [r, g, b] = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
    c.fillStyle = `rgb(${r} ${g} ${b})`;
    c.fillRect(x, y, w, h);
    c.fillStyle = darkOn(r, g, b) ? "#000000" : "#ffffff";
    c.fillText(shorten(text, 10), x + 4, y + h / 2 + 0.5, w - 8);
  }

  outline(c, x0, y0, width, height) {
    const { at, selected, theme, grid } = this;
    clipped(c, LEFT - 1, TOP - 1, width - LEFT + 1, height - TOP + 1, () => {
      c.strokeStyle = theme.colors.accent;
      c.lineWidth = 2;
      if (selected >= 0 && selected < grid.columns.length)
        c.strokeRect(
          LEFT + selected * CELL.width - x0 - 0.5,
          TOP - y0,
          CELL.width,
          grid.rows.length * CELL.height - 1,
        );
      if (!at) return;
      c.strokeStyle = theme.colors.ink;
      c.strokeRect(
        LEFT + at.column * CELL.width - x0 + 0.5,
        TOP + at.row * CELL.height - y0 + 0.5,
        CELL.width - 2,
        CELL.height - 2,
      );
    });
  }

  listen() {
    const { scroll } = this;
    const cellAt = (event) => {
      const box = scroll.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left - LEFT, event.clientY - box.top - TOP];
      if (x < 0 || y < 0 || !this.grid) return null;
      const column = Math.floor((x + scroll.scrollLeft) / CELL.width);
      const row = Math.floor((y + scroll.scrollTop) / CELL.height);
      return column < this.grid.columns.length && row < this.grid.rows.length
        ? { row, column }
        : null;
    };
    scroll.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    scroll.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.point(cellAt(event));
    });
    scroll.addEventListener("pointerleave", () => this.point(null));
    scroll.addEventListener("click", (event) => {
      const cell = cellAt(event);
      this.point(cell);
      if (cell) this.onPick(cell.column + this.grid.first);
    });
    scroll.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.drawSoon()).observe(scroll);
  }

  point(at) {
    if (at?.row === this.at?.row && at?.column === this.at?.column) return;
    this.at = at;
    setText(this.words, at ? this.grid.cell(at.row, at.column).words : "");
    this.drawSoon();
  }

  key(event) {
    const { grid } = this;
    if (!grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const { row, column } = this.at ?? {
      row: grid.rows.length - 1,
      column: Math.max(0, this.selected),
    };
    const next = {
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      Home: { row, column: 0 },
      End: { row, column: grid.columns.length - 1 },
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next.row = Math.min(Math.max(next.row, 0), grid.rows.length - 1);
    next.column = Math.min(Math.max(next.column, 0), grid.columns.length - 1);
    this.point(next);
    this.reveal(next);
    this.onPick(next.column + grid.first);
  }

  reveal({ row }) {
    const { scroll } = this;
    const y = row * CELL.height;
    const room = scroll.clientHeight - TOP - CELL.height;
    if (y < scroll.scrollTop) scroll.scrollTop = y;
    else if (y > scroll.scrollTop + room) scroll.scrollTop = y - room;
  }
}

function range(from, room, size, count) {
  const first = Math.max(0, Math.floor(from / size));
  const last = Math.min(count, Math.ceil((from + room) / size));
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
}

function clipped(c, x, y, width, height, draw) {
  c.save();
  c.beginPath();
  c.rect(x, y, width, height);
  c.clip();
  draw();
  c.restore();
}
