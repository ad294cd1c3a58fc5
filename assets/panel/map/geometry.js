// Where things lie on the map: cell size, gutters, ticks, hit tests. Pure.
// The map shows a window of the text: {x, y, size}, in tokens. Shown apart, the first token has a
// strip of its own between the row labels and the cells, and columns begin with token 1.

const SPANS = [12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768];
const LABELLED = { gutter: 84, least: 9, strip: 22 };
const INDEXED = { gutter: 88, strip: 10 }; // room for the words of what is selected
const NARROW = 380; // CSS pixels, as on a phone
const NARROW_INDEXED = { gutter: 52, strip: 10 };
const GAP = 4;
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200];

/** @typedef {{x: number, y: number, size: number}} Window */

/**
 * While rows arrive the map grows in steps, so that it does not shrink a little at every token.
 * @param {number} count
 * @param {boolean} growing
 */
export function spanOf(count, growing) {
  if (!growing) return Math.max(count, 1);
  return SPANS.find((span) => span >= count) ?? Math.max(1024, count);
}

/**
 * The plan of a square map `width` CSS pixels wide. Labels need cells wide enough to read them.
 * @param {number} width
 * @param {Span} window
 * @param {boolean} [split]
 */
export function planOf(width, window, split = false) {
  /** @param {{ gutter: number, strip: number }} given */
  const roomFor = ({ gutter, strip }) =>
    Math.max(1, width - gutter - 1 - (split ? strip + GAP : 0));
  const labelled = roomFor(LABELLED) / window.size >= LABELLED.least;
  const { gutter, strip } = labelled ? LABELLED : width < NARROW ? NARROW_INDEXED : INDEXED;
  const side = roomFor({ gutter, strip });
  const cell = side / window.size;
  const left = width - 1 - side; // where the cells begin
  return {
    width,
    window,
    split,
    gutter,
    left,
    side,
    cell,
    labelled,
    strip: split ? strip : 0,
    shift: split ? 1 : 0,
    tick: tickOf(cell),
  };
}

// The closest round distance at which numbers do not touch.
/** @param {number} cell */
function tickOf(cell) {
  return TICKS.find((tick) => tick * cell >= 30) ?? 500;
}

/**
 * The left edge of a column, the top edge of a row: whole numbers are tokens.
 * @param {MapPlan} given
 * @param {number} key
 */
export function xOf({ left, shift, window, cell }, key) {
  return left + (key - shift - window.x) * cell;
}

/** @param {MapPlan} given @param {number} query */
export function yOf({ gutter, window, cell }, query) {
  return gutter + (query - window.y) * cell;
}

/**
 * The cell under a point, or null outside the rows there are. A key after its query is a cell too.
 * @param {MapPlan} plan
 * @param {number} x
 * @param {number} y
 * @param {number} count
 */
export function cellAt(plan, x, y, count) {
  const { gutter, left, shift, window, cell, strip, width } = plan;
  const query = Math.floor((y - gutter) / cell + window.y);
  if (y < gutter || query < 0 || query >= count || x > width) return null;
  if (x >= gutter && x < gutter + strip) return { query, key: 0 };
  const key = Math.floor((x - left) / cell + window.x) + shift;
  return x >= left && key >= shift && key < count ? { query, key } : null;
}

/**
 * Where an arrow key moves the selection, or null for any other key.
 * @param {Cell} given
 * @param {string} name
 * @param {number} count
 */
export function moved({ query, key }, name, count) {
  const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[name];
  if (step) {
    const row = clamp(query + step, 0, count - 1);
    return { query: row, key: clamp(key, 0, row) };
  }
  const at = { ArrowLeft: key - 1, ArrowRight: key + 1, Home: 0, End: query }[name];
  return at === undefined ? null : { query, key: clamp(at, 0, query) };
}

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
