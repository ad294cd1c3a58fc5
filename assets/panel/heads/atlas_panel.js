// All heads of all layers, small and live: point at one, open it, point out those of one role.

import { atLeisure, perFrame, setText } from "../gradio/dom.js";
import { AtlasPicture, atlasPlan, headAt } from "./atlas_picture.js";
import { clamp } from "../map/geometry.js";
import { HeadCard } from "./head_card.js";
import { needsHead } from "../store/map_view.js";
import { scoreText } from "./roles.js";
import { ROLES } from "../gradio/schema.js";

const LONG = 500; // ms that a finger stays
const STILL = 10; // CSS pixels that it may move meanwhile

export class AtlasPanel {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.picture = new AtlasPicture(parts.atlas);
    this.card = new HeadCard(parts, runs);
    this.pointed = null; // the head under the pointer
    this.theme = null; // what the colours are, once that is known
    this.dim = null; // the role that is pointed out
    this.pressed = false; // a finger stayed: what follows is no click
    this.width = 0; // CSS pixels; 0 in a tab or panel that is not open
    this.plan = atlasPlan(300, 1, 1);
    this.drawSoon = perFrame(() => this.draw());
    this.growSoon = atLeisure(() => this.draw());
    this.offerRoles();
    this.listen();
  }

  draw() {
    const { runs, theme } = this;
    const { run, look } = runs;
    if (!run?.layers || !theme || this.width === 0) return;
    if (this.plan.heads !== run.heads) this.parts.atlaspart.style.setProperty("--heads", run.heads);
    this.plan = atlasPlan(this.width, run.layers, run.heads);
    this.picture.draw({
      plan: this.plan,
      atlas: run.atlas,
      split: runs.apart,
      scale: runs.scale,
      look,
      off: runs.off,
      used: needsHead(look.mode),
      pointed: this.pointed,
      dim: this.dim,
      roles: runs.roles.text,
      ratio: Math.max(1, devicePixelRatio),
      ...theme,
    });
  }

  fit(width) {
    this.width = width;
    this.drawSoon();
  }

  /** The numbers: who does what. */
  read() {
    const { runs, parts } = this;
    if (!runs.run?.layers) return;
    this.card.show(this.pointed ?? runs.look);
    const counts = {};
    for (const role of runs.roles.text?.role ?? []) counts[role] = (counts[role] ?? 0) + 1;
    for (const button of parts.roles.children) {
      setText(
        button.lastChild,
        ` ${ROLES[button.value].name.toLowerCase()}: ${counts[button.value] ?? 0}`,
      );
    }
    parts.atlas.setAttribute("aria-label", `Atlas of all heads. ${this.nameOf(runs.look)}`);
  }

  /** "Layer 3, head 5: induction 0.82". */
  nameOf({ layer, head }) {
    const { roles, run } = this.runs;
    const n = layer * run.heads + head;
    const role = roles.text?.role[n];
    const known = role
      ? `: ${ROLES[role].name.toLowerCase()} ${scoreText(roles.text.scores[role][n])}`
      : "";
    return `Layer ${layer + 1}, head ${head + 1}${known}`;
  }

  offerRoles() {
    const buttons = Object.entries(ROLES).map(([value, { mark }]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "role";
      button.value = value;
      button.setAttribute("aria-pressed", "false");
      const letter = document.createElement("b");
      letter.textContent = mark;
      button.append(letter, document.createTextNode(""));
      button.addEventListener("click", () => this.pointOut(this.dim === value ? null : value));
      return button;
    });
    this.parts.roles.replaceChildren(...buttons);
  }

  pointOut(role) {
    this.dim = role;
    for (const button of this.parts.roles.children) {
      button.setAttribute("aria-pressed", String(button.value === role));
    }
    this.drawSoon();
  }

  listen() {
    const { atlas } = this.parts;
    const at = (event) => {
      const box = atlas.getBoundingClientRect();
      return headAt(this.plan, event.clientX - box.left, event.clientY - box.top);
    };
    const point = (head) => {
      if (head?.layer === this.pointed?.layer && head?.head === this.pointed?.head) return;
      this.pointed = head;
      this.drawSoon();
      this.read();
    };
    atlas.addEventListener(
      "pointermove",
      (event) => event.pointerType === "mouse" && point(at(event)),
    );
    atlas.addEventListener("pointerleave", () => point(null));
    atlas.addEventListener("click", (event) => {
      const head = at(event);
      if (head && !this.pressed) this.open(head);
      this.pressed = false;
    });
    this.listenToMenu(at);
    atlas.addEventListener("keydown", (event) => this.key(event));
  }

  get switchable() {
    return Boolean(this.runs.run?.status && this.runs.inspected.able);
  }

  // Right click, the menu key, or a finger that stays: on some phones only the finger tells.
  listenToMenu(at) {
    const { atlas } = this.parts;
    let timer = null;
    let from = null;
    const stop = () => clearTimeout(timer);
    atlas.addEventListener("contextmenu", (event) => {
      const head = at(event) ?? this.runs.look;
      if (!this.switchable) return;
      event.preventDefault();
      stop();
      this.offerMenu(head, { x: event.clientX, y: event.clientY });
    });
    atlas.addEventListener("pointerdown", (event) => {
      stop();
      this.pressed = false;
      const head = at(event);
      if (event.pointerType === "mouse" || !head || !this.switchable) return;
      from = { x: event.clientX, y: event.clientY };
      timer = setTimeout(() => {
        this.pressed = true; // and is no click when it is lifted
        this.offerMenu(head, from);
      }, LONG);
    });
    atlas.addEventListener("pointermove", (event) => {
      if (from && Math.hypot(event.clientX - from.x, event.clientY - from.y) > STILL) stop();
    });
    for (const kind of ["pointerup", "pointercancel"]) atlas.addEventListener(kind, stop);
  }

  async offerMenu(head, point) {
    const { runs } = this;
    const { openMenu } = await import("./head_menu.js");
    openMenu(point, this.nameOf(head), [
      { name: runs.isOff(head) ? "Switch on" : "Switch off", act: () => runs.toggleHead(head) },
      { name: "Open its map", act: () => this.open(head) },
    ]);
  }

  /** Look at one head; a map that is of no single head gives way to its weights. */
  open({ layer, head }) {
    const { look } = this.runs;
    const mode = needsHead(look.mode) ? look.mode : "head";
    this.runs.choose({ layer, head, mode });
    setText(this.parts.live, this.nameOf({ layer, head }));
  }

  key(event) {
    const { run, look } = this.runs;
    if (
      event.key.toLowerCase() === "x" &&
      this.switchable &&
      !event.ctrlKey &&
      !event.metaKey &&
      !event.altKey
    ) {
      event.preventDefault();
      return this.runs.toggleHead(look);
    }
    if (!run?.layers || event.ctrlKey || event.metaKey || event.altKey) return;
    const { layer, head } = look;
    const next = {
      ArrowLeft: { layer, head: head - 1 },
      ArrowRight: { layer, head: head + 1 },
      ArrowUp: { layer: layer - 1, head },
      ArrowDown: { layer: layer + 1, head },
      Home: { layer, head: 0 },
      End: { layer, head: run.heads - 1 },
    }[event.key];
    if (!next) return;
    event.preventDefault();
    this.open({
      layer: clamp(next.layer, 0, run.layers - 1),
      head: clamp(next.head, 0, run.heads - 1),
    });
    this.reveal();
  }

  // Keep the chosen thumbnail in sight where the atlas scrolls.
  reveal() {
    const { scroll } = this.parts;
    const { step, top, left } = this.plan;
    const { layer, head } = this.runs.look;
    const [y, x] = [layer * step, head * step];
    const at = scroll.getBoundingClientRect().top + y;
    if (at < 0) scrollBy(0, at);
    else if (at + top + step > innerHeight) scrollBy(0, at + top + step - innerHeight);
    scroll.scrollLeft = clamp(scroll.scrollLeft, x + left + step - scroll.clientWidth, x);
  }
}
