// The ends that a text has been given: which was made of which, and which were shown one after another.

/** @typedef {{of: string, at: number, token: any}} Branch */

const MOST = 100; // texts that can be gone back to

export class Branches {
  constructor() {
    this.reset();
  }

  reset() {
    /** @type {Map<string, {branch: Branch|null, off: number[][], tokens: any[]}>} */
    this.texts = new Map();
    this.shown = []; // ids in the order in which they were shown
    this.at = -1; // which of them is shown now
  }

  /**
   * A text is shown.
   * @param {string} id
   * @param {{branch?: Branch|null, off?: number[][]}} made
   * @param {any[]} tokens
   */
  enter(id, { branch = null, off = [] }, tokens) {
    if (this.texts.has(id)) {
      this.texts.get(id).tokens = tokens;
      const found = this.shown.indexOf(id);
      if (found >= 0) this.at = found;
      return;
    }
    if (!branch || !this.texts.has(branch.of) || this.texts.size >= MOST) this.reset();
    this.texts.set(id, { branch, off, tokens });
    this.shown = [...this.shown.slice(0, this.at + 1), id];
    this.at = this.shown.length - 1;
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

  /** From the original to the text that is shown. @returns {string[]} */
  path() {
    const path = [];
    for (
      let id = this.id;
      id !== null && this.texts.has(id);
      id = this.texts.get(id).branch?.of ?? null
    )
      path.unshift(id);
    return path;
  }

  /** The first token in which a text differs from the one it was made of; -1 while there is none. */
  divergence(id) {
    const text = this.texts.get(id);
    const other = this.texts.get(text?.branch?.of)?.tokens;
    if (!other) return -1;
    return text.tokens.findIndex(
      (token, i) => i < other.length && JSON.stringify(token) !== JSON.stringify(other[i]),
    );
  }
}
