// A small menu for one head of the atlas: right click, long press, or the menu key.

import { made } from "../inspector/question.js";

const EDGE = 8; // CSS pixels that stay free at the edges of the window

let menu = null;
let back = null; // where the focus was

/**
 * @param {{x: number, y: number}} point
 * @param {{name: string, act: () => void}[]} items
 */
export function openMenu(point, label, items) {
  closeMenu();
  back = document.activeElement;
  menu = made("div", {
    className: "head-menu",
    role: "menu",
    "aria-label": label,
    popover: "manual",
  });
  for (const { name, act } of items) {
    const button = made("button", {
      type: "button",
      role: "menuitem",
      tabIndex: -1,
      textContent: name,
    });
    button.addEventListener("click", () => {
      closeMenu();
      act();
    });
    menu.append(button);
  }
  menu.addEventListener("keydown", key);
  document.body.append(menu);
  menu.showPopover();
  const { offsetWidth: width, offsetHeight: height } = menu;
  menu.style.left = `${Math.max(EDGE, Math.min(point.x, innerWidth - EDGE - width))}px`;
  menu.style.top = `${Math.max(EDGE, Math.min(point.y, innerHeight - EDGE - height))}px`;
  menu.firstChild.focus();
  addEventListener("pointerdown", outside, true);
  addEventListener("scroll", closeMenu, { capture: true, passive: true });
}

export function closeMenu() {
  if (!menu) return;
  const focused = menu.contains(document.activeElement);
  menu.remove();
  menu = null;
  removeEventListener("pointerdown", outside, true);
  removeEventListener("scroll", closeMenu, { capture: true });
  if (focused) back?.focus?.({ preventScroll: true });
}

function outside(event) {
  if (!menu?.contains(event.target)) closeMenu();
}

function key(event) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") closeMenu();
  else if (to === undefined) return;
  else items.at(to % items.length).focus();
  event.preventDefault();
  event.stopPropagation();
}
