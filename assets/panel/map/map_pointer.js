// Mouse, pen and fingers on the map: point, choose, drag, pinch, wheel.

const STILL = 5; // CSS pixels a finger may slip and still tap

/**
 * panel: {runs, window, cell(x, y), place(x, y), zoom(factor, point), pan(dx, dy)}
 * @param {HTMLCanvasElement} canvas
 * @param {MapPanel} panel
 */
export function listenToPointer(canvas, panel) {
  const hand = { canvas, panel, fingers: new Map(), slipped: false }; // slipped: it moved the map
  canvas.addEventListener("pointerdown", (event) => {
    if (hand.fingers.size === 0) hand.slipped = false;
    hand.fingers.set(event.pointerId, { ...at(canvas, event), from: at(canvas, event) });
  });
  canvas.addEventListener("pointermove", (event) => move(hand, event));
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(name, (event) => hand.fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointerleave", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) hand.fingers.delete(event.pointerId);
    panel.runs.point(null);
  });
  canvas.addEventListener("click", (event) => {
    const { x, y } = at(canvas, event);
    const cell = hand.slipped ? null : panel.cell(x, y);
    if (cell) panel.runs.select(cell);
  });
  canvas.addEventListener("wheel", (event) => wheel(hand, event), { passive: false });
}

/** @param {HTMLCanvasElement} canvas @param {MouseEvent} event */
function at(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** @param {Hand} hand @param {PointerEvent} event */
function move(hand, event) {
  const { canvas, panel, fingers } = hand;
  const finger = fingers.get(event.pointerId);
  const to = at(canvas, event);
  if (!finger) {
    if (event.pointerType === "mouse") panel.runs.point(panel.cell(to.x, to.y));
    return;
  }
  if (fingers.size === 2) hand.slipped = pinch(panel, fingers, event.pointerId, to) || hand.slipped;
  else if (panel.window && (hand.slipped || far(finger.from, to))) {
    hand.slipped = true;
    canvas.setPointerCapture(event.pointerId);
    panel.pan(finger.x - to.x, finger.y - to.y);
  }
  Object.assign(finger, to);
}

// The wheel scrolls the page unless the map is being worked with: then it zooms.
/** @param {Hand} given @param {WheelEvent} event */
function wheel({ canvas, panel }, event) {
  const meant = event.ctrlKey || event.metaKey || document.activeElement === canvas;
  if (!meant || panel.runs.drawable === 0) return;
  event.preventDefault();
  const { x, y } = at(canvas, event);
  panel.zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 120 : 400)), panel.place(x, y));
}

/** @param {Point} a @param {Point} b */
function far(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y) > STILL;
}

// Two fingers: their distance zooms, their middle stays where it is in the text.
/**
 * @param {MapPanel} panel
 * @param {Map<number, Finger>} fingers
 * @param {any} moving
 * @param {any} to
 */
function pinch(panel, fingers, moving, to) {
  const [, other] = [...fingers].find(([id]) => id !== moving) ?? [];
  const before = fingers.get(moving);
  if (!other || !before) return false;
  const factor =
    Math.hypot(to.x - other.x, to.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
  if (!Number.isFinite(factor) || factor <= 0) return false;
  panel.zoom(factor, panel.place((to.x + other.x) / 2, (to.y + other.y) / 2));
  return true;
}
