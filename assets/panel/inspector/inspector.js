// The column beside the map: one tab for each question about the selected token.

import { whenIdle } from "../gradio/dom.js";
import { HeadsOff } from "../heads/heads_off.js";

const TABS = ["reads", "next", "layers", "heads", "token"];
const PASSING = 120; // ms a pointer rests on a token before the server is asked about it

export class Inspector {
  /** @param {(stand: object|null) => void} onMove is given rows to be drawn instead of the text's */
  constructor(parts, runs, onMove) {
    this.parts = parts;
    this.runs = runs;
    this.onMove = onMove;
    this.tab = "reads";
    this.sharing = false; // whether Layer by layer shows what adds up
    this.deeper = null; // what is loaded once a token is chosen
    this.loading = false;
    this.heads = new HeadsOff(parts, runs);
    this.timer = null;
    this.showSoon = whenIdle(() => this.show());
    this.name();
    this.listen();
  }

  // Ids and roles of what the template leaves plain for a page without a server.
  name() {
    const { tabs } = this.parts;
    tabs.setAttribute("role", "tablist");
    tabs.setAttribute("aria-label", "About the selected token");
    for (const name of TABS) {
      const [tab, panel] = [this.parts[`tab_${name}`], this.parts[`panel_${name}`]];
      named += 1;
      panel.id ||= `${this.parts.map.id || "inspector"}-${name}-${named}`;
      tab.id = `${panel.id}-tab`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      tab.addEventListener("click", () => {
        this.open(name);
        this.load(false);
      });
    }
  }

  // Without a server that can be asked there is the list alone.
  begin() {
    const { tabs } = this.parts;
    if (!this.runs.inspected.able || tabs.classList.contains("begun") || !this.runs.run) return;
    tabs.classList.add("begun");
    for (const name of TABS) {
      this.parts[`panel_${name}`].setAttribute("role", "tabpanel");
      this.parts[`panel_${name}`].setAttribute("aria-labelledby", this.parts[`tab_${name}`].id);
    }
    this.open(this.tab);
  }

  // What a first look does not need comes with the first token that is chosen, or tab.
  async load(byHand) {
    if (this.loading) return;
    this.loading = true;
    const found = await import("./deeper.js").catch(() => null);
    this.loading = Boolean(found); // else it is tried again when there is news
    if (!found) return;
    const { parts, runs, heads, onMove } = this;
    const openHead = ({ layer, head }) => runs.choose({ mode: "head", layer, head });
    const insteadOf = () => heads.instead;
    const onFork = (at, { id }) => this.fork(at, id);
    this.deeper = new found.Deeper(parts, runs, { openHead, insteadOf, onMove, onFork });
    if (byHand) this.deeper.hear("selection");
    this.show();
  }

  /** Layer by layer has two sides: what each layer guesses, and what adds up to the answer. */
  turn(sharing) {
    const { parts } = this;
    this.sharing = sharing;
    parts.guesses.setAttribute("aria-pressed", String(!sharing));
    parts.adds.setAttribute("aria-pressed", String(sharing));
    parts.guessed.hidden = sharing;
    parts.shares.hidden = !sharing;
    this.show();
  }

  open(name) {
    this.tab = name;
    for (const each of TABS) {
      const tab = this.parts[`tab_${each}`];
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      this.parts[`panel_${each}`].classList.toggle("open", each === name);
    }
    this.heads.place(name === "heads");
    this.show();
  }

  hear(kind) {
    this.begin();
    if (this.runs.pick && this.runs.inspected.able) this.load(kind === "selection");
    this.deeper?.hear(kind);
    if (kind !== "selection" || !this.runs.hover) return this.showSoon();
    clearTimeout(this.timer); // what only passes under the pointer is not asked about
    this.timer = setTimeout(() => this.show(), PASSING);
  }

  show() {
    clearTimeout(this.timer);
    this.heads.bar();
    if (!this.parts.tabs.classList.contains("begun")) return;
    const { selection, running } = this.runs;
    const at = selection.follows && running ? -1 : selection.query;
    if (this.tab === "heads") this.heads.show();
    this.deeper?.show(this.tab, at, this.sharing);
  }

  fork(at, token) {
    const { runs } = this;
    runs.rewrite?.({ run: runs.run.id, at, token, off: runs.off }, at);
  }

  listen() {
    const { tabs, guesses, adds } = this.parts;
    guesses.addEventListener("click", () => this.turn(false));
    adds.addEventListener("click", () => this.turn(true));
    tabs.addEventListener("keydown", (event) => {
      const at = TABS.indexOf(this.tab);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: TABS.length - 1 }[
        event.key
      ];
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.open(TABS.at(to % TABS.length));
      this.parts[`tab_${this.tab}`].focus();
    });
  }
}

let named = 0;
