// The texts this page has shown: which was made of which (a tree), and in which order they were shown
// (undo and redo). A text is known by a key of this page; the server may have forgotten it by then.

import { labelOf } from "../text/token_label.js";
import { isIndex } from "./wire.js";

/**
 * @typedef {object} BranchText
 * @property {string|null} run its id on the server, if that ever knew it
 * @property {string|null} of the text it was made of
 * @property {number} at the place from which it was made anew
 * @property {any} token what was put there, if anything
 * @property {boolean} continued it is the other one, gone on with from `at`
 * @property {number[][]} off heads that were off, [layer, head]
 * @property {string|undefined} instead what stood in for them
 * @property {string} size
 * @property {number} prompt its first tokens
 * @property {string} state
 * @property {string|undefined} seed
 * @property {object|null} sampling
 * @property {{items: any[], ready: number}} tokens
 * @property {number} rested tokens there were when it was last at rest
 */

const MOST = 100; // texts that can be gone back to
const RESTING = ["done", "stopped", "error"];
const SAME = ["size", "prompt", "seed"]; // what tells a text that was put back from another

export class Branches {
  constructor() {
    /** @type {(() => any)|null} what the tab or a link has kept, for the text that comes first */
    this.expected = null;
    this.reset();
  }

  reset() {
    /** @type {Map<string, BranchText>} */
    this.texts = new Map();
    this.shown = []; // keys in the order in which they were shown
    this.at = -1; // which of them is shown now
    this.going = null; // {key, at}: what the server was asked to show again
    this.made = 0;
  }

  /**
   * The server has said something of a text. Whether that is another step that can be undone.
   * @param {{id: string, tokens: {items: any[], ready: number}, status: any}} run
   * @param {boolean} paced it grows a token at a time: each is no step of its own
   */
  heed(run, paced = false) {
    const entered = this.keyOf(run.id) !== this.id || this.id === null;
    if (entered) this.enter(run);
    const text = this.texts.get(this.id);
    const { status } = run;
    const resting = RESTING.includes(status.state);
    // It may have been gone on with and be at rest again before anything was heard of it.
    const grows = !resting || status.n > text.rested;
    const goesOn = grows && RESTING.includes(text.state) && !entered && !paced;
    if (goesOn) this.setApart(text);
    Object.assign(text, { run: run.id, tokens: run.tokens, ...madeOf(status) });
    if (resting) text.rested = status.n;
    return entered || goesOn;
  }

  enter({ id, status }) {
    const kept = this.texts.size === 0 ? unpacked(this.expected?.()) : null;
    this.expected = null;
    if (kept && isSame(kept.texts.get(kept.shown[kept.at]), status))
      return Object.assign(this, kept);
    const { going } = this;
    this.going = null;
    const wanted = going && this.texts.get(going.key);
    if (wanted && status.state !== "running" && isSame(wanted, status))
      return this.showAgain(going.key, going.at);
    const known = this.keyOf(id);
    if (known !== null) return this.showAgain(known, this.shown.indexOf(known));
    const of = this.keyOf(status.branch?.of);
    const { at = 0, token = null } = (of !== null && status.branch) || {};
    const text = { of, at, token, continued: false, rested: 0 };
    this.texts.set(id, /** @type {any} */ (text));
    this.showAgain(id, -1);
    this.forgetOldest();
  }

  // At its place in what can be undone; as the newest step, where that is -1.
  showAgain(key, at) {
    if (at < 0) this.shown = [...this.shown.slice(0, this.at + 1), key];
    this.at = at < 0 ? this.shown.length - 1 : at;
  }

  // It is gone on with: as it was it stays, and what was made of it was made of that.
  setApart(text) {
    const key = this.id;
    this.made += 1;
    const before = `${key}/${this.made}`;
    const items = text.tokens.items.slice(0, text.rested);
    for (const other of this.texts.values()) if (other.of === key) other.of = before;
    this.texts.set(before, { ...text, tokens: { items, ready: items.length } });
    Object.assign(text, { of: before, at: items.length, token: null, continued: true });
    const steps = this.shown.slice(0, this.at + 1);
    this.shown = [...steps.map((one) => (one === key ? before : one)), key];
    this.at = this.shown.length - 1;
  }

  forgetOldest() {
    while (this.texts.size > MOST) {
      const path = this.path();
      const oldest = [...this.texts.keys()].find((key) => !path.includes(key));
      if (oldest === undefined) return;
      for (const text of this.texts.values()) if (text.of === oldest) text.of = null;
      this.texts.delete(oldest);
      const id = this.id;
      this.shown = this.shown.filter((key) => key !== oldest);
      this.at = this.shown.lastIndexOf(id);
    }
  }

  /** The server is asked for a text that was shown before: at a step of undo, or by its key. */
  goTo(key, at = this.shown.indexOf(key)) {
    this.going = { key, at };
  }

  /** @param {string|undefined} run  @returns {string|null} */
  keyOf(run) {
    if (run === undefined) return null;
    if (this.texts.get(this.id)?.run === run) return this.id;
    for (const [key, text] of this.texts) if (text.run === run && !this.isEarlier(key)) return key;
    return null;
  }

  // Its run has been gone on with since.
  isEarlier(key) {
    for (const { of, continued } of this.texts.values()) if (continued && of === key) return true;
    return false;
  }

  get id() {
    return this.shown[this.at] ?? null;
  }

  get before() {
    return this.shown[this.at - 1] ?? null;
  }

  get after() {
    return this.shown[this.at + 1] ?? null;
  }

