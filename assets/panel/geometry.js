// Where things lie on the map: how many tokens it spans, cell size, gutters, ticks, hit tests. Pure.

const SPANS = [12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768];
const LABELLED = { gutter: 62, least: 9 };
const INDEXED = { gutter: 34 };
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200];

// While rows arrive the map grows in steps, so that it does not shrink a little at every token.
export function spanOf(count, growing) {
  if (!growing) return Math.max(count, 1);
  return SPANS.find((span) => span >= count) ?? Math.max(1024, count);
}

// width: CSS pixels of the square map. Labels need cells wide enough to read them.
export function planOf(width, span) {
  const labelled = (width - LABELLED.gutter - 1) / span >= LABELLED.least;
  const { gutter } = labelled ? LABELLED : INDEXED;
  const side = Math.max(1, width - gutter - 1);
  const cell = side / span;
  return { width, span, gutter, side, cell, labelled, tick: tickOf(cell) };
}

// The closest round distance at which numbers do not touch.
function tickOf(cell) {
  return TICKS.find((tick) => tick * cell >= 30) ?? 500;
}

export function edgeOf(plan, i) {
  return plan.gutter + i * plan.cell;
}

// The cell under a point, or null outside the rows there are. A key after its query is a cell too.
export function cellAt(plan, x, y, count) {
  const key = Math.floor((x - plan.gutter) / plan.cell);
  const query = Math.floor((y - plan.gutter) / plan.cell);
  const inside = query >= 0 && query < count && key >= 0 && key < count;
  return inside ? { query, key } : null;
}

// Where an arrow key moves the selection, or null for any other key.
export function moved({ query, key }, name, count) {
  const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[name];
  if (step) {
    const row = clamp(query + step, 0, count - 1);
    return { query: row, key: clamp(key, 0, row) };
  }
  const at = { ArrowLeft: key - 1, ArrowRight: key + 1, Home: 0, End: query }[name];
  return at === undefined ? null : { query, key: clamp(at, 0, query) };
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
