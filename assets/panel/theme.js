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

export function readTheme(element) {
  const style = getComputedStyle(element);
  const colors = {};
  for (const [name, token] of Object.entries(NAMES)) colors[name] = style.getPropertyValue(token).trim();
  return { colors, pixels: rampPixels(themeOf(document.body)), mono: style.getPropertyValue("--mono") };
}

export function onThemeChange(callback) {
  let theme = themeOf(document.body);
  new MutationObserver(() => {
    const now = themeOf(document.body);
    if (now === theme) return;
    theme = now;
    callback();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
}
