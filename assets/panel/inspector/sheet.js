// On a phone the inspector is a sheet at the lower edge, there once a token is tapped.

import { made } from "./question.js";

const SMALL = "(max-width: 560px)";

export class Sheet {
  /** @param {HTMLElement} side the column */
  constructor(side, runs) {
    this.side = side;
    this.runs = runs;
    this.small = matchMedia(SMALL);
    this.place = made("div", { className: "side-place", hidden: true });
    side.before(this.place);
    this.shut = made("button", {
      type: "button",
      className: "tool sheet-close",
      textContent: "×",
      "aria-label": "Close",
    });
    this.shut.addEventListener("click", () => this.close());
    side.prepend(this.shut);
    this.small.addEventListener("change", () => this.close());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.open) this.close();
    });
    // The whole screen is the map's then, and the button that leads back must be in reach.
    addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest("[data-part=full]")) this.close();
    });
  }

  get open() {
    return this.side.classList.contains("sheet");
  }

  /** A token was chosen, by hand. */
  show() {
    const { side, place } = this;
    if (!this.small.matches) return;
    if (!this.runs.pick) return this.close();
    if (!this.open) {
      this.before = document.activeElement;
      place.style.height = `${side.offsetHeight}px`; // or what lies below would move up
      place.hidden = false;
      side.classList.add("sheet");
      side.setAttribute("role", "dialog");
      side.setAttribute("aria-label", "About the selected token");
    }
    return this.reveal();
  }

  // What was tapped stays in sight above the sheet.
  reveal() {
    const token = document.querySelector("#output .token.selected");
    const box = token?.getBoundingClientRect();
    const top = this.side.getBoundingClientRect().top;
    if (box && box.top > 0 && box.bottom > top) scrollBy(0, box.bottom - top + 24);
  }

  close() {
    if (!this.open) return;
    const { side, place } = this;
    side.classList.remove("sheet");
    side.removeAttribute("role");
    side.removeAttribute("aria-label");
    place.hidden = true;
    if (side.contains(document.activeElement) && this.before instanceof HTMLElement)
      this.before.focus({ preventScroll: true });
  }
}
