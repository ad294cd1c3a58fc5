// One small box of words beside what it speaks of, and a frame around what is pointed out.
// For explained terms, and for whatever else leads a reader through the page.

const GAP = 8; // CSS pixels
const EDGE = 12; // that stay free at the edges of the window

let box = null;
let open = null; // {anchor, onClose}

/**
 * Opens the box under (or over) `anchor`; Escape, a click elsewhere or another box closes it.
 * @param {Element} anchor @param {string | Node} content
 * @param {{onClose?: () => void, sticky?: boolean}} options sticky: only `closePopover` closes it
 */
export function openPopover(anchor, content, { onClose = () => {}, sticky = false } = {}) {
  closePopover();
  box ??= made();
  box.popover = sticky ? "manual" : "auto";
  box.replaceChildren(content);
  open = { anchor, onClose };
  box.showPopover();
  place();
  return box;
}

export function closePopover() {
  if (box?.matches(":popover-open")) box.hidePopover(); // told of in "toggle", but later
  closed();
}

/** What the box stands beside, or null. */
export function popoverAnchor() {
  return open?.anchor ?? null;
}

/** Puts a frame around an element. @returns {() => void} takes it away */
export function pointOut(element) {
  element.classList.add("pointed-out");
  return () => element.classList.remove("pointed-out");
}

function made() {
  const element = document.createElement("div");
  element.className = "popover";
  element.id = "popover";
  element.setAttribute("role", "note");
  document.body.append(element);
  element.addEventListener("beforetoggle", (event) => event.newState === "closed" && closed());
  addEventListener("scroll", place, { capture: true, passive: true });
  addEventListener("resize", place);
  return element;
}

function closed() {
  const before = open;
  open = null;
  before?.onClose();
}

function place() {
  if (!open) return;
  const at = open.anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + GAP + height <= innerHeight - EDGE;
  const left = Math.max(EDGE, Math.min(at.left, innerWidth - EDGE - width));
  box.style.left = `${left}px`;
  box.style.top = `${below ? at.bottom + GAP : Math.max(EDGE, at.top - GAP - height)}px`;
}
