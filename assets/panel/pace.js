// How much time this browser needs between two messages to draw what came. A browser that falls
// behind is asked for more and more drawing; fewer, larger messages give it the same rows in time.

import { afterFrame } from "./dom.js";
import { clamp } from "./geometry.js";

const MOST = 250; // ms
export const AT_FIRST = 100; // ms: what the server leaves before it is told, in gpt2/ui/runs.py
const SCREEN = 12; // ms that a frame waits for the screen; what comes on top is work
const TIMES = 3; // as long as that work: the rest of the time is for what is less urgent
const MEMORY = { later: 0.5, sooner: 0.25 }; // how much the newest message counts
const STEADY = 1.5; // smaller changes than by this factor are not worth a call

export class Pace {
  /** @param {() => void} onChange called when the server should be told */
  constructor(onChange) {
    this.onChange = onChange;
    this.spare = AT_FIRST;
    this.late = null; // ms from a message to the end of the frame that shows it, lately
  }

  /** A message came: how late is the frame that shows it? */
  note() {
    const came = performance.now();
    afterFrame(() => this.drawn(performance.now() - came));
  }

  drawn(late) {
    this.late ??= late;
    this.late += (late > this.late ? MEMORY.later : MEMORY.sooner) * (late - this.late);
    const wanted = clamp(TIMES * (this.late - SCREEN), 0, MOST);
    if (wanted < this.spare * STEADY + 10 && wanted > this.spare / STEADY - 10) return;
    this.spare = Math.round(wanted);
    this.onChange();
  }
}
