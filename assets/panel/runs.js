// The one store both views share: the tokens and rows of the newest run, and what is looked at.
// Views subscribe and read; only messages of the server and the reader's choices change it.

import { Arrivals, decodeBase64, headOf, isIndex, splitRows } from "./wire.js";
import { Healer } from "./healer.js";

export class Runs {
  constructor() {
    this.run = null;
    this.seen = new Set();
    this.layer = 0;
    this.head = 0;
    this.layerChosen = false;
    this.pick = null; // {query, key}: where the reader put the selection
    this.hover = null; // the same, for as long as the pointer rests there
    this.trouble = "";
    this.server = null;
    this.listeners = new Set();
    this.healer = new Healer({
      need: () => this.missing(),
      pull: (request) => this.server.pull(request),
      take: (answer) => this.takePulled(answer),
      onError: (sentence) => this.complain(sentence),
    });
  }

  // listener(kind): "run", "tokens", "rows", "status", "view", "selection" or "trouble"
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(kind) {
    for (const listener of [...this.listeners]) listener(kind);
  }

  connect(server) {
    if (server?.pull) this.server = server;
  }

  // --- messages -------------------------------------------------------------------------------

  takeOutput(value) {
    if (!this.enter(value?.run)) return;
    const { tokens = [], start = 0, n = 0, prompt = 0, state, note = "", stats = null } = value;
    this.run.status = { n, prompt, state, note, stats };
    this.run.tokenCount = Math.max(this.run.tokenCount, n);
    if (this.run.tokens.put(start, tokens)) this.tell("tokens");
    this.tell("status");
    this.healer.poke();
  }

  takeAttention(value) {
    if (!this.enter(value?.run)) return;
    const { run } = this;
    this.shape(value);
    run.example = Boolean(value.example);
    run.pushed = value.layer;
    run.rowCount = Math.max(run.rowCount, value.n ?? 0);
    run.tokenCount = Math.max(run.tokenCount, run.rowCount);
    this.putRows(value);
    this.follow();
    this.healer.poke();
  }

  takePulled(answer) {
    const { run } = this;
    if (run === null || answer.run !== run.id) return;
    this.shape(answer);
    run.rowCount = Math.max(run.rowCount, answer.n ?? 0);
    if (run.tokens.put(answer.tokens_start ?? 0, answer.tokens ?? [])) this.tell("tokens");
    this.putRows(answer);
  }

  // A new run id starts a new text; one that was left behind is not looked at again.
  enter(id) {
    if (!id) return false;
    if (this.run?.id === id) return true;
    if (this.seen.has(id)) return false;
    this.seen.add(id);
    this.run = {
      id,
      tokens: new Arrivals(),
      tokenCount: 0,
      layers: 0,
      heads: 0,
      rows: new Map(), // layer -> Arrivals
      rowCount: 0,
      pushed: null,
      example: false,
      status: null,
    };
    this.pick = this.hover = null;
    this.tell("run");
    return true;
  }

  shape({ layers, heads, layer }) {
    const { run } = this;
    if (run.layers || !isIndex(layers) || !isIndex(heads)) return;
    run.layers = layers;
    run.heads = heads;
    if (!this.layerChosen || this.layer >= layers) this.layer = layer;
    if (this.head >= heads) this.head = 0;
    this.tell("view");
  }

  // A message that does not decode counts as lost: what it carried is pulled.
  putRows({ layer, start, rows }) {
    if (!rows || !isIndex(layer) || layer >= this.run.layers) return;
    try {
      const list = splitRows(decodeBase64(rows), start, this.run.heads);
      if (this.rowsOf(layer).put(start, list) && layer === this.layer) this.tell("rows");
    } catch (error) {
      console.warn("attention rows dropped:", error.message);
    }
  }

  rowsOf(layer) {
    const { rows } = this.run;
    if (!rows.has(layer)) rows.set(layer, new Arrivals());
    return rows.get(layer);
  }

  // --- what is missing ------------------------------------------------------------------------

  missing() {
    const { run } = this;
    if (run === null || this.server === null) return null;
    const start = run.layers ? this.rowsOf(this.layer).ready : 0;
    const tokens = run.tokens.ready;
    if (start >= run.rowCount && tokens >= run.tokenCount) return null;
    return { run: run.id, layer: this.layer, start, tokens_from: tokens };
  }

  // Tell the server which layer to push when the reader's choice is another one than it sends.
  follow() {
    const { run } = this;
    if (run.pushed === this.layer || run.asked === this.layer) return;
    run.asked = this.layer;
    this.server?.watch_layer?.({ run: run.id, layer: this.layer })?.catch?.(() => {
      run.asked = null; // the next message asks again
    });
  }

  complain(sentence) {
    if (this.trouble === sentence) return;
    this.trouble = sentence;
    this.tell("trouble");
  }

  // --- the reader's choices -------------------------------------------------------------------

  chooseLayer(layer) {
    if (!this.run || layer === this.layer) return;
    this.layer = layer;
    this.layerChosen = true;
    this.run.asked = null;
    if (this.run.pushed === layer) this.run.pushed = null; // the last word must be the reader's
    this.follow();
    this.tell("view");
    this.healer.poke(0);
  }

  chooseHead(head) {
    if (head === this.head) return;
    this.head = head;
    this.tell("view");
  }

  select(pick) {
    this.pick = pick;
    this.hover = null;
    this.tell("selection");
  }

  point(hover) {
    if (hover?.query === this.hover?.query && hover?.key === this.hover?.key) return;
    this.hover = hover;
    this.tell("selection");
  }

  // --- what to show ---------------------------------------------------------------------------

  get running() {
    return this.run?.status?.state === "running";
  }

  // Rows of the layer looked at that can be drawn: from 0 without a gap.
  get drawable() {
    return this.run?.layers ? this.rowsOf(this.layer).ready : 0;
  }

  // The selection: under the pointer, else the chosen one, else the newest row.
  get selection() {
    const chosen = this.hover ?? this.pick;
    if (chosen) return { query: chosen.query, key: chosen.key ?? null, follows: false };
    return { query: this.drawable - 1, key: null, follows: true };
  }

  // The bytes of row i for the head looked at, or null where there is none (yet).
  row(i, head = this.head) {
    const row = i >= 0 && this.run?.layers ? this.rowsOf(this.layer).at(i) : undefined;
    return row ? headOf(row, head, i) : null;
  }

  token(i) {
    return this.run?.tokens.at(i);
  }
}

const stores = new Map();

// Views that name the same channel share a store; a page needs a second only for a second text.
export function runsOf(channel = "") {
  if (!stores.has(channel)) stores.set(channel, new Runs());
  return stores.get(channel);
}
