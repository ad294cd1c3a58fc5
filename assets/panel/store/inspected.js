// What the server has said of single tokens of the newest text: likely tokens, layers, heads off.
// One question at a time; of those that wait only the newest is asked.

const BLOCK = 64; // places of one answer
const NO_ANSWER = "The server did not answer. Choose the token again.";
const WAIT = 500; // ms before a refused question is asked again, longer each time
const TRIES = 5;

/** @typedef {{token: any, id: number, shares: number[], rank: number, cut: string|null, chosen: boolean}} Candidate */
/** @typedef {{likeliest: Candidate[], rest: number[], bits: number, entropy: number, kept: number}} Choice */

export class Inspected {
  constructor(runs) {
    this.runs = runs;
    this.busy = false;
    this.asked = ""; // what must not be asked at the moment
    this.refused = "";
    this.tries = 0;
    this.reset();
  }

  reset() {
    this.choices = new Map(); // "place before" -> Choice, or null where nothing stood before it
    this.facts = null; // of the text: {sampling, vocabulary, starts}
    this.layers = new Map(); // place -> answer
    this.without = new Map(); // "place heads" -> answer
    this.shade = null; // {bits, ranks}
    this.answers = new Map(); // what was asked, as JSON -> answer
    this.failed = "";
    this.waiting = null;
  }

  get able() {
    return Boolean(this.runs.server?.inspect);
  }

  /** The choice at a place, or undefined until it comes. @returns {Choice|null|undefined} */
  choiceAt(at, before) {
    const key = `${at} ${before}`;
    const start = Math.floor(at / BLOCK) * BLOCK;
    if (!this.choices.has(key))
      this.want({ want: "choices", start, before, at }, () => this.choices.has(key));
    return this.choices.get(key);
  }

  layersAt(at) {
    if (!this.layers.has(at)) this.want({ want: "layers", at }, () => this.layers.has(at));
    return this.layers.get(at);
  }

  /** @param {number[][]} off heads as [layer, head] */
  withoutAt(at, off, instead = "zero") {
    const key = `${at} ${JSON.stringify(off)} ${instead}`;
    if (!this.without.has(key))
      this.want({ want: "off", at, off, instead }, () => this.without.has(key));
    return this.without.get(key);
  }

  /** What the server says to any other question, or undefined until it comes. @param {object} request */
  answerTo(request) {
    const key = JSON.stringify(request);
    if (!this.answers.has(key)) this.want(request, () => this.answers.has(key));
    return this.answers.get(key);
  }

  /** Surprisals and ranks of all tokens, once the text is written. */
  shades() {
    const { runs } = this;
    const length = runs.run?.tokens.ready ?? 0;
    const known = () => (this.shade?.bits.length ?? 0) >= length;
    if (!runs.running && length > 0 && !known()) this.want({ want: "shade" }, known);
    return this.shade;
  }

  // `known` says whether an earlier answer has told it meanwhile.
  want(request, known) {
    if (!this.able || !this.runs.run) return;
    if (this.asked === JSON.stringify(request)) return;
    this.waiting = { request, known };
    this.ask();
  }

  async ask() {
    if (this.busy || !this.waiting) return;
    const { request, known } = this.waiting;
    const { run, server } = this.runs;
    this.waiting = null;
    if (known()) return;
    this.busy = true;
    this.asked = JSON.stringify(request);
    const answer = await server.inspect({ run: run.id, ...request }).catch(() => null);
    if (this.runs.run === run) this.take(request, answer ?? { error: NO_ANSWER });
    this.busy = false;
    if (this.failed) this.askAgain(this.asked);
    else this.asked = "";
    if (this.runs.run === run) this.runs.tell("inspected");
    this.ask();
  }

  // Of a server that is busy; one that goes on refusing is asked when a token is chosen next.
  askAgain(question) {
    this.tries = this.refused === question ? this.tries + 1 : 1;
    this.refused = question;
    setTimeout(() => {
      if (this.asked === question) this.asked = "";
      if (this.tries < TRIES) this.runs.tell("inspected");
    }, WAIT * this.tries);
  }

  take(request, answer) {
    this.failed = answer.error ?? "";
    if (answer.error) return;
    if (request.want === "choices") {
      const { sampling, vocabulary, starts } = answer;
      this.facts = { sampling, vocabulary, starts };
      answer.choices.forEach((choice, k) => {
        this.choices.set(`${answer.start + k} ${answer.before}`, choice);
      });
    } else if (request.want === "layers") this.layers.set(answer.at, answer);
    else if (request.want === "off")
      this.without.set(`${answer.at} ${JSON.stringify(request.off)} ${request.instead}`, answer);
    else if (request.want === "shade") this.shade = answer;
    else this.answers.set(JSON.stringify(request), answer);
  }
}
