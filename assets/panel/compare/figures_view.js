// The table of a comparison, its picture, and both as files.

import { bytes, csvOf } from "../gradio/formats.js";
import { linkLabels, partsOf, setText } from "../gradio/dom.js";
import { saveFile } from "../text/keep_text.js";
import { drawPlot, pictureOf } from "./plot.js";
import { onThemeChange } from "../map/theme.js";

const unknown = (value, text) => (value === null || value === undefined ? "–" : text(value));
const millions = (count) =>
  `${(count / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} M`;

// Few tokens make a rough number: half of its 95 % interval stands beside it.
function speedOf({ speed, speed_error: error }) {
  const digits = speed < 10 ? 1 : 0;
  const range =
    error === null || error === undefined ? "" : ` ± ${error.toFixed(error < 10 ? 1 : 0)}`;
  return unknown(speed, (v) => v.toFixed(digits)) + range;
}

export const COLUMNS = [
  { key: "title", name: "Size", show: (row) => row.title },
  { key: "parameters", name: "Parameters", show: (row) => millions(row.parameters) },
  { key: "layers", name: "Layers", show: (row) => String(row.layers) },
  { key: "heads", name: "Heads", show: (row) => String(row.heads) },
  { key: "width", name: "Width", show: (row) => row.width.toLocaleString("en") },
  { key: "file", name: "File", show: (row) => bytes(row.file) },
  { key: "memory", name: "Memory", show: (row) => bytes(row.memory) },
  { key: "precision", name: "Precision", show: (row) => row.precision },
  { key: "speed", name: "Tokens/s", show: speedOf },
  {
    key: "first",
    name: "First token",
    show: (row) => unknown(row.first, (v) => `${Math.round(1000 * v)} ms`),
  },
  {
    key: "bits_per_byte",
    name: "Bits per byte of the prompt",
    show: (row) => unknown(row.bits_per_byte, (v) => v.toFixed(4)),
  },
];

const PLOTS = [
  {
    key: "bits_per_byte",
    title: "Bits per byte of the prompt",
    hint: "lower is better",
    format: (v) => v.toFixed(3),
  },
  {
    key: "speed",
    title: "Tokens per second",
    hint: "higher is faster; the bar is the 95 % range",
    zero: true,
    format: (_, row) => speedOf(row),
    error: (row) => row.speed_error,
  },
];

export function mount(element, props, watch) {
  linkLabels(element);
  const view = new FiguresView(partsOf(element));
  watch("value", () => view.take(props.value));
  view.take(props.value);
  return view;
}

export class FiguresView {
  constructor(parts) {
    this.parts = parts;
    this.rows = [];
    parts.head.append(...COLUMNS.map(({ name }) => cellOf("th", name, "col")));
    parts.csv.addEventListener("click", () =>
      saveFile(tableOf(this.rows), "gpt2-sizes.csv", "text/csv"),
    );
    parts.json.addEventListener("click", () => {
      saveFile(JSON.stringify(this.rows, null, 2), "gpt2-sizes.json", "application/json");
    });
    parts.picture.addEventListener("click", () => {
      saveFile(pictureOf(parts.plots), "gpt2-sizes.svg", "image/svg+xml");
    });
    onThemeChange(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(parts.plots);
  }

  take(value) {
    if (!value?.rows) return;
    this.rows = value.rows;
    this.parts.all.hidden = false;
    const rows = this.rows.map((row) => {
      const line = document.createElement("tr");
      line.append(
        ...COLUMNS.map(({ show }, at) =>
          at ? cellOf("td", show(row)) : cellOf("th", show(row), "row"),
        ),
      );
      return line;
    });
    this.parts.rows.replaceChildren(...rows);
    this.draw();
  }

  draw() {
    const { plots } = this.parts;
    const width = Math.min(560, Math.max(300, plots.clientWidth));
    const drawn = PLOTS.flatMap((plot) => {
      const points = this.rows
        .filter((row) => row[plot.key] !== null && row[plot.key] !== undefined)
        .filter((row) => !plot.error || plot.error(row) !== null) // of two tokens no speed can be told
        .map((row) => ({
          x: row.parameters,
          y: row[plot.key],
          name: row.title,
          label: plot.format(row[plot.key], row),
          ...(plot.error && {
            low: Math.max(0, row[plot.key] - plot.error(row)),
            high: row[plot.key] + plot.error(row),
          }),
        }));
      return points.length > 1
        ? [drawPlot({ ...plot, points, width, style: getComputedStyle(plots) })]
        : [];
    });
    plots.replaceChildren(...drawn);
    this.parts.picture.hidden = drawn.length === 0;
  }
}

function cellOf(kind, text, scope) {
  const cell = document.createElement(kind);
  if (scope) cell.scope = scope;
  setText(cell, text);
  return cell;
}

// Numbers as they were measured, not as they are shown.
export function tableOf(rows) {
  const keys = Object.keys(rows[0] ?? {});
  return csvOf([keys, ...rows.map((row) => keys.map((key) => row[key]))]);
}
