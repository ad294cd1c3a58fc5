// The text shaded by how much each token surprised the model, or by its rank, as in GLTR.

const MOST_BITS = 12; // that get the full tint; rarer tokens look alike
const BANDS = [10, 100, 1000]; // ranks (Gehrmann et al. 2019)

export const LEGENDS = {
  surprise: [
    ["few", "0 bits of surprise"],
    ["many", `${MOST_BITS} or more`],
  ],
  rank: [
    ["band-0", "likeliest 10"],
    ["band-1", "100"],
    ["band-2", "1,000"],
    ["band-3", "rarer"],
  ],
};

export class TextShade {
  /** @param {TextFlow} flow */
  constructor(flow) {
    this.flow = flow;
    this.kind = "attention"; // or surprise or rank: never two at once
    /** @type {HTMLElement[]} */
    this.shaded = [];
  }

  clear() {
    for (const span of this.shaded) {
      span.classList.remove(
        "surprise",
        ...BANDS.map((_, n) => `band-${n}`),
        `band-${BANDS.length}`,
      );
      span.style.removeProperty("--bits");
    }
    this.shaded = [];
  }

  /**
   * shade: {bits, ranks} of the tokens, or null.
   * @param {ShadeMessage | null} shade
   */
  show(shade) {
    this.clear();
    if (!shade || this.kind === "attention") return;
    const spans = new Map(); // a character of many tokens has the bits of all of them
    this.flow.spans.forEach((span, i) => {
      const known = spans.get(span) ?? { bits: 0, rank: 0 };
      const [bits, rank] = [shade.bits[i], shade.ranks[i]];
      if (bits === null || bits === undefined) return;
      spans.set(span, {
        bits: known.bits + bits,
        rank: Math.max(known.rank, rank ?? 0),
      });
    });
    for (const [span, { bits, rank }] of spans) {
      if (this.kind === "rank")
        span.classList.add(`band-${BANDS.filter((most) => rank > most).length}`);
      else {
        span.classList.add("surprise");
        span.style.setProperty("--bits", Math.min(1, bits / MOST_BITS).toFixed(3));
      }
      this.shaded.push(span);
    }
  }
}