  /** From the original to a text, the one that is shown by default. @returns {string[]} */
  path(last = this.id) {
    const path = [];
    for (let key = last; key !== null && this.texts.has(key); key = this.texts.get(key).of)
      path.unshift(key);
    return path;
  }

  /** All that were made of the same original, each after the one it was made of. */
  tree(root = this.path()[0]) {
    const keys = [];
    const add = (key) => {
      keys.push(key);
      for (const [other, { of }] of this.texts) if (of === key) add(other);
    };
    if (root !== undefined) add(root);
    return keys;
  }

  /** The first token in which a text differs from the one it was made of; -1 while there is none. */
  divergence(key) {
    const text = this.texts.get(key);
    const other = this.texts.get(text?.of)?.tokens;
    if (!other) return -1;
    const length = Math.min(text.tokens.ready, other.ready);
    for (let i = 0; i < length; i++)
      if (JSON.stringify(text.tokens.items[i]) !== JSON.stringify(other.items[i])) return i;
    return -1;
  }

  /** How a text was made of the one before it, in words. */
  nameOf(key) {
    const { of, at, token, continued, off } = this.texts.get(key);
    if (of === null) return "original";
    if (continued) return `continued at ${at}`;
    if (token !== null) return `“${labelOf(token)}” at ${at}`;
    const heads =
      off.length === 0
        ? "all heads on"
        : `${off.length} ${off.length === 1 ? "head" : "heads"} off`;
    const from = this.divergence(key);
    return from < 0 ? heads : `${heads}, differs from ${from}`;
  }

  /** What the server needs to show a text that it may have forgotten; as session_store.js keeps one. */
  snapshot(key) {
    const { tokens, ...text } = this.texts.get(key);
    const { size, prompt, state, seed, sampling, off, instead } = text;
    const items = tokens.items.slice(0, tokens.ready);
    return { size, prompt, state, seed, sampling, off, instead, tokens: items };
  }

  /**
   * What a tab keeps, or a link: only the tree of the text that is shown, of others than those that
   * lead to it no more than `most` tokens. Null where there is one text alone.
   */
  packed(most = Infinity) {
    const path = this.path();
    const roots = [...this.texts.keys()].filter((key) => this.texts.get(key).of === null);
    const keys = Number.isFinite(most) ? this.tree() : roots.flatMap((root) => this.tree(root));
    const places = new Map();
    const texts = [];
    let left = most;
    for (const key of keys) {
      const text = this.texts.get(key);
      if (text.of !== null && !places.has(text.of)) continue; // that one did not fit
      const of = text.of === null ? -1 : places.get(text.of);
      const { tokens, ...made } = this.snapshot(key);
      const same = of < 0 ? 0 : sharedBy(tokens, this.texts.get(text.of).tokens);
      left -= tokens.length - same;
      if (left < 0 && !path.includes(key)) continue;
      places.set(key, texts.length);
      const { at, token, continued } = text;
      texts.push({ of, at, token, continued, ...made, same, tokens: tokens.slice(same) });
    }
    if (texts.length < 2) return null;
    const shown = this.shown.filter((key) => places.has(key)).map((key) => places.get(key));
    const at = this.shown.slice(0, this.at).filter((key) => places.has(key)).length;
    return { texts, shown, at };
  }
}

function madeOf({ state, size, prompt, stats, sampling, off, instead }) {
  return { state, size, prompt, seed: stats?.seed, sampling, off, instead };
}

function isSame(text, status) {
  const made = madeOf(status);
  return Boolean(text) && SAME.every((name) => text[name] === made[name]);
}

function sharedBy(tokens, other) {
  let i = 0;
  while (
    i < tokens.length &&
    i < other.ready &&
    JSON.stringify(tokens[i]) === JSON.stringify(other.items[i])
  )
    i += 1;
  return i;
}

/** `packed` undone; null for what it never makes, since anybody can make up a link. */
export function unpacked(kept) {
  if (!Array.isArray(kept?.texts) || !Array.isArray(kept.shown) || kept.texts.length > MOST)
    return null;
  const texts = new Map();
  const keys = kept.texts.map((_, i) => `kept-${i}`);
  for (const [i, text] of kept.texts.entries()) {
    if (!isText(text, i)) return null;
    const { of, at, token, continued, same, ...made } = text;
    const parent = of < 0 ? null : keys[of];
    const before = of < 0 ? [] : texts.get(parent).tokens.items.slice(0, same);
    const items = [...before, ...text.tokens];
    const tokens = { items, ready: items.length };
    texts.set(keys[i], {
      ...{ ...made, run: null, of: parent, at, token, continued: Boolean(continued) },
      ...{ tokens, rested: items.length },
    });
  }
  const shown = kept.shown.map((i) => keys[i]);
  if (shown.includes(undefined) || !(kept.at in shown)) return null;
  return { texts, shown, at: kept.at };
}

function isText(text, i) {
  const { of, at, token = null, same, tokens, prompt, off } = text ?? {};
  return (
    Number.isInteger(of) &&
    of >= -1 &&
    of < i &&
    [at, same, prompt].every(isIndex) &&
    (token === null || isToken(token)) &&
    Array.isArray(tokens) &&
    tokens.every(isToken) &&
    Array.isArray(off) &&
    off.every((head) => Array.isArray(head) && head.length === 2 && head.every(isIndex))
  );
}

function isToken(token) {
  return [token, token?.special, token?.hex].some((part) => typeof part === "string");
}
