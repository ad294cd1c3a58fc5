// The columns of a comparison: one per size, each a store and an Output panel of its own.

import { mount as mountAttention } from "../map/attention_view.js";
import { CompareColumn } from "./compare_column.js";
import { shareColumns } from "./comparison.js";
import { partsOf, perFrame, setText } from "../gradio/dom.js";
import { divergenceOf, divergenceSentence } from "./divergence.js";
import { LogReader } from "../store/log_reader.js";
import { enable } from "../text/run_buttons.js";
import { runsOf } from "../store/runs.js";

const FULL = "compare-full"; // the store that the full map follows one column with

export function mount(element, props, watch, server) {
  const view = new CompareView(element, server);
  watch("value", () => view.take(props.value));
  addEventListener("gpt2-trouble", (event) => {
    view.trouble(/** @type {CustomEvent} */ (event).detail);
  });
  view.take(props.value);
  return view;
}

export class CompareView {
  constructor(element, server) {
    this.parts = partsOf(element);
    this.template = (name) => element.querySelector(`[data-template="${name}"]`).content;
    this.server = server;
    this.id = null;
    this.columns = [];
    this.opened = null;
    this.full = runsOf(FULL);
    this.reader = new LogReader(); // one connection for all columns
    this.full.readWith(this.reader);
    this.compareSoon = perFrame(() => this.compare());
    this.stopSoon = perFrame(() => enable("compare-stop", false) || this.stopSoon());
    this.stopSoon();
    this.parts.close.addEventListener("click", () => this.open(null));
  }

  // value: {id, branches, columns: [{size, title, memory}], updates: {"0": {output}}}, or {note}
  take(value) {
    setText(this.parts.general, value?.note ?? "");
    if (value?.note) this.compareSoon();
    if (!value?.columns) return;
    if (value.id !== this.id) this.begin(value);
    for (const [at, update] of Object.entries(value.updates)) this.columns[at].take(update);
    this.compareSoon();
  }

  // The server has refused or is gone (sse_keep_alive.js).
  trouble({ note, lost }) {
    setText(this.parts.general, note);
    if (lost) for (const { runs } of this.columns) runs.breakOff(note);
  }

  compare() {
    enable(
      "compare-stop",
      this.columns.some(({ progress, waits }) => waits || (progress && !progress.ended)),
    );
    this.comparePartings();
    shareColumns(this.columns);
  }

  begin({ id, columns, branches = false }) {
    this.id = id;
    const { parts } = this;
    parts.invite.hidden = true;
    parts.columns.hidden = false;
    parts.turns.hidden = branches; // they are written already
    while (this.columns.length > columns.length) this.columns.pop().element.remove();
    columns.forEach((about, at) => {
      this.columns[at] ??= this.add(at);
      this.columns[at].begin(about);
    });
    if (this.opened !== null && this.opened >= columns.length) this.open(null);
  }

  add(at) {
    const element = document.createElement("div");
    element.className = "column";
    element.append(this.template("output").cloneNode(true));
    this.parts.columns.append(element);
    const column = new CompareColumn(element, at, this.server, {
      onMap: () => this.open(this.opened === at ? null : at),
      onDivergence: () => this.showDivergence(at),
    });
    column.runs.readWith(this.reader);
    column.runs.subscribe((kind) => {
      if (kind === "tokens" || kind === "status") this.compareSoon();
      if (this.opened !== at || kind === "selection") return;
      if (this.full.run !== column.runs.run) this.follow(at);
      else this.full.tell(kind);
      this.full.roles.poke();
    });
    return column;
  }

  // Where each column leaves the first one; the first shows where it is left first of all.
  comparePartings() {
    const [first, ...others] = this.columns;
    const found = others.map((other) => divergenceOf(first.progress, other.progress));
    others.forEach((other, k) => {
      other.markDivergence(found[k]?.second, divergenceSentence(found[k], first));
    });
    const places = found.flatMap((divergence) =>
      divergence?.first >= 0 ? [divergence.first] : [],
    );
    first.markDivergence(places.length ? Math.min(...places) : undefined, "");
  }

  showDivergence(at) {
    const divergence = divergenceOf(this.columns[0].progress, this.columns[at].progress);
    this.columns[0].reveal(divergence.first);
    this.columns[at].reveal(divergence.second);
  }

  // --- the full map ---------------------------------------------------------------------------

  open(at) {
    const { parts } = this;
    const before = this.opened;
    this.opened = at;
    this.columns.forEach((column, k) => {
      column.map.expand(k === at);
    });
    parts.panel.hidden = at === null;
    if (at === null) {
      this.full.run = null; // its rows are no longer asked for
      this.reader.poke();
    }
    if (at === null) return this.columns[before]?.map.button.focus();
    if (!parts.attention.hasChildNodes()) {
      parts.attention.append(this.template("attention").cloneNode(true));
      mountAttention(
        parts.attention,
        { channel: FULL, value: null, headed: true },
        () => {},
        this.server,
      );
    }
    setText(parts.opened, `Attention of ${this.columns[at].title}`);
    this.follow(at);
    parts.opened.focus({ preventScroll: true });
    parts.panel.scrollIntoView({ block: "nearest" });
  }

  // The full map's store shows the column's own run: no token is kept twice.
  follow(at) {
    const { run, look } = this.columns[at].runs;
    const { full } = this;
    full.run = run;
    full.look = { ...look };
    full.pick = full.hover = null;
    full.roles.reset();
    full.roles.poke();
    full.tell("run");
    full.tell("view");
    full.lookAgain();
  }
}
