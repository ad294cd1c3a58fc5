// Attention weight to colour: one ramp per theme, monotone in lightness, and how weights lie on it.

export const RAMPS = {
  light: ["#f7f7f3", "#c9dbe8", "#7faacc", "#2d6ca3", "#092c58"],
  dark: ["#1b1d22", "#1f456b", "#2f7cb0", "#74b8a0", "#fae082"],
};

const LOG_FROM = 1e-3; // below, a log scale shows nothing

/**
 * Scales: `place` puts a weight 0 to 1 on the ramp 0 to 1, `marks` are worth a number there.
 * "row" is linear in the share of a row's own largest weight.
 * @type {Record<string, { name: string, place: (weight: number) => number, marks: number[] }>}
 */
export const SCALES = {
  sqrt: { name: "√ weight", place: Math.sqrt, marks: [0, 0.05, 0.25, 0.5, 1] },
  linear: {
    name: "linear",
    place: (/** @type {number} */ weight) => weight,
    marks: [0, 0.25, 0.5, 0.75, 1],
  },
  log: {
    name: "log",
    place: (/** @type {number} */ weight) =>
      Math.max(0, 1 - Math.log(Math.max(weight, LOG_FROM)) / Math.log(LOG_FROM)),
    marks: [0.001, 0.01, 0.1, 1],
  },
  row: {
    name: "per-row maximum",
    place: (/** @type {number} */ weight) => weight,
    marks: [0, 0.25, 0.5, 0.75, 1],
  },
};

const FINE = 4096;
/** @type {Record<string, Uint8Array>} */
const tables = {};

// Weights in steps of 1/4096, finer towards 0: table[round(4096 sqrt(weight))] is a ramp index.
/** @param {string} scale */
function tableOf(scale) {
  tables[scale] ??= Uint8Array.from({ length: FINE + 1 }, (_, i) =>
    Math.round(255 * SCALES[scale].place((i / FINE) ** 2)),
  );
  return tables[scale];
}

/**
 * The ramp index 0 to 255 of every weight of a row, into `out`.
 * @param {Weights} row
 * @param {string} scale
 * @param {Uint8Array} out
 */
export function indexRow(row, scale, out) {
  const table = tableOf(scale);
  let most = 1;
  if (scale === "row") {
    most = 1e-9;
    for (const weight of row) if (weight > most) most = weight;
  }
  for (let j = 0; j < row.length; j++) {
    out[j] = table[Math.round(FINE * Math.sqrt(Math.min(1, row[j] / most)))];
  }
  return out;
}

/**
 * The same for one weight.
 * @param {number} weight
 * @param {string} scale
 */
export function indexOf(weight, scale) {
  return tableOf(scale)[Math.round(FINE * Math.sqrt(Math.min(1, Math.max(0, weight))))];
}

/** @param {HTMLElement} body */
export function themeOf(body) {
  return body.classList.contains("dark") ? "dark" : "light";
}

// 256 colours as [r, g, b], mixed in OKLab so that equal steps look equal.
/** @param {ThemeName} theme */
export function rampColors(theme) {
  const stops = RAMPS[theme].map((hex) => toOklab(parse(hex)));
  return Array.from({ length: 256 }, (_, byte) => {
    const place = (byte / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    const mixed = stops[low].map((v, c) => v + (stops[low + 1][c] - v) * (place - low));
    return fromOklab(mixed);
  });
}

// The same as opaque pixels for a Uint32Array over ImageData (little-endian RGBA).
/** @param {ThemeName} theme */
export function rampPixels(theme) {
  return Uint32Array.from(rampColors(theme), ([r, g, b]) => 0xff000000 + b * 65536 + g * 256 + r);
}

/** @param {string} hex */
function parse(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** @param {number[]} rgb */
function toOklab(rgb) {
  const [r, g, b] = rgb.map((v) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {number[]} pair */
function fromOklab([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((v) => {
    const s1 = v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(1, Math.max(0, s1)));
  });
}

/**
 * Whether black is read better than white on a colour: one of them has 4.5:1 on any.
 * @param {number} r
 * @param {number} g
 * @param {number} b
 */
export function darkOn(r, g, b) {
  const [red, green, blue] = [r, g, b].map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  // Where the contrasts with both are the same.
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}
