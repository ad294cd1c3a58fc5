// Draws all heads small: a row of thumbnails per layer, marks of their roles, the chosen one framed.

import { indexOf } from "../map/color.js";
import { penOf } from "../map/raster.js";
import { ROLES } from "../gradio/schema.js";

const GUTTER = { left: 24, top: 18 };
const GAP = 3;
const FRAME = 3; // how thick the chosen one's frame is
const MOST = 84; // CSS pixels a thumbnail is wide at most
const LEAST = 20; // below that fingers and eyes give up: the picture grows wider than its box
const LEVELS = 16;

/**
 * Where the thumbnails of `layers` x `heads` lie in a box `width` CSS pixels wide.
 * @param {number} width
 * @param {number} layers
 * @param {number} heads
 */
export function atlasPlan(width, layers, heads) {
  const step = Math.max(LEAST, Math.min(MOST, Math.floor((width - GUTTER.left) / heads)));
  return {
    ...GUTTER,
    step,
    layers,
    heads,
    cell: step - GAP,
    width: GUTTER.left + heads * step,
    height: GUTTER.top + layers * step,
  };
}

/**
 * The head under a point, or null between and around them.
 * @param {AtlasPlan} given
 * @param {number} x
 * @param {number} y
 */
export function headAt({ left, top, step, layers, heads }, x, y) {
  const [head, layer] = [Math.floor((x - left) / step), Math.floor((y - top) / step)];
  return head >= 0 && head < heads && layer >= 0 && layer < layers ? { layer, head } : null;
}

