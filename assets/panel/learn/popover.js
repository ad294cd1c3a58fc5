// One small box of words beside what it speaks of, and a frame around what is pointed out.
// For explained terms, and for whatever else leads a reader through the page.

const GAP = 8; // CSS pixels
const EDGE = 12; // that stay free at the edges of the window

/** @type {HTMLElement | null} */
let box = null;
/** @type {{ anchor: Element, onClose: () => void, sticky: boolean } | null} */
let open = null; // {anchor, onClose, sticky}

/**
 * Opens the box under (or over) `anchor`; Escape, a click elsewhere or another box closes it.
 * @param {Element} anchor @param {string | Node} content
 * @param {{onClose?: () => void, sticky?: boolean}} options sticky: only `closePopover` closes it
 */
export function openPopover(anchor, content, { onClose = () => {}, sticky = false } = {}) {
  closePopover();
  box ??= made();
  box.replaceChildren(content);
  open = { anchor, onClose, sticky };
  box.showPopover();
  place();
  return box;
}

export function closePopover() {
  const before = open;
  open = null;
  if (box?.matches(":popover-open")) box.hidePopover();
  before?.onClose();
}

/** What the box stands beside, or null. */
export function popoverAnchor() {
  return open?.anchor ?? null;
}

/**
 * Puts a frame around an element. @returns {() => void} takes it away
 * @param {any} element
 */
export function pointOut(element) {
  element.classList.add("pointed-out");
  return () => element.classList.remove("pointed-out");
}

function made() {
  const element = document.createElement("div");
  element.className = "popover";
  element.id = "popover";
  element.setAttribute("role", "note");
  element.popover = "manual"; // or the press on its own anchor would close it before it is heard
  document.body.append(element);
  addEventListener("pointerdown", (event) => {
    const target = /** @type {Node} */ (event.target);
    if (open && !open.sticky && !element.contains(target) && !open.anchor.contains(target))
      closePopover();
  });
  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !open) return;
      event.stopPropagation(); // it closes this and nothing else
      closePopover();
    },
    true,
  );
  addEventListener("scroll", place, { capture: true, passive: true });
  addEventListener("resize", place);
  return element;
}

function place() {
  if (!open || !box) return;
  const at = open.anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + GAP + height <= innerHeight - EDGE;
  const left = Math.max(EDGE, Math.min(at.left, innerWidth - EDGE - width));
  box.style.left = `${left}px`;
  box.style.top = `${below ? at.bottom + GAP : Math.max(EDGE, at.top - GAP - height)}px`;
}
