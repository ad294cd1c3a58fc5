// Stop and Continue show whether there is anything for them to do. They are not disabled as such:
// whoever has just pressed one by keyboard would lose his place. A text that fills its model's context
// cannot be continued.

import { perFrame } from "../gradio/dom.js";
import { BUSY } from "./status_line.js";
import { halt, isOurs } from "./writing_pace.js";

export class RunButtons {
  constructor(runs) {
    this.runs = runs;
    this.asked = false; // pressed, and nothing heard of it yet
    this.state = ""; // what was last heard
    this.begun = true; // what was asked for last has been heard of
    this.ending = null; // the text that was being written when it was asked for
    this.stopped = false; // Stop was pressed before it was heard of
    this.showSoon = perFrame(() => this.show());
    this.show();
    runs.subscribe((kind) => kind === "status" && this.show());
    document.addEventListener("click", refuse, true);
  }

  wait(asked) {
    this.asked = asked;
    if (asked) {
      this.begun = this.stopped = false;
      this.ending = this.runs.running ? this.runs.run.id : null;
    }
    this.show();
  }

  hear(message) {
    this.state = message?.state ?? "";
    if (this.state === "error") halt(this.runs);
    this.show();
    this.begin(message?.run);
  }

  // A Stop that came to the server before the run did has stopped nothing: it is pressed again.
  begin(run) {
    if (this.begun || (run && run === this.ending)) return;
    this.begun = true;
    if (this.stopped) document.getElementById("stop").click();
    this.stopped = false;
  }

  stop() {
    this.stopped = !this.begun;
  }

  // Nothing more will be heard of what was asked for.
  breakOff(note) {
    this.asked = false;
    this.state = "";
    this.runs.breakOff(note);
    this.show();
  }

  show() {
    const { run, running } = this.runs;
    const busy = this.asked || running || this.runs.pacing || BUSY.includes(this.state);
    const more = !busy && Boolean(run?.status) && !run.status.full;
    // Gradio may put its buttons into the page after this panel.
    if (!(enable("stop", busy) && enable("continue", more))) this.showSoon();
  }
}

// Whether the button is there.
export function enable(id, able) {
  const button = document.getElementById(id);
  button?.setAttribute("aria-disabled", String(!able));
  return button !== null;
}

function refuse(event) {
  if (!event.isTrusted && isOurs()) return; // a slow text goes on by itself
  if (event.target.closest("#actions [aria-disabled=true], #compare-actions [aria-disabled=true]"))
    event.stopPropagation();
}
