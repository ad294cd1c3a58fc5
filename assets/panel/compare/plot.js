// Size against a measured number, as SVG: parameters on a logarithmic scale, every point named.

import { penOf } from "../map/raster.js";

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 270;
const EDGE = { left: 52, right: 28, top: 64, bottom: 40 };
const FONT = "system-ui, sans-serif";
const letters = penOf(document.createElement("canvas"));

/**
 * @param {{title: string, hint: string, width: number, style: CSSStyleDeclaration, zero?: boolean,
 *   points: {x: number, y: number, low?: number, high?: number, name: string, label: string}[]}} plot
 *   low and high where y is uncertain; zero: whether the scale begins there
 */
export function drawPlot({ title, hint, points, zero, width, style }) {
  /** @param {string} name */
  const ink = (name) => style.getPropertyValue(name).trim();
  const colors = {
    ink: ink("--ink"),
    quiet: ink("--quiet"),
    line: ink("--line"),
    accent: ink("--accent"),
    card: ink("--card"),
  };
  const svg = node("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    width,
    height: HEIGHT,
    role: "img",
    "font-family": FONT,
  });
  svg.append(named("title", `${title}: ${points.map((p) => `${p.name} ${p.label}`).join(", ")}`));
  svg.append(node("rect", { width, height: HEIGHT, fill: colors.card }));
  svg.append(words(title, 0, 16, { fill: colors.ink, size: 14, weight: 600 }));
  svg.append(words(hint, 0, 34, { fill: colors.quiet, size: 12 }));
  const x = logScale(
    points.map((p) => p.x),
    EDGE.left + 14,
    width - EDGE.right - 14,
  );
  const values = points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y]);
  const y = linearScale(zero ? [0, ...values] : values, HEIGHT - EDGE.bottom, EDGE.top);
  for (const tick of y.ticks) {
    svg.append(
      node("line", {
        x1: EDGE.left,
        x2: width - EDGE.right,
        y1: y.at(tick),
        y2: y.at(tick),
        stroke: colors.line,
      }),
    );
    svg.append(
      words(y.format(tick), EDGE.left - 8, y.at(tick) + 4, {
        fill: colors.quiet,
        size: 12,
        anchor: "end",
      }),
    );
  }
  svg.append(
    words("parameters", width / 2, HEIGHT - 4, { fill: colors.quiet, size: 12, anchor: "middle" }),
  );
  const ordered = [...points].sort((a, b) => a.x - b.x);
  const path = ordered.map((p) => `${x.at(p.x).toFixed(1)},${y.at(p.y).toFixed(1)}`).join(" ");
  svg.append(
    node("polyline", {
      points: path,
      fill: "none",
      stroke: colors.accent,
      "stroke-width": 1.5,
      opacity: 0.5,
    }),
  );
  const places = ordered.map((point) => ({
    point,
    x: x.at(point.x),
    y: y.at(point.y),
    top: y.at(point.high ?? point.y),
    bottom: y.at(point.low ?? point.y),
  }));
  for (const place of places) {
    svg.append(...rangeOf(place, y, colors));
    svg.append(
      node("circle", {
        cx: place.x,
        cy: place.y,
        r: 5,
        fill: colors.accent,
        stroke: colors.card,
        "stroke-width": 2,
      }),
    );
  }
  svg.append(...labelsOf(places, colors, width));
  return svg;
}

// What a number that was measured a few times may as well be.
/**
 * @param {{point: {low?: number, high?: number}, x: number}} place
 * @param {any} y
 * @param {Record<string, string>} colors
 */
function rangeOf({ point: { low, high }, x }, y, colors) {
  if (low === undefined || high === undefined) return [];
  const [top, bottom] = [y.at(high), y.at(low)];
  /** @param {Record<string, any>} attributes */
  const line = (attributes) =>
    node("line", { stroke: colors.ink, "stroke-width": 1.5, class: "range", ...attributes });
  return [
    line({ x1: x, x2: x, y1: top, y2: bottom }),
    ...[top, bottom].map((end) => line({ x1: x - 6, x2: x + 6, y1: end, y2: end })),
  ];
}

// The name and number of every point, wherever around it less is covered. The size below the axis.
/**
 * @param {{ point: PlotPoint, x: number, y: number, top: number, bottom: number }[]} places
 * @param {Record<string, string>} colors
 * @param {number} width
 */
