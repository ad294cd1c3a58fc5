// A line of plain words: whatever the server says, as text.

import { setText } from "./dom.js";

export function mount(element, props, watch) {
  const line = element.querySelector("p");
  const show = () => setText(line, props.value ?? "");
  watch("value", show);
  show();
}
