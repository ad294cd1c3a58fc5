// A line of plain words: whatever the server says, as text.

import { setText } from "../gradio/dom.js";

/** @param {HTMLElement} element @param {Props} props @param {Watch} watch */
export function mount(element, props, watch) {
  const line = element.querySelector("p");
  const show = () => line && setText(line, props.value ?? "");
  watch("value", show);
  show();
}
