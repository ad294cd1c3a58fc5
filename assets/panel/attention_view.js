// The Attention panel: the map of one head, its legend and readout, the list, all heads small.

import { LEGEND, rampColors, themeOf } from "./color.js";
import { atMostEvery, linkLabels, partsOf, perFrame, setText, whileMounted } from "./dom.js";
import { offerFullScreen } from "./full_screen.js";
import { cellAt, moved, spanOf } from "./geometry.js";
import { AttentionMap } from "./map.js";
import { Pickers } from "./pickers.js";
import { sentence, strongest } from "./reading.js";
import { ReadsTable } from "./reads_table.js";
import { runsOf } from "./runs.js";
import { onThemeChange, readTheme } from "./theme.js";
import { Thumbnails } from "./thumbnails.js";

const EMPTY = "What each token reads from is drawn here, one row per token.";
const CALM = 100; // ms between two lists of numbers: faster nobody reads
const THUMBS = 100; // ms between two drawings of all heads

export function mount(element, props, watch, server) {
  const runs = runsOf(props.channel);
  runs.connect(server);
  linkLabels(element);
  const view = new AttentionView(partsOf(element), runs);
  whileMounted(element, runs, (kind) => view.hear(kind));
  watch("value", () => runs.takeAttention(props.value));
  runs.takeAttention(props.value);
  view.hear("view");
  return view;
}

export class AttentionView {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.map = new AttentionMap(parts.map);
    this.pickers = new Pickers(parts, runs);
    this.table = new ReadsTable(parts);
    this.thumbnails = new Thumbnails(parts.heads, (head) => runs.chooseHead(head));
    this.drawSoon = perFrame(() => this.draw());
    this.readSoon = atMostEvery(CALM, () => this.read());
    this.thumbsSoon = atMostEvery(THUMBS, () => this.drawThumbs());
    this.shown = {};
    this.dress();
    this.listen();
  }

  hear(kind) {
    if (kind === "trouble") return setText(this.parts.trouble, this.runs.trouble);
    this.drawSoon();
    if (kind === "selection") this.announce();
    if (kind === "rows" || kind === "tokens") this.readSoon();
    else this.readSoon(true);
    if (kind !== "selection") this.thumbsSoon();
  }

  // --- drawing --------------------------------------------------------------------------------

  draw() {
    const { runs, parts } = this;
    const { run } = runs;
    this.refresh();
    const count = runs.drawable;
    if (run?.layers) this.pickers.show(runs);
    parts.example.hidden = !run?.example;
    const asked = run?.layers && runs.trouble === "";
    parts.empty.hidden = count > 0 || !(asked || run === null);
    setText(parts.empty, asked ? `Reading the text again in layer ${runs.layer + 1}.` : EMPTY);
    this.map.draw({
      width: parts.stage.clientWidth,
      ratio: Math.max(1, devicePixelRatio),
      span: spanOf(count, runs.running),
      count,
      rowOf: (i) => runs.row(i),
      tokens: run?.tokens.items ?? [],
      selection: runs.selection,
      ...this.theme,
    });
    const pool = this.map.raster?.pool ?? 1;
    setText(parts.pooled, pool > 1 && count ? `a dot is the largest of ${pool} × ${pool}` : "");
  }

  // Rows drawn so far belong to one run, layer and head.
  refresh() {
    const { run, layer, head } = this.runs;
    const now = { run: run?.id, layer, head };
    const before = this.shown;
    this.shown = now;
    if (before.run !== now.run || before.layer !== layer) this.thumbnails.reset();
    else if (before.head === head) return;
    this.map.reset();
  }

  drawThumbs() {
    const { runs } = this;
    if (!runs.run?.layers) return;
    this.refresh();
    this.thumbnails.setHeads(runs.run.heads);
    this.thumbnails.mark(runs.head);
    this.thumbnails.draw({
      count: runs.drawable,
      growing: runs.running,
      ratio: Math.max(1, devicePixelRatio),
      rowOf: (i, head) => runs.row(i, head),
      ...this.theme,
    });
  }

  // The numbers: readout and list.
  read() {
    const { runs, parts } = this;
    const { selection } = runs;
    const tokens = runs.run?.tokens.items ?? [];
    const row = runs.row(selection.query);
    const text = sentence(tokens, selection, row);
    setText(parts.readout, text);
    parts.map.setAttribute("aria-label", `Attention map, ${runs.drawable} rows. ${text}`);
    this.table.show({
      tokens, row, query: selection.query, rowOf: (i) => runs.row(i), count: runs.drawable,
    });
  }

  // Spoken only for a choice, never for what passes under the pointer or arrives by itself.
  announce() {
    const { runs } = this;
    if (runs.hover) return;
    const { pick, run } = runs;
    const row = pick && runs.row(pick.query);
    const words = pick ? sentence(run.tokens.items, { ...runs.selection }, row) : "Following the newest row";
    setText(this.parts.live, words);
  }

  // Everything that depends on the theme.
  dress() {
    const { parts } = this;
    this.theme = readTheme(parts.stage);
    this.map.mono = this.theme.mono;
    const context = parts.ramp.getContext("2d");
    rampColors(themeOf(document.body)).forEach((rgb, x) => {
      context.fillStyle = `rgb(${rgb.join(",")})`;
      context.fillRect(x, 0, 1, 1);
    });
    const marks = LEGEND.map((weight) => {
      const mark = document.createElement("span");
      mark.style.left = `${100 * Math.sqrt(weight)}%`;
      mark.textContent = String(weight);
      return mark;
    });
    parts.marks.replaceChildren(...marks);
  }

  // --- what the reader does -------------------------------------------------------------------

  listen() {
    const { map, figure, full, stage } = this.parts;
    map.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.runs.point(this.cell(event));
    });
    map.addEventListener("pointerleave", () => this.runs.point(null));
    map.addEventListener("click", (event) => {
      const cell = this.cell(event);
      if (cell) this.runs.select(cell);
    });
    map.addEventListener("keydown", (event) => this.key(event));
    offerFullScreen(figure, full, () => this.drawSoon());
    new ResizeObserver(() => this.drawSoon()).observe(stage);
    onThemeChange(() => {
      this.dress();
      this.drawSoon();
      this.thumbsSoon(true);
    });
  }

  cell(event) {
    const box = this.parts.map.getBoundingClientRect();
    return cellAt(this.map.plan, event.clientX - box.left, event.clientY - box.top, this.runs.drawable);
  }

  key(event) {
    const { runs } = this;
    if (event.key === "Escape") return runs.select(null);
    if (event.ctrlKey || event.metaKey || event.altKey || runs.drawable === 0) return;
    const { query, key } = runs.selection;
    const row = Math.min(query, runs.drawable - 1);
    const from = { query: row, key: key ?? strongest(runs.row(row), 1)[0].index };
    const next = moved(from, event.key, runs.drawable);
    if (next === null) return;
    event.preventDefault();
    runs.select(next);
  }
}
