// The projector view: text, map, list and the choice of head over the whole screen, without what a
// class need not see. The browser's own mode, or a fixed layer where there is none.

import { setText } from "../gradio/dom.js";

/**
 * What is to be seen with a map: the text beside it, else the panel with its title.
 * @param {HTMLElement} figure
 */
export function screenOf(figure) {
  const screen =
    figure.closest("#columns") ?? figure.closest(".full-panel") ?? figure.closest(".attention");
  return /** @type {HTMLElement | null} */ (screen) ?? figure;
}

/** @param {HTMLElement} screen @param {HTMLElement} button @param {() => void} onChange */
export function offerFullScreen(screen, button, onChange) {
  const isFull = () => document.fullscreenElement === screen || screen.classList.contains("full");
  const tell = () => {
    setText(button, isFull() ? "close" : "full screen");
    onChange();
  };
  nameModel(screen);
  button.addEventListener("click", async () => {
    if (document.fullscreenElement === screen) return document.exitFullscreen();
    if (screen.classList.contains("full")) screen.classList.remove("full");
    else await enter(screen);
    tell();
  });
  screen.addEventListener("fullscreenchange", tell);
  screen.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !screen.classList.contains("full")) return;
    screen.classList.remove("full");
    tell();
  });
}

// The words at the top right of the page, which that view leaves out: which model writes.
/** @param {HTMLElement} screen */
function nameModel(screen) {
  const status = document.getElementById("status");
  if (screen.id !== "columns" || !status) return;
  const line = document.createElement("p");
  line.className = "projected";
  const show = () => setText(line, status.textContent.trim());
  new MutationObserver(show).observe(status, {
    subtree: true,
    childList: true,
    characterData: true,
  });
  show();
  document.getElementById("left")?.prepend(line);
}

/** @param {HTMLElement} screen */
async function enter(screen) {
  try {
    await screen.requestFullscreen();
  } catch {
    screen.classList.add("full");
  }
}
