// Small helpers around the component's own element; nothing outside it is touched.

let mounted = 0;

// The parts a template names with data-part, as {name: node}.
export function partsOf(element) {
  const parts = {};
  for (const node of element.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return parts;
}

// Ids that stay unique when a page holds the component twice; links labels to what they name.
export function linkLabels(element) {
  mounted += 1;
  const idFor = (name) => `panel-${mounted}-${name}`;
  const link = (attribute, target) => {
    for (const node of element.querySelectorAll(`[data-${attribute}]`)) {
      const name = node.getAttribute(`data-${attribute}`);
      const named = element.querySelector(`[data-part="${name}"]`);
      named.id ||= idFor(name);
      node.setAttribute(target, named.id);
    }
  };
  link("labelledby", "aria-labelledby");
  link("describedby", "aria-describedby");
  link("for", "for");
}

// Write text only when it changed: live regions stay quiet and nothing is laid out again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Tell how wide an element is, now and whenever that changes: to ask it would lay out the page anew.
export function onWidth(element, tell) {
  new ResizeObserver(([{ contentRect }]) => tell(contentRect.width)).observe(element);
}

// Run `work` once per frame, however often it is asked for.
export function perFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

// Run `work` now or, when it ran less than `gap` ms ago, as soon as that has passed.
export function atMostEvery(gap, work) {
  let last = -Infinity;
  let timer = null;
  const go = () => {
    clearTimeout(timer);
    timer = null;
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
export function whileMounted(element, runs, listener) {
  let shown = element.isConnected;
  const stop = runs.subscribe((kind) => {
    shown ||= element.isConnected;
    if (shown && !element.isConnected) stop();
    else listener(kind);
  });
  return stop;
}
