// The row that is told of while nobody has chosen one: outlined in the map, listed, said, marked in
// the text. All move on together, and slowly enough to be read; the map itself gains every row.

import { atMostEvery, perFrame } from "../gradio/dom.js";

const CALM = 300; // ms between two rows told of while a text grows: faster nobody reads
const NEWS = ["run", "view", "tokens", "rows", "status"];

export class NewestRow {
  constructor(runs) {
    this.runs = runs;
    this.row = -1;
    this.moveSoon = atMostEvery(CALM, () => this.move());
    this.moveNow = perFrame(() => this.moveSoon(true));
    runs.subscribe((kind) => NEWS.includes(kind) && this.heed());
  }

  // The first of a text at once, and the last.
  heed() {
    const { running, drawable } = this.runs;
    if (running && this.row >= 0 && drawable > 0) this.moveSoon();
    else this.moveNow();
  }

  move() {
    this.row = this.runs.drawable - 1;
    this.runs.tell("newest row");
  }

  /** It never runs ahead of the rows there are. */
  get query() {
    const newest = this.runs.drawable - 1;
    return this.runs.running ? Math.min(this.row, newest) : newest;
  }
}
