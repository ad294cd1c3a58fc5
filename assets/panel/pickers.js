// The two selects: which layer, which head.

import { clamp } from "./geometry.js";

export class Pickers {
  constructor({ layer, head }, runs) {
    this.layer = layer;
    this.head = head;
    layer.addEventListener("change", () => runs.chooseLayer(Number(layer.value)));
    head.addEventListener("change", () => runs.chooseHead(Number(head.value)));
  }

  show({ run, layer, head }) {
    offer(this.layer, run.layers, layer);
    offer(this.head, run.heads, head);
  }
}

// "3 of 6": options are made anew only when their number changes.
function offer(select, count, chosen) {
  if (select.options.length !== count) {
    const options = Array.from({ length: count }, (_, i) => new Option(`${i + 1} of ${count}`, i));
    select.replaceChildren(...options);
  }
  select.disabled = count === 0;
  select.value = String(clamp(chosen, 0, Math.max(0, count - 1)));
}