function labelsOf(places, colors, width) {
  const taken = places.map(({ x, y, top, bottom }) => ({
    from: x - 7,
    to: x + 7,
    top: Math.min(y - 7, top),
    bottom: Math.max(y + 7, bottom),
  }));
  /** @type {{ end: number, node: Element }[]} */
  const marks = []; // [end, node] of what stands under the axis
  const labels = places.map(({ point, x, y, top, bottom }) => {
    const text = `${point.name} ${point.label}`;
    const wide = widthOf(text, 600);
    const away = wide / 2 + 10;
    const beside = bottom - top > 14 ? [x + away, x - away] : []; // its range is longer than it
    const boxes = [x, x - wide / 2, x + wide / 2, ...beside].flatMap((wanted) => {
      const middle = Math.min(Math.max(wanted, EDGE.left + wide / 2), width - 4 - wide / 2);
      const sides = { middle, from: middle - wide / 2, to: middle + wide / 2 };
      return [y - 11, y + 20].map((base) => ({ ...sides, base, top: base - 11, bottom: base + 3 }));
    });
    const [best] = boxes.sort((a, b) => crowd(a, taken) - crowd(b, taken));
    taken.push(best);
    const mark = short(point.x);
    const half = widthOf(mark) / 2;
    if (x - half > (marks.at(-1)?.end ?? -Infinity) + 8) {
      const style = { fill: colors.quiet, size: 12, anchor: "middle" };
      marks.push({ end: x + half, node: words(mark, x, HEIGHT - EDGE.bottom + 17, style) });
    }
    return words(text, best.middle, best.base, {
      fill: colors.ink,
      size: 12,
      anchor: "middle",
      weight: 600,
      rim: colors.card,
    });
  });
  return [...marks.map((mark) => mark.node), ...labels];
}

// How much of a box is taken already, in square pixels; what leaves the plot counts as taken.
/** @param {Box} box @param {Box[]} taken */
function crowd(box, taken) {
  const outside =
    Math.max(0, EDGE.top - 16 - box.top) + Math.max(0, box.bottom - (HEIGHT - EDGE.bottom));
  const covered = taken.map((other) => {
    const across = Math.min(box.to, other.to) - Math.max(box.from, other.from);
    const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
    return across > 0 && down > 0 ? across * down : 0;
  });
  return covered.reduce((sum, area) => sum + area, outside * (box.to - box.from));
}

// How wide a text of 12 pixels is.
/** @param {string} text @param {number} [weight] */
function widthOf(text, weight = 400) {
  letters.font = `${weight} 12px ${FONT}`;
  return letters.measureText(text).width;
}

/** @param {number} count */
function short(count) {
  return count >= 1e9
    ? `${(count / 1e9).toFixed(1)} B`
    : `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} M`;
}

/** @param {number[]} values @param {number} from @param {number} to */
export function logScale(values, from, to) {
  const low = Math.log(Math.min(...values));
  const high = Math.log(Math.max(...values));
  /** @param {number} value */
  const at = (value) =>
    high > low ? from + ((Math.log(value) - low) / (high - low)) * (to - from) : (from + to) / 2;
  return { at };
}

// From 0, or, where the values lie close together far from it, from a round number below them.
/** @param {number[]} values @param {number} from @param {number} to */
export function linearScale(values, from, to) {
  const most = Math.max(...values);
  const least = Math.min(...values);
  const start = least > 0.6 * most ? least - (most - least) * 0.6 : 0;
  const step = roundStep((most - start || most || 1) / 4);
  const low = Math.floor((start || 0) / step) * step;
  const high = Math.max(low + step, Math.ceil(most / step - 1e-9) * step);
  const ticks = [];
  for (let tick = low; tick <= high + step / 2; tick += step)
    ticks.push(Number(tick.toPrecision(12)));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)); // so that no two marks read alike
  return {
    ticks,
    format: (/** @type {number} */ tick) => tick.toFixed(digits),
    at: (/** @type {number} */ value) => from + ((value - low) / (high - low)) * (to - from),
  };
}

/** @param {number} rough */
function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

// All plots below each other in one file, with the colours they have now.
/** @param {HTMLElement} box */
export function pictureOf(box) {
  const plots = [...box.querySelectorAll("svg")];
  const width = Math.max(...plots.map((plot) => Number(plot.getAttribute("width"))));
  const all = node("svg", {
    xmlns: NS,
    width,
    height: plots.length * HEIGHT,
    viewBox: `0 0 ${width} ${plots.length * HEIGHT}`,
  });
  plots.forEach((plot, at) => {
    const copy = /** @type {Element} */ (plot.cloneNode(true));
    copy.setAttribute("y", String(at * HEIGHT));
    all.append(copy);
  });
  return new XMLSerializer().serializeToString(all);
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function node(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** @param {string} name @param {string} text */
function named(name, text) {
  const made = node(name, {});
  made.textContent = text;
  return made;
}

/**
 * @param {string} text @param {number} x @param {number} y
 * @param {{fill: string, size: number, anchor?: string, weight?: number, rim?: string}} style rim: the
 *   ground's colour around the letters, where a line may pass behind them
 */
function words(text, x, y, { fill, size, anchor = "start", weight = 400, rim }) {
  const around = rim && {
    stroke: rim,
    "stroke-width": 4,
    "stroke-linejoin": "round",
    "paint-order": "stroke",
  };
  const made = node("text", {
    x,
    y,
    fill,
    "font-size": size,
    "text-anchor": anchor,
    "font-weight": weight,
    ...around,
  });
  made.textContent = text;
  return made;
}
