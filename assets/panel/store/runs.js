// The one store both views share: the tokens and rows of the newest run, and what is looked at.
// Views subscribe and read; only the log of that run and the reader's choices change it.

import { SCALES } from "../map/color.js";
import { Branches } from "./branches.js";
import { Inspected } from "./inspected.js";
import { jsonIn, KIND, LogReader, tokensIn } from "./log_reader.js";
import { isPlain, keyOf } from "./map_view.js";
import { restOf } from "../map/reading.js";
import { RolesFeed } from "./roles_feed.js";
import { Text } from "./text.js";
import { NewestRow } from "./newest_row.js";

export class Runs {
  constructor() {
    this.run = null;
    this.seen = new Set();
    this.look = { mode: "head", layer: 0, head: 0 }; // the map looked at
    this.chosen = false; // whether the reader chose it
    this.scale = "sqrt";
    this.apart = true; // the first token is shown separately, the rest as shares of the rest
    this.wantsAtlas = false;
    this.pick = null; // {query, key}: where the reader put the selection
    this.suggested = null; // the row that shows something, while the reader has put it nowhere
    this.hover = null; // the same, for as long as the pointer rests there
    this.window = null; // the part of the map that is zoomed to, null for all of it
    this.starting = null; // {pick, window} of a link, for the text that comes first
    this.guide = {}; // {tour, lesson, pace}: what leads the reader, as a link names it
    this.request = null; // {temperature}: what the newest text was asked for with
    this.pacing = false; // a slow text: its next token is still to be asked for
    this.trouble = "";
    this.server = null;
    this.listeners = new Set();
    this.newestRow = new NewestRow(this);
    this.roles = new RolesFeed(this);
    this.inspected = new Inspected(this);
    this.branches = new Branches();
    this.off = []; // heads that are switched off, [layer, head] in order
    this.rewrite = null; // asks for another end of a text, where the page can (branching.js)
    this.revisit = null; // for a text that was shown before
    this.beside = null; // for all of them beside each other
    this.readWith(new LogReader());
  }

  /** Several stores may share a connection. */
  readWith(reader) {
    this.reader = reader;
    reader.add(this);
  }

  /** listener(kind): run, tokens, rows, atlas, roles, status, view, look, selection, told, inspected,
   * off, branch, guide or trouble */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(kind) {
    for (const listener of [...this.listeners]) listener(kind);
  }

  connect(server) {
    if (server?.roles) this.server = server;
  }

  // --- the log --------------------------------------------------------------------------------

  /** Gradio says which log to read: a new one, or one that has begun to grow again. */
  follow({ run: id, stretch = 0, example = false }) {
    if (example && this.run && !this.run.example) return; // it came after a text that was put back
    if (!this.enter(id)) return;
    this.run.stretch = Math.max(this.run.stretch, stretch);
    this.run.ended = this.run.refused = false;
    this.tell("status");
    this.reader.poke();
  }

  /** What the reader of logs asks for; null when everything is here and nobody writes. */
  wish() {
    const { run } = this;
    if (run === null || run.refused || (run.ended && this.missing() === null)) return null;
    const unseen = hidden();
    const { mode, layer, head } = this.look;
    // Where the reader has chosen none, the server knows which layer to begin with.
    const view = run.layers || this.chosen ? `${mode}.${layer}.${head}` : mode;
    return {
      run: run.id,
      from: run.tokens.ready,
      view: unseen ? "" : view,
      rows: this.drawable,
      heads: this.wantsAtlas && !unseen ? (run.atlas?.count ?? 0) : null,
    };
  }

  take({ kind, start, count, payload }, served) {
    const { run } = this;
    if (run === null) return;
    if (kind === KIND.shape) this.takeShape(jsonIn(payload), served);
    else if (run.id !== served.run)
      return; // a new text has begun meanwhile
    else if (kind === KIND.status) this.takeStatus(jsonIn(payload));
    else if (kind === KIND.tokens) this.takeTokens(start, tokensIn(payload));
    else if (kind === KIND.rows) this.takeRows(start, payload, served);
    else if (kind === KIND.heads) run.atlas.push(start, payload);
    else if (kind === KIND.maps) run.atlas.replace(count, payload);
    else if (kind === KIND.end) this.takeEnd(jsonIn(payload));
    if (kind === KIND.heads || kind === KIND.maps) this.tell("atlas");
  }

