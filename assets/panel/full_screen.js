// The map over the whole screen: the browser's own mode, or a fixed layer where there is none.

import { setText } from "./dom.js";

export function offerFullScreen(figure, button, onChange) {
  const isFull = () => document.fullscreenElement === figure || figure.classList.contains("full");
  const tell = () => {
    setText(button, isFull() ? "close" : "full screen");
    onChange();
  };
  button.addEventListener("click", async () => {
    if (document.fullscreenElement === figure) return document.exitFullscreen();
    if (figure.classList.contains("full")) figure.classList.remove("full");
    else await enter(figure);
    tell();
  });
  figure.addEventListener("fullscreenchange", tell);
  figure.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !figure.classList.contains("full")) return;
    figure.classList.remove("full");
    tell();
  });
}

async function enter(figure) {
  try {
    await figure.requestFullscreen();
  } catch {
    figure.classList.add("full");
  }
}
