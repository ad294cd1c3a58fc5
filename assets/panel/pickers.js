// The selects: which map, which layer, which head.

import { clamp } from "./geometry.js";
import { MODES, needsHead, needsLayer } from "./map_view.js";
import { ROLES } from "./roles.js";

export class Pickers {
  constructor({ mode, layer, head }, runs) {
    this.mode = mode;
    this.layer = layer;
    this.head = head;
    mode.replaceChildren(...Object.entries(MODES).map(([value, text]) => new Option(text, value)));
    mode.addEventListener("change", () => runs.choose({ mode: mode.value }));
    layer.addEventListener("change", () => runs.choose({ layer: Number(layer.value) }));
    head.addEventListener("change", () => runs.choose({ head: Number(head.value) }));
  }

  show({ run, look, roles }) {
    if (!run?.layers) return;
    this.mode.disabled = false;
    this.mode.value = look.mode;
    const named =
      roles.text?.role.slice(look.layer * run.heads, (look.layer + 1) * run.heads) ?? [];
    offer(this.layer, run.layers, look.layer, needsLayer(look.mode));
    offer(this.head, run.heads, look.head, needsHead(look.mode), named);
  }
}

// "3 of 6", or "3 of 6 · induction"; options are made anew only when their number changes.
function offer(select, count, chosen, used, roles = []) {
  const texts = Array.from({ length: count }, (_, i) => {
    const role = ROLES[roles[i]]?.name;
    return `${i + 1} of ${count}${role ? ` · ${role.toLowerCase()}` : ""}`;
  });
  if (select.options.length !== count)
    select.replaceChildren(...texts.map((text, i) => new Option(text, String(i))));
  texts.forEach((text, i) => {
    if (select.options[i].text !== text) select.options[i].text = text;
  });
  select.disabled = count === 0 || !used;
  select.value = String(clamp(chosen, 0, Math.max(0, count - 1)));
}
