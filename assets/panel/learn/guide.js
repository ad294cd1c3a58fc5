// The card of whatever leads a reader through the page, one at a time: it says one thing, frames
// what it speaks of, and never covers that. And which steps the reader has done, kept in the browser.

import { pointOut } from "./popover.js";

const KEPT = "gpt2 learned";
const NARROW = "(max-width: 700px)";

let card = null;
let open = null; // {onClose}
let unmark = [];

/**
 * Shows the card with these contents in place of what it showed.
 * @param {{title: string, content: Node[], link: string, onClose: () => void, focus?: boolean}} what
 *   link: a teacher's link to just this, behind the #
 */
export function showGuide({ title, content, link, onClose, focus = true }) {
  if (open && open.onClose !== onClose) closeGuide();
  open = { onClose };
  card ??= made();
  const heading = element("h2", title);
  heading.tabIndex = -1;
  const body = element("div");
  body.append(...content);
  body.lastElementChild.append(copyButton(link));
  const fold = button(
    "minimise",
    () => {
      body.hidden = !body.hidden;
      fold.textContent = body.hidden ? "open" : "minimise";
      fold.setAttribute("aria-expanded", String(!body.hidden));
    },
    "link",
  );
  fold.setAttribute("aria-expanded", "true");
  const bar = element("div", "", "guide-bar");
  bar.append(heading, fold, button("close", closeGuide, "link"));
  card.setAttribute("aria-label", title);
  card.replaceChildren(bar, body);
  raise();
  if (focus) heading.focus({ preventScroll: true });
}

export function closeGuide() {
  const before = open;
  open = null;
  point([]);
  if (card) card.hidden = true;
  before?.onClose();
}

/** Frames what the card speaks of, brings it into view, and keeps the card out of its way. */
export function point(selectors) {
  for (const undo of unmark) undo();
  const found = selectors
    .map((one) => document.querySelector(one))
    .filter((one) => one?.checkVisibility());
  unmark = found.map(pointOut);
  found[0]?.classList.add("subject");
  unmark.push(() => found[0]?.classList.remove("subject"));
  if (!found.length || !card) return;
  placeBeside(found);
  unmark.push(keepInView(found[0]));
}

// On a phone the inspector is a sheet that leaves no room for both.
function closeSheet(subject) {
  const sheet = document.querySelector(".side.sheet");
  if (sheet?.contains(subject)) return;
  /** @type {HTMLElement | null | undefined} */ (sheet?.querySelector(".sheet-close"))?.click();
}

const PLACES = ["right", "left", "middle"];
const EDGE = 16; // CSS pixels, as in guide.css

// Where it covers the least of what is framed; how far that will be scrolled is not known yet.
function placeBeside(framed) {
  const width = card.offsetWidth;
  const from = { right: innerWidth - EDGE - width, left: EDGE, middle: (innerWidth - width) / 2 };
  const covered = (place) => {
    const shares = framed.map((one) => {
      const { left, right, height } = one.getBoundingClientRect();
      const across = Math.min(right, from[place] + width) - Math.max(left, from[place]);
      return Math.max(0, across) * Math.min(height, innerHeight);
    });
    return shares.reduce((sum, share) => sum + share, 0);
  };
  const best = PLACES.reduce((best, place) => (covered(place) < covered(best) ? place : best));
  for (const place of PLACES) card.classList.toggle(`on-${place}`, place === best);
}

// Until the reader moves on, since what stands above it may still be growing.
function keepInView(subject) {
  const aim = () => {
    closeSheet(subject); // which may open late
    const { top, bottom, height } = subject.getBoundingClientRect();
    const free = matchMedia(NARROW).matches ? card.getBoundingClientRect().top : innerHeight;
    if (top >= 0 && bottom <= free) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollBy({
      top: top - Math.max(0, (free - height) / 2),
      behavior: still ? "auto" : "smooth",
    });
  };
  const sizes = new ResizeObserver(aim);
  const acts = ["pointerdown", "wheel", "touchmove", "keydown"];
  const leave = () => {
    sizes.disconnect();
    for (const act of acts) removeEventListener(act, leave, true);
  };
  for (const act of acts) addEventListener(act, leave, { capture: true, passive: true });
  aim();
  for (const part of [document.body, card, subject]) sizes.observe(part);
  return leave;
}

function copyButton(link) {
  const copy = button(
    "copy link",
    async () => {
      const url = new URL(location.href);
      url.hash = link;
      copy.textContent = (await copied(url.href)) ? "copied" : url.href;
    },
    "link",
  );
  return copy;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function made() {
  const box = element("section", "", "guide");
  document.addEventListener("fullscreenchange", raise);
  return box;
}

// Nothing outside of what fills the screen is to be seen; and Gradio holds rules for narrow screens
// to what lies in its own container.
function raise() {
  card.hidden = open === null;
  const container = document.querySelector(".gradio-container .contain");
  const place = document.fullscreenElement ?? container ?? document.body;
  if (card.parentElement !== place) place.append(card);
}

// --- what cards are made of ---------------------------------------------------------------------

export function element(name, text = "", className = "") {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}

export function button(text, onClick, className = "") {
  const node = element("button", text, className);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

// --- the reader's progress ----------------------------------------------------------------------

/** Names of what is done, for "tour" or "lesson". @returns {Set<string>} */
export function doneOf(kind) {
  const done = load()[kind];
  return new Set(Array.isArray(done) ? done : []);
}

export function markDone(kind, name) {
  const all = load();
  all[kind] = [...doneOf(kind).add(name)];
  try {
    localStorage.setItem(KEPT, JSON.stringify(all));
  } catch (error) {
    console.debug("not kept:", error.message);
  }
}

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    return kept && typeof kept === "object" ? kept : {};
  } catch {
    return {}; // storage is forbidden, or another hand has written there
  }
}
