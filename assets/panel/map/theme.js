// The colours a canvas needs, read from the page's tokens, and news when the theme changes.

import { rampPixels, themeOf } from "./color.js";

const NAMES = {
  card: "--card",
  ink: "--ink",
  quiet: "--quiet",
  accent: "--accent",
  warm: "--warm",
  masked: "--masked",
  maskedLine: "--masked-line",
};

/** @param {HTMLElement} element */
export function readTheme(element) {
  const style = getComputedStyle(element);
  /** @type {any} */
  const colors = {};
  for (const [name, token] of Object.entries(NAMES))
    colors[name] = style.getPropertyValue(token).trim();
  colors.maskedPixel = pixelOf(colors.masked);
  const [mono, sans] = ["--mono", "--sans"].map((name) => style.getPropertyValue(name));
  return { colors, pixels: rampPixels(themeOf(document.body)), mono, sans };
}

// "#rrggbb" as an opaque pixel of a Uint32Array over ImageData.
/** @param {string} color */
function pixelOf(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
}

/** @param {() => void} callback */
export function onThemeChange(callback) {
  let theme = themeOf(document.body);
  new MutationObserver(() => {
    const now = themeOf(document.body);
    if (now === theme) return;
    theme = now;
    callback();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
}