  takeShape(value, served) {
    served.run = value.run;
    if (value.run !== this.run.id) return;
    const { view, example, row } = value;
    this.run.example = Boolean(example);
    if (example) this.suggested = row ?? null;
    if (view) Object.assign(served, { key: keyOf(view), plain: isPlain(view.mode) });
    if (!this.run.shape(value) || !view) return;
    const { layer, head } = this.look;
    if (!this.chosen || layer >= this.run.layers || head >= this.run.heads) {
      this.look = { ...this.look, layer: view.layer, head: view.head };
    }
    this.tell("view");
  }

  takeStatus({ n, read, draft, stretch, ...status }) {
    const { run } = this;
    run.tokenCount = n;
    run.rowCount = read;
    run.stretch = Math.max(run.stretch, stretch);
    if (run.example) return;
    const first = !run.status;
    run.status = { ...status, n, stretch };
    run.draft = draft;
    if (this.branches.heed(run, Boolean(this.guide.pace))) {
      this.inspected.reset(); // it may go on with other settings
      this.tell("branch");
    }
    if (first) this.switchOff(status.off);
    this.tell("status");
  }

  takeTokens(start, records) {
    const { run } = this;
    run.guesses.put(
      start,
      records.map(({ guess }) => guess),
    );
    const tokens = records.map(({ token }) => token);
    if (run.tokens.put(start, tokens)) this.tell("tokens");
  }

  takeRows(start, payload, { key, plain }) {
    if (this.run.putRows(key, plain, start, payload) && key === this.key) this.tell("rows");
    this.roles.poke();
  }

  takeEnd({ error = "" }) {
    const { run } = this;
    if (error) return this.refuse(error);
    run.ended = (run.status?.stretch ?? 0) >= run.stretch;
    this.complain("");
    this.roles.poke();
  }

  /** The server says why it cannot be read on; the next choice asks again. */
  refuse(sentence) {
    if (this.run) this.run.refused = true;
    this.complain(sentence);
  }

  /** No more of the text will come: the server is gone. */
  breakOff(note) {
    if (!this.running) return;
    this.run.status = { ...this.run.status, state: "stopped", note, broken: true };
    this.run.refused = true;
    this.tell("status");
  }

  // A new run id starts a new text; one that was left behind is not looked at again.
  enter(id) {
    if (!id) return false;
    if (this.run?.id === id) return true;
    if (this.seen.has(id)) return false;
    this.seen.add(id);
    this.run = new Text(id);
    this.hover = this.suggested = null;
    this.pick = this.starting?.pick ?? null;
    this.roles.reset();
    this.inspected.reset();
    this.tell("run");
    return true;
  }

  // --- what is missing ------------------------------------------------------------------------

  /** Null when all that the server has of the text and of the map looked at is here. */
  missing() {
    const { run } = this;
    if (run === null) return null;
    const behind = this.wantsAtlas && run.layers && run.atlas.count < run.rowCount;
    const lacks = this.drawable < run.rowCount || run.tokens.ready < run.tokenCount || behind;
    return lacks ? { run: run.id, view: this.look, start: this.drawable } : null;
  }

  /** Something else is looked at than is being read. */
  lookAgain() {
    if (!this.run) return;
    this.run.refused = false;
    this.reader.poke();
  }

  // --- heads that are off ---------------------------------------------------------------------

  isOff({ layer, head }) {
    return this.off.some((one) => one[0] === layer && one[1] === head);
  }

  toggleHead(head) {
    const others = this.off.filter((one) => one[0] !== head.layer || one[1] !== head.head);
    const more = this.isOff(head) ? others : [...others, [head.layer, head.head]];
    this.switchOff(more.sort((a, b) => a[0] - b[0] || a[1] - b[1]));
  }

  /** @param {number[][]} off */
  switchOff(off) {
    this.off = off;
    this.tell("off");
  }

  complain(sentence) {
    if (this.trouble === sentence) return;
    this.trouble = sentence;
    this.tell("trouble");
  }

  // --- the reader's choices -------------------------------------------------------------------

  /** Look at another map: any of {mode, layer, head}. */
  choose(change) {
    if (!this.run) return;
    this.look = { ...this.look, ...change };
    this.chosen = true;
    this.tell("view");
    this.lookAgain();
  }

  /** Let the next text open its clearest head, whatever the reader chose for those before. */
  unchoose() {
    this.chosen = false;
  }

