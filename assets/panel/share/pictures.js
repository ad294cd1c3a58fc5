// The map looked at as a picture: all of it, with its title and its scale.

import { rampColors, indexOf, SCALES, themeOf } from "../map/color.js";
import { planOf, xOf, yOf } from "../map/geometry.js";
import { AttentionMap } from "../map/map.js";
import { CAPTION, sizeOf, textOf } from "../map/map_labels.js";
import { viewOf } from "../map/map_panel.js";
import { offWords, titleOf } from "../store/map_view.js";
import { whole } from "../map/viewport.js";

const SIDE = 900; // CSS pixels
const EDGE = 24;
const HEAD = 44; // for the title
const FOOT = 56; // for the scale

function drawn(runs, theme, ratio) {
  const span = runs.drawable;
  const map = new AttentionMap(document.createElement("canvas"));
  const view = viewOf(runs, whole(span), span, SIDE, theme, ratio);
  const picked = runs.pick ? view.selection : { query: -1, key: null };
  map.draw({ ...view, selection: picked });
  return { map, view };
}

/** Twice as fine as the screen. @returns {Promise<Blob>} */
export async function asPng(runs, theme, ratio = 2) {
  const { map } = drawn(runs, theme, ratio);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [(SIDE + 2 * EDGE) * ratio, (SIDE + HEAD + FOOT + EDGE) * ratio];
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.fillStyle = theme.colors.card;
  c.fillRect(0, 0, canvas.width, canvas.height);
  c.drawImage(map.canvas, EDGE, HEAD, SIDE, SIDE);
  c.fillStyle = theme.colors.ink;
  c.font = `600 17px ${theme.sans}`;
  c.fillText(captionOf(runs), EDGE, 29);
  drawScale(c, runs, theme);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function drawScale(c, runs, theme) {
  const top = HEAD + SIDE + 14;
  rampColors(themeOf(document.body)).forEach((rgb, x) => {
    c.fillStyle = `rgb(${rgb.join(",")})`;
    c.fillRect(EDGE + x, top, 1.5, 10);
  });
  c.fillStyle = theme.colors.quiet;
  c.font = `12px ${theme.sans}`;
  for (const mark of SCALES[runs.scale].marks)
    c.fillText(String(mark), EDGE + indexOf(mark, runs.scale), top + 26);
  c.fillText(words(runs), EDGE + 290, top + 10);
}

/** What the picture is of: model, seed, map, heads that were off. */
export function captionOf({ run, look }) {
  const { status } = run;
  const text = status
    ? `GPT-2 ${status.size ?? ""}, seed ${status.stats?.seed ?? "–"}`
    : "GPT-2, example";
  const off = offWords(status);
  return `${titleOf(look)} · ${text} · ${run.rowCount} tokens${off && ` · ${off}`}`;
}

function words(runs) {
  const apart = runs.splits ? "; first token separate, the rest rescaled to 100 %" : "";
  return `${SCALES[runs.scale].name}; rows read from columns${apart}`;
}

/** Text stays text; the cells are one picture inside, a pixel a cell. */
export function asSvg(runs, theme) {
  const { map, view } = drawn(runs, theme, 1);
  const plan = planOf(SIDE, view.window, view.split);
  const { raster } = map;
  const { colors } = theme;
  const [right, bottom] = [xOf(plan, view.count), yOf(plan, view.count)];
  const scale = plan.cell * raster.pool;
  const image = (canvas, x, width) =>
    `<image href="${canvas.toDataURL("image/png")}" x="${x}" y="${plan.gutter}" width="${width}" ` +
    `height="${canvas.height * scale}" preserveAspectRatio="none" style="image-rendering:pixelated"/>`;
  const parts = [
    `<rect width="100%" height="100%" fill="${colors.card}"/>`,
    `<text x="${EDGE}" y="29" font-size="17" font-weight="600" fill="${colors.ink}">${escaped(captionOf(runs))}</text>`,
    `<g transform="translate(${EDGE} ${HEAD})">`,
    `<polygon fill="${colors.masked}" points="${plan.left},${plan.gutter} ${right},${plan.gutter} ${right},${bottom} ${plan.left},${yOf(plan, plan.shift)}"/>`,
    image(raster.canvas.canvas, plan.left, raster.side * scale),
    view.split ? image(raster.strip.canvas, plan.gutter, plan.strip) : "",
    ...labels(plan, view, colors),
    "</g>",
    ...ramp(runs, theme),
  ];
  return (
    `<svg xmlns="http:` +
    `//www.w3.org/2000/svg" width="${SIDE + 2 * EDGE}" height="${SIDE + HEAD + FOOT + EDGE}" ` +
    `font-family="sans-serif">${parts.join("")}</svg>`
  );
}

function labels(plan, { count, tokens }, colors) {
  const size = plan.labelled ? sizeOf(plan) : 10;
  const step = plan.labelled ? 1 : plan.tick;
  const style = `font-family="monospace" font-size="${size}" fill="${colors.quiet}" dominant-baseline="central"`;
  const text = (i) => escaped(plan.labelled ? textOf(plan, tokens, i) : String(i));
  const out = CAPTION.map(
    (words, line) =>
      `<text y="${10 + 13 * line}" font-size="10" fill="${colors.quiet}">${words}</text>`,
  );
  for (let i = 0; i < count; i += step) {
    out.push(
      `<text x="${plan.gutter - 5}" y="${yOf(plan, i + 0.5)}" text-anchor="end" ${style}>${text(i)}</text>`,
    );
    if (i < plan.shift) continue;
    const x = xOf(plan, i + 0.5);
    out.push(
      `<text transform="translate(${x} ${plan.gutter - 5}) rotate(-90)" ${style}>${text(i)}</text>`,
    );
  }
  return out;
}

function ramp(runs, theme) {
  const top = HEAD + SIDE + 14;
  const colors = rampColors(themeOf(document.body));
  const bars = colors.map(
    (rgb, x) => `<rect x="${EDGE + x}" y="${top}" width="1.5" height="10" fill="rgb(${rgb})"/>`,
  );
  const style = `font-size="12" fill="${theme.colors.quiet}"`;
  const marks = SCALES[runs.scale].marks.map(
    (mark) =>
      `<text x="${EDGE + indexOf(mark, runs.scale)}" y="${top + 26}" ${style}>${mark}</text>`,
  );
  return [
    ...bars,
    ...marks,
    `<text x="${EDGE + 290}" y="${top + 10}" ${style}>${escaped(words(runs))}</text>`,
  ];
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.codePointAt(0)};`);
}
