// The map with its window: what part of the text it shows, and what pointer and keys do to it.

import { setHidden } from "../gradio/dom.js";
import { cellAt, moved, spanOf } from "./geometry.js";
import { AttentionMap } from "./map.js";
import { listenToPointer } from "./map_pointer.js";
import { Minimap } from "./overview_map.js";
import { mostRead } from "./reading.js";
import { isWhole, kept, panned, revealing, whole, zoomed } from "./viewport.js";

const STEP = 1.5; // a press of plus

export class MapPanel {
  /** @param {() => void} redraw asks for a frame */
  constructor(parts, runs, redraw) {
    this.parts = parts;
    this.runs = runs;
    this.redraw = redraw;
    this.map = new AttentionMap(parts.map, parts.over);
    this.minimap = new Minimap(parts.minimap, (x, y) => this.centre(x, y));
    this.width = 0; // CSS pixels; 0 in a tab or panel that is not open
    this.stand = null; // {key, count, splits, row(i), shownRow(i)}: rows that are drawn instead
    listenToPointer(parts.map, this);
    parts.map.addEventListener("keydown", (event) => this.key(event));
    parts.nearer.addEventListener("click", () => this.zoom(STEP));
    parts.farther.addEventListener("click", () => this.zoom(1 / STEP));
    parts.all.addEventListener("click", () => this.showAll());
  }

  get window() {
    return this.runs.window;
  }

  get span() {
    return spanOf(this.runs.drawable, this.runs.running);
  }

  get shown() {
    return this.window ? kept(this.window, this.span) : whole(this.span);
  }

  /** Another text, map or scale: what is drawn is worth nothing. */
  reset(another) {
    this.map.reset();
    if (another) this.runs.beginWindow();
  }

  draw(theme) {
    const { parts, runs, span, width } = this;
    const window = this.shown;
    if (width === 0) return 1;
    const view = { ...viewOf(runs, window, span, width, theme), ...this.instead() };
    this.map.draw(view);
    const zoomedIn = !isWhole(window, span);
    setHidden(parts.all, !zoomedIn);
    parts.nearer.disabled = runs.drawable < 9;
    parts.farther.disabled = !zoomedIn;
    parts.map.classList.toggle("zoomed", zoomedIn);
    this.minimap.draw(zoomedIn ? view : null, this.map.plan.gutter);
    return this.map.raster?.pool ?? 1;
  }

  instead() {
    const { stand } = this;
    if (!stand) return {};
    const { key, count, splits } = stand;
    return { key, count, split: splits, rowOf: stand.row, shownOf: stand.shownRow };
  }

  // --- what the reader does -------------------------------------------------------------------

  cell(x, y) {
    return cellAt(this.map.plan, x, y, this.runs.drawable);
  }

  /** The point of the text under a point of the canvas. */
  place(x, y) {
    const { left, gutter, cell, window } = this.map.plan;
    return { x: window.x + (x - left) / cell, y: window.y + (y - gutter) / cell };
  }

  /** `factor` times as near, about a point of the text, else about the selection. */
  zoom(factor, about = null) {
    const { selection } = this.runs;
    const query = Math.max(0, selection.query);
    const point = about ?? { x: (selection.key ?? query / 2) + 0.5, y: query + 0.5 };
    const next = zoomed(this.shown, factor, point, this.span);
    this.look(
      isWhole(next, this.span) ? null : about ? next : revealing(next, selection, this.span),
    );
  }

  pan(dx, dy) {
    const { cell } = this.map.plan;
    if (this.window) this.look(panned(this.shown, dx / cell, dy / cell, this.span));
  }

  centre(x, y) {
    const { size } = this.shown;
    this.look(kept({ x: x - size / 2, y: y - size / 2, size }, this.span));
  }

  showAll() {
    this.look(null);
  }

  look(window) {
    this.runs.zoom(window);
    this.redraw();
  }

  key(event) {
    const { runs } = this;
    if (event.key === "Escape") return runs.select(null);
    if (event.ctrlKey || event.metaKey || event.altKey || runs.drawable === 0) return;
    const zoom = { "+": STEP, "=": STEP, "-": 1 / STEP, _: 1 / STEP }[event.key];
    if (zoom) this.zoom(zoom);
    else if (event.key === "0") this.showAll();
    else if (!this.move(event.key)) return;
    event.preventDefault();
  }

  move(name) {
    const { runs } = this;
    const { query, key } = runs.selection;
    const row = Math.min(query, runs.drawable - 1);
    const from = { query: row, key: key ?? mostRead(runs.row(row), runs.splits) };
    const next = moved(from, name, runs.drawable);
    if (next === null) return false;
    if (this.window) this.runs.window = revealing(this.shown, next, this.span);
    runs.select(next);
    return true;
  }
}

/** What a map is drawn from. */
export function viewOf(runs, window, span, width, theme, ratio = Math.max(1, devicePixelRatio)) {
  return {
    width,
    ratio,
    span,
    window,
    key: `${runs.run?.id} ${runs.key}`,
    count: runs.drawable,
    split: runs.splits,
    scale: runs.scale,
    rowOf: (i) => runs.row(i),
    shownOf: (i) => runs.shownRow(i),
    tokens: runs.run?.tokens.items ?? [],
    selection: runs.selection,
    ...theme,
  };
}
