// The selects: which map, which layer, which head.

import { clamp } from "../map/geometry.js";
import { needsHead, needsLayer } from "../store/map_view.js";
import { MODES, ROLES } from "../gradio/schema.js";

// What may stand in the map's place: layers times tokens.
const PICTURES = {
  lens: { name: "Layer by layer, whole text" },
  patch: { name: "Two prompts, one patch" },
};

export class Pickers {
  // `onPicture(name)` is told what stands in the map's place, null for the map.
  constructor({ mode, layer, head }, runs, onPicture = null) {
    this.mode = mode;
    this.layer = layer;
    this.head = head;
    this.picture = null;
    mode.replaceChildren(...options(MODES));
    this.pictures = document.createElement("optgroup");
    this.pictures.label = "Layers × tokens";
    this.pictures.append(...options(PICTURES));
    this.offersPictures = Boolean(onPicture);
    mode.addEventListener("change", () => {
      const picture = mode.value in PICTURES ? mode.value : null;
      if (picture !== this.picture) onPicture?.(picture);
      if (picture === null) runs.choose({ mode: mode.value });
    });
    layer.addEventListener("change", () => runs.choose({ layer: Number(layer.value) }));
    head.addEventListener("change", () => runs.choose({ head: Number(head.value) }));
  }

  show({ run, look, roles, inspected }) {
    if (!run?.layers) return;
    if (this.offersPictures && inspected.able && !this.pictures.isConnected)
      this.mode.append(this.pictures);
    this.mode.disabled = false;
    this.mode.value = this.picture ?? look.mode;
    const named =
      roles.text?.role.slice(look.layer * run.heads, (look.layer + 1) * run.heads) ?? [];
    offer(this.layer, run.layers, look.layer, !this.picture && needsLayer(look.mode));
    offer(this.head, run.heads, look.head, !this.picture && needsHead(look.mode), named);
  }
}

function options(choices) {
  return Object.entries(choices).map(([value, { name }]) => new Option(name, value));
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