  /** Fetch a map before it is looked at, so that the one shown stays until then. */
  async fetchMap(view, then) {
    const { run, look } = this;
    const { mode, layer, head } = view;
    const wish = {
      run: run.id,
      from: run.tokens.ready,
      view: `${mode}.${layer}.${head}`,
      rows: run.rowsOf(keyOf(view)).ready,
      heads: null,
    };
    await this.reader.once([{ store: this, wish }], false).catch(() => null);
    if (this.run !== run || this.look !== look || this.running) return;
    then();
  }

  /** Show another map, and a row of it, without taking them for the reader's choice. */
  suggest(change, query = null) {
    this.look = { ...this.look, ...change };
    this.suggested = query;
    this.tell("view");
    this.tell("selection");
    this.lookAgain();
  }

  /** Begin with this map and way of drawing, as a link or a file wants it. */
  start({ look, scale, apart, pick = null, window = null }) {
    Object.assign(this, { look, apart, chosen: true, starting: { pick, window } });
    if (scale in SCALES) this.scale = scale;
  }

  /** The same for the text that is shown. */
  show(wanted) {
    this.start(wanted);
    this.pick = wanted.pick;
    this.window = wanted.window;
    this.starting = null;
    for (const kind of ["view", "look", "selection"]) this.tell(kind);
    this.lookAgain();
  }

  /** What leads the reader: any of {tour, lesson, pace}; undefined leaves it. */
  guideTo(change) {
    this.guide = { ...this.guide, ...change };
    this.tell("guide");
  }

  /** The part of the map that a new text begins with. */
  beginWindow() {
    this.window = this.starting?.window ?? null;
    this.starting = null;
  }

  zoom(window) {
    this.window = window;
    this.tell("look");
  }

  /** How it is drawn: any of {scale, apart}. */
  draw(change) {
    Object.assign(this, change);
    this.tell("look");
  }

  wantAtlas(wanted) {
    this.wantsAtlas = wanted;
    this.lookAgain();
  }

  select(pick) {
    this.pick = pick;
    this.suggested = null;
    this.hover = null;
    this.tell("selection");
  }

  point(hover) {
    if (hover?.query === this.hover?.query && hover?.key === this.hover?.key) return;
    this.hover = hover;
    this.tell("selection");
  }

  // --- what to show ---------------------------------------------------------------------------

  /** It is being written, also where a press has been answered and nothing of it was read yet. */
  get running() {
    return this.beginning || this.run?.status?.state === "running";
  }

  get beginning() {
    const { run } = this;
    return Boolean(run) && !run.refused && (run.status?.stretch ?? 0) < run.stretch;
  }

  get key() {
    return keyOf(this.look);
  }

  /** Whether the first token is shown separately: a maximum's rows are no shares. */
  get splits() {
    return this.apart && !isPlain(this.look.mode);
  }

  /** Rows of the map looked at that can be drawn: from 0 without a gap. */
  get drawable() {
    return this.run?.layers ? this.run.rowsOf(this.key).ready : 0;
  }

  /** The selection: under the pointer, else the chosen one, else the newest row that is told of. */
  get selection() {
    const chosen = this.hover ?? this.pick;
    if (chosen) return { query: chosen.query, key: chosen.key ?? null, follows: false };
    const { suggested } = this;
    if (suggested !== null && suggested < this.drawable)
      return { query: suggested, key: null, follows: true };
    return { query: this.newestRow.query, key: null, follows: true };
  }

  /** The weights of row i of the map looked at, or null where there is none (yet). */
  row(i) {
    return (i >= 0 && this.run?.layers && this.run.rowsOf(this.key).at(i)) || null;
  }

  /** The same as it is drawn: without the first token where that is shown separately. */
  shownRow(i) {
    const row = this.row(i);
    return row && this.splits ? restOf(row) : row;
  }
}

function hidden() {
  return globalThis.document?.hidden ?? false;
}

const stores = new Map();

/** Views that name the same channel share a store; a page needs a second only for a second text. */
export function runsOf(channel = "") {
  if (!stores.has(channel)) stores.set(channel, new Runs());
  return stores.get(channel);
}

// A tab nobody sees asks for no rows; what it missed is read when it is seen again.
globalThis.document?.addEventListener("visibilitychange", () => {
  for (const runs of stores.values()) runs.reader.poke();
});
