// Small helpers around the component's own element; nothing outside it is touched.

const PATIENCE = 300; // ms

let mounted = 0;

// The parts a template names with data-part, as {name: node}.
/** @param {ParentNode} element @returns {Parts} */
export function partsOf(element) {
  /** @type {any} */
  const parts = {};
  for (const node of element.querySelectorAll("[data-part]")) {
    parts[node.getAttribute("data-part") ?? ""] = node;
  }
  return parts;
}

// Ids that stay unique when a page holds the component twice; links labels to what they name.
/** @param {HTMLElement} element */
export function linkLabels(element) {
  mounted += 1;
  /** @param {string} name */
  const idFor = (name) => `panel-${mounted}-${name}`;
  /** @param {string} attribute @param {string} target */
  const link = (attribute, target) => {
    for (const node of element.querySelectorAll(`[data-${attribute}]`)) {
      const name = node.getAttribute(`data-${attribute}`) ?? "";
      const named = element.querySelector(`[data-part="${name}"]`);
      if (!named) throw new Error(`no part is called ${name}`);
      named.id ||= idFor(name);
      node.setAttribute(target, named.id);
    }
  };
  link("labelledby", "aria-labelledby");
  link("describedby", "aria-describedby");
  link("for", "for");
}

// Write text only when it changed: live regions stay quiet and nothing is laid out again. Into a text
// node that is there, since the browser would style a new one.
/** @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  const only = node.firstChild;
  if (node.textContent === text) return;
  if (text !== "" && only instanceof Text && only === node.lastChild) only.data = text;
  else node.textContent = text;
}

// Hide or show only when that is new: the browser would style the node again.
/** @param {HTMLElement} node @param {boolean} hidden */
export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

const LEAST_BAR = 0.02; // of the longest: a shorter one looks like a dash

// How long the bar of a share is, beside the longest of its list.
export function barOf(/** @type {number} */ share, /** @type {number} */ longest) {
  const length = longest > 0 ? share / longest : 0;
  return length < LEAST_BAR ? "0" : `${(100 * length).toFixed(1)}%`;
}

// Tell how wide an element is, now and whenever that changes: to ask it would lay out the page anew.
/** @param {HTMLElement} element @param {(width: number) => void} tell */
export function onWidth(element, tell) {
  new ResizeObserver(([{ contentRect }]) => tell(contentRect.width)).observe(element);
}

// Once the frame that comes next is laid out and painted.
/** @param {(...none: any[]) => void} work */
export function afterFrame(work) {
  requestAnimationFrame(() => afterPaint(work));
}

// The same for the frame that is being made.
/** @param {(...none: any[]) => void} work */
function afterPaint(work) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = work;
  port2.postMessage(null);
}

// Run `work` once per frame, however often it is asked for.
/** @param {() => void} work */
export function perFrame(work) {
  return once((go) => requestAnimationFrame(go), work); // found anew each time: see raf_throttle.js
}

/** @param {(go: () => void) => unknown} later @param {() => void} work */
function once(later, work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    later(() => {
      asked = false;
      work();
    });
  };
}

// Run `work` once after the next frame, however often it is asked for: what need not be in that one.
/** @param {() => void} work */
export function afterEachFrame(work) {
  return once(afterFrame, work);
}

// Run `work` once the browser has time, after the next frame: it is soon wanted, but not first.
/** @param {() => void} work */
export function whenIdle(work) {
  const soon = globalThis.requestIdleCallback ?? ((go) => setTimeout(go));
  return once((go) => afterFrame(() => soon(go, { timeout: PATIENCE })), work);
}

const REST = 3; // times as long as the frame took
const MOST_REST = 150; // ms

// Run `work` in a frame of its own, after what is more urgent, and then rest, so that a slow machine
// has most of its time for what was urgent.
/** @param {() => void} work */
export function atLeisure(work) {
  let asked = false;
  let rested = 0;
  const go = () => {
    asked = false;
    const began = performance.now();
    work();
    afterPaint(() => {
      const now = performance.now();
      rested = now + Math.min(MOST_REST, REST * (now - began));
    });
  };
  return () => {
    if (asked) return;
    asked = true;
    afterFrame(() => setTimeout(() => requestAnimationFrame(go), rested - performance.now()));
  };
}

// Run `work` now or, when it ran less than `gap` ms ago, as soon as that has passed.
/** @param {number} gap @param {() => void} work */
export function atMostEvery(gap, work) {
  let last = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const go = () => {
    clearTimeout(timer);
    timer = undefined;
    last = performance.now();
    work();
  };
  return (now = false) => {
    const left = last + gap - performance.now();
    if (now || left <= 0) go();
    else timer ??= setTimeout(go, left);
  };
}

// Listen to the store for as long as the element is in the page.
/** @param {HTMLElement} element @param {Runs} runs @param {(kind: string) => void} listener */
export function whileMounted(element, runs, listener) {
  let shown = element.isConnected;
  const stop = runs.subscribe((/** @type {string} */ kind) => {
    shown ||= element.isConnected;
    if (shown && !element.isConnected) stop();
    else listener(kind);
  });
  return stop;
}