export class AtlasPicture {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = penOf(canvas);
    this.cells = penOf(document.createElement("canvas")); // a pixel a bin
    /** @type {ImageData | null} */
    this.image = null;
    this.painted = { of: "", count: 0 }; // what the cells show, and how many of its rows
    this.numbered = ""; // what the numbers along the edges were drawn from
  }

  /**
   * view: {plan, atlas, split, scale, pixels, colors, mono, ratio, look, roles, pointed, cursor}
   * @param {AtlasView} view
   */
  draw(view) {
    const { plan, ratio, atlas } = view;
    const { canvas, context: c } = this;
    const [width, height] = [Math.round(plan.width * ratio), Math.round(plan.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.style.width = `${plan.width}px`;
      canvas.style.height = `${plan.height}px`;
      this.numbered = "";
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawNumbers(view);
    c.clearRect(plan.left - FRAME, plan.top - FRAME, plan.width, plan.height);
    if (atlas.count > 0) this.drawCells(view);
    this.drawMarks(view);
    this.drawOff(view);
    this.drawFrame(view);
  }

  // Every head as side x side pixels, then all of them at once, blown up, and gaps drawn over.
  /** @param {AtlasView} given */
  drawCells({ plan, atlas, split, scale, pixels, colors, dim, roles }) {
    this.paint(plan, atlas, split, scale, pixels, colors.maskedPixel);
    const { cells, context: c } = this;
    const [width, height] = [plan.heads * plan.step, plan.layers * plan.step];
    c.imageSmoothingEnabled = false;
    c.drawImage(cells.canvas, plan.left, plan.top, width, height);
    c.fillStyle = colors.card;
    for (let h = 1; h <= plan.heads; h++)
      c.fillRect(plan.left + h * plan.step - GAP, plan.top, GAP, height);
    for (let l = 1; l <= plan.layers; l++)
      c.fillRect(plan.left, plan.top + l * plan.step - GAP, width, GAP);
    if (dim) this.dimOthers(plan, roles, dim, colors);
  }

  // Only the rows that have come since, unless everything looks different.
  /**
   * @param {AtlasPlan} given
   * @param {AtlasView["atlas"]} atlas
   * @param {boolean} split
   * @param {ScaleName} scale
   * @param {Uint32Array} pixels
   * @param {number} masked
   */
  paint({ layers, heads }, atlas, split, scale, pixels, masked) {
    atlas.settle();
    const { side, pool, id, count } = atlas;
    const across = heads * (side + (split ? 1 : 0));
    const of = [id, side, pool, split, scale, masked].join();
    if (this.painted.of !== of || this.image === null) {
      Object.assign(this.cells.canvas, { width: across, height: layers * side });
      this.image = this.cells.createImageData(across, layers * side);
      this.painted = { of, count: 0 };
    }
    const out = new Uint32Array(this.image.data.buffer);
    const from = Math.floor(this.painted.count / pool);
    const look = {
      atlas,
      heads,
      from,
      split,
      scale,
      masked,
      across,
      palette: paletteOf(scale, pixels),
    };
    for (let n = 0; n < layers * heads; n++) paintHead(out, n, look);
    this.cells.putImageData(this.image, 0, 0);
    this.painted.count = count;
  }

  /**
   * @param {AtlasPlan} plan
   * @param {any} roles
   * @param {RoleName | null} role
   * @param {PageTheme["colors"]} colors
   */
  dimOthers(plan, roles, role, colors) {
    const { context: c } = this;
    c.save();
    c.globalAlpha = 0.78;
    c.fillStyle = colors.card;
    for (let n = 0; n < plan.layers * plan.heads; n++) {
      if (roles?.role[n] === role) continue;
      const { x, y } = corner(plan, n);
      c.fillRect(x, y, plan.step, plan.step);
    }
    c.restore();
  }

  // Only when they change: text is slow to draw.
  /** @param {AtlasView} given */
  drawNumbers({ plan, colors, mono, look }) {
    const { context: c } = this;
    const now = [
      plan.step,
      plan.heads,
      plan.layers,
      look.layer,
      look.head,
      colors.quiet,
      mono,
    ].join();
    if (now === this.numbered) return;
    this.numbered = now;
    c.clearRect(0, 0, plan.width, plan.height);
    c.textBaseline = "middle";
    /**
     * @param {string} text
     * @param {number} x
     * @param {number} y
     * @param {boolean} chosen
     * @param {CanvasTextAlign} align
     */
    const write = (text, x, y, chosen, align) => {
      c.font = `${chosen ? "700 " : ""}11px ${mono}`;
      c.fillStyle = chosen ? colors.accent : colors.quiet;
      c.textAlign = align;
      c.fillText(text, x, y);
    };
    for (let h = 0; h < plan.heads; h++) {
      write(String(h + 1), plan.left + h * plan.step + plan.cell / 2, 8, h === look.head, "center");
    }
    for (let l = 0; l < plan.layers; l++) {
      write(
        String(l + 1),
        plan.left - 6,
        plan.top + l * plan.step + plan.cell / 2,
        l === look.layer,
        "right",
      );
    }
  }

  /** @param {AtlasView} given */
  drawMarks({ plan, roles, colors, mono }) {
    if (!roles) return;
    const { context: c } = this;
    const high = plan.cell >= 30 ? 13 : 9;
    c.font = `700 ${high - 3}px ${mono}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    roles.role.forEach((role, n) => {
      const mark = role === "" ? undefined : ROLES[role].mark;
      if (!mark) return;
      const { x, y } = corner(plan, n);
      c.fillStyle = colors.card;
      c.fillRect(x + plan.cell - high, y, high, high);
      c.fillStyle = colors.ink;
      c.fillText(mark, x + plan.cell - high / 2, y + high / 2 + 0.5);
    });
  }

  // A head that is off is crossed out.
  /** @param {AtlasView} given */
  drawOff({ plan, off, colors }) {
    const { context: c } = this;
    for (const [layer, head] of off ?? []) {
      const { x, y } = corner(plan, layer * plan.heads + head);
      c.globalAlpha = 0.78;
      c.fillStyle = colors.card;
      c.fillRect(x, y, plan.cell, plan.cell);
      c.globalAlpha = 1;
      c.strokeStyle = colors.warm;
      c.lineWidth = 2;
      c.beginPath();
      c.moveTo(x, y);
      c.lineTo(x + plan.cell, y + plan.cell);
      c.moveTo(x + plan.cell, y);
      c.lineTo(x, y + plan.cell);
      c.stroke();
    }
  }

  /** @param {AtlasView} given */
  drawFrame({ plan, look, used, pointed, colors }) {
    const { context: c } = this;
    /** @param {Head} given @param {string} color @param {number} thick */
    const frame = ({ layer, head }, color, thick) => {
      const { x, y } = corner(plan, layer * plan.heads + head);
      c.strokeStyle = color;
      c.lineWidth = thick;
      c.strokeRect(x - 1, y - 1, plan.cell + 2, plan.cell + 2);
    };
    if (pointed) frame(pointed, colors.quiet, 1.5);
    if (used) frame(look, colors.accent, FRAME);
  }
}

/** @param {AtlasPlan} given @param {number} n */
function corner({ left, top, step, heads }, n) {
  return { x: left + (n % heads) * step, y: top + Math.floor(n / heads) * step };
}

// The ramp's pixel for each of the 16 levels a bin can have.
/** @param {ScaleName} scale @param {Uint32Array} pixels */
function paletteOf(scale, pixels) {
  return Uint32Array.from(
    { length: LEVELS },
    (_, n) => pixels[indexOf((n / (LEVELS - 1)) ** 2, scale)],
  );
}

// Head n from its bins' row `from` on.
/**
 * @param {Uint32Array} out
 * @param {number} n
 * @param {{ atlas: AtlasView["atlas"], heads: number, from: number, split: boolean, scale: ScaleName, masked: number, across: number, palette: Uint32Array }} given
 */
function paintHead(out, n, { atlas, heads, from, split, scale, masked, across, palette }) {
  const { bins, side, rest, first } = atlas;
  const shift = split ? 1 : 0;
  const at = Math.floor(n / heads) * side * across + (n % heads) * (side + shift);
  for (let y = from; y < side; y++) {
    const row = (n * bins + y) * bins;
    const to = at + y * across;
    const sink = first[n * bins + y];
    if (split) out[to] = palette[sink];
    // Raw weights are the shares of the rest times what is left for it.
    const left = split ? 1 : Math.sqrt(Math.max(0, 1 - (sink / (LEVELS - 1)) ** 2));
    let most = split ? 1e-9 : sink;
    if (scale === "row") for (let x = 0; x <= y; x++) most = Math.max(most, rest[row + x] * left);
    const scaled = scale === "row" ? (LEVELS - 1) / Math.max(most, 1e-9) : 1;
    for (let x = 0; x < side; x++) {
      const level = x === 0 && !split ? Math.max(sink, rest[row] * left) : rest[row + x] * left;
      out[to + shift + x] =
        x > y ? masked : palette[Math.round(Math.min(LEVELS - 1, level * scaled))];
    }
  }
}
