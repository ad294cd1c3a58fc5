// The one store both views share: the tokens and rows of the newest run, and what is looked at.
// Views subscribe and read; only messages of the server and the reader's choices change it.

import { SCALES } from "./color.js";
import { Branches } from "./branches.js";
import { Healer } from "./healer.js";
import { Inspected } from "./inspected.js";
import { isPlain, keyOf } from "./map_view.js";
import { AT_FIRST, Pace } from "./pace.js";
import { restOf } from "./reading.js";
import { RolesFeed } from "./roles_feed.js";
import { Text } from "./text.js";
import { Told } from "./told.js";

export class Runs {
  constructor() {
    this.run = null;
    this.seen = new Set();
    this.look = { mode: "head", layer: 0, head: 0 }; // the map looked at
    this.chosen = false; // whether the reader chose it
    this.scale = "sqrt";
    this.apart = true; // the first token is shown apart, the rest as shares of the rest
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
    this.told = new Told(this);
    this.roles = new RolesFeed(this);
    this.inspected = new Inspected(this);
    this.branches = new Branches();
    this.off = []; // heads that are switched off, [layer, head] in order
    this.rewrite = null; // asks for another end of a text, where the page can (branching.js)
    this.revisit = null; // for a text that was shown before
    this.beside = null; // for all of them beside each other
    this.pace = new Pace(() => this.run && this.follow());
    this.healer = new Healer({
      need: () => this.missing(),
      pull: (request) => this.server.pull(request),
      take: (answer) => this.takePulled(answer),
      onError: (sentence) => this.complain(sentence),
    });
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
    if (server?.pull) this.server = server;
  }

  // --- messages -------------------------------------------------------------------------------

  takeOutput(value) {
    if (!this.enter(value?.run)) return;
    const {
      tokens = [],
      start = 0,
      n = 0,
      prompt = 0,
      state,
      note = "",
      stats = null,
      size,
    } = value;
    const { sampling = null, off = [], branch = null } = value;
    const first = !this.run.status;
    this.run.status = {
      n,
      prompt,
      state,
      note,
      stats,
      size,
      full: Boolean(value.full),
      sampling,
      off,
      branch,
    };
    this.run.tokenCount = Math.max(this.run.tokenCount, n);
    this.run.draft = value.draft ?? null;
    this.run.guesses.put(start, value.guesses ?? []);
    const more = this.run.tokens.put(start, tokens);
    if (this.branches.heed(this.run, Boolean(this.guide.pace))) {
      this.inspected.reset(); // it may go on with other settings
      this.tell("branch");
    }
    if (first) this.switchOff(off);
    if (more) this.tell("tokens");
    this.tell("status");
    this.healer.poke();
  }

  /** No more of the text will come: the server is gone. */
  breakOff(note) {
    if (!this.running) return;
    this.run.status = { ...this.run.status, state: "stopped", note, broken: true };
    this.tell("status");
  }

  takeAttention(value) {
    if (value?.example && this.run?.status) return; // it came after a text that was put back
    if (!this.enter(value?.run)) return;
    const { run } = this;
    this.shape(value);
    run.example = Boolean(value.example);
    if (run.example) this.suggested = value.row ?? null;
    if (value.view) run.pushed = keyOf(value.view);
    run.rowCount = Math.max(run.rowCount, value.n ?? 0);
    run.tokenCount = Math.max(run.tokenCount, run.rowCount);
    this.putRows(value);
    if (this.running) this.pace.note();
    this.follow();
    this.healer.poke();
    this.roles.poke();
  }

  takePulled(answer) {
    const { run } = this;
    if (run === null || answer.run !== run.id) return;
    this.shape(answer);
    run.rowCount = Math.max(run.rowCount, answer.n ?? 0);
    run.guesses.put(answer.tokens_start ?? 0, answer.guesses ?? []);
    if (run.tokens.put(answer.tokens_start ?? 0, answer.tokens ?? [])) this.tell("tokens");
    this.putRows(answer);
    this.roles.poke();
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

  shape(message) {
    const { view } = message;
    if (!view || !this.run.shape(message)) return;
    const { layer, head } = this.look;
    if (!this.chosen || layer >= this.run.layers || head >= this.run.heads) {
      this.look = { ...this.look, layer: view.layer, head: view.head };
    }
    this.tell("view");
  }

  putRows(message) {
    if (this.run.putRows(message) === this.key) this.tell("rows");
    if (this.run.putAtlas(message)) this.tell("atlas");
  }

  // --- what is missing ------------------------------------------------------------------------

  missing() {
    const { run } = this;
    if (run === null || this.server === null) return null;
    const start = this.drawable;
    const tokens = run.tokens.ready;
    const request = { run: run.id, view: this.look, start, tokens_from: tokens };
    if (start < run.rowCount || tokens < run.tokenCount) return request;
    const behind = this.wantsAtlas && run.layers && run.atlas.count < run.rowCount;
    return behind ? { ...request, atlas: true } : null;
  }

  /** Tell the server which map to push when the reader's choice is another one than it sends. */
  follow() {
    const { run } = this;
    const { spare } = this.pace;
    const asked = `${this.key} ${this.wantsAtlas} ${hidden()} ${spare}`;
    // What a server sends unasked: the map it names, and the atlas.
    const usual = run.asked === undefined && spare === AT_FIRST;
    const unasked = usual && run.pushed === this.key && this.wantsAtlas;
    if (run.asked === asked || unasked) return;
    run.asked = asked;
    const request = { run: run.id, view: this.look, atlas: this.wantsAtlas, on: !hidden(), spare };
    this.server?.watch?.(request)?.catch?.(() => {
      run.asked = null; // the next message asks again
    });
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
    this.follow();
    this.tell("view");
    this.healer.poke(0);
  }

  /** Fetch a map before it is looked at, so that the one shown stays until then. */
  async fetchMap(view, then) {
    const { run, look } = this;
    const asked = {
      run: run.id,
      view,
      start: run.rowsOf(keyOf(view)).ready,
      tokens_from: run.tokens.ready,
    };
    const answer = await this.server?.pull(asked).catch(() => null);
    if (this.run !== run || this.look !== look || this.running) return;
    if (answer && !answer.error) this.takePulled(answer);
    then();
  }

  /** Show another map, and a row of it, without taking them for the reader's choice. */
  suggest(change, query = null) {
    this.look = { ...this.look, ...change };
    this.suggested = query;
    this.follow();
    this.tell("view");
    this.tell("selection");
    this.healer.poke(0);
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
    this.follow();
    for (const kind of ["view", "look", "selection"]) this.tell(kind);
    this.healer.poke(0);
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
    if (this.run) this.follow();
    this.healer.poke(0);
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

  get running() {
    return this.run?.status?.state === "running";
  }

  get key() {
    return keyOf(this.look);
  }

  /** Whether the first token is shown apart: a maximum's rows are no shares. */
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
    return { query: this.told.query, key: null, follows: true };
  }

  /** The weights of row i of the map looked at, or null where there is none (yet). */
  row(i) {
    return (i >= 0 && this.run?.layers && this.run.rowsOf(this.key).at(i)) || null;
  }

  /** The same as it is drawn: without the first token where that is shown apart. */
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

// A tab nobody sees costs the server nothing; what it missed is pulled when it is seen again.
globalThis.document?.addEventListener("visibilitychange", () => {
  for (const runs of stores.values()) if (runs.run) runs.follow();
});
