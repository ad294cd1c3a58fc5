// One column: the Output panel under a size's name, its memory, where it parts, a small map.

import { bytes } from "../gradio/formats.js";
import { MiniMap } from "../map/thumbnail_map.js";
import { mount as mountOutput } from "../text/output_view.js";
import { BUSY } from "../text/status_line.js";
import { runsOf } from "../store/runs.js";
import { setText } from "../gradio/dom.js";

export class CompareColumn {
  constructor(element, at, server, { onMap, onDivergence }) {
    this.element = element;
    this.title = "";
    this.from = null;
    this.runs = runsOf(`compare-${at}`);
    this.props = { channel: `compare-${at}`, value: null };
    this.output = mountOutput(
      element,
      this.props,
      (_, changed) => {
        this.changed = changed;
      },
      server,
    );
    this.map = new MiniMap(this.runs, onMap);
    this.decorate(onDivergence);
    this.marked = null;
    this.taken = null; // the output that was last told of
  }

  decorate(onDivergence) {
    const { title, note, text } = this.output.parts;
    this.memory = document.createElement("span");
    this.memory.className = "memory";
    title.parentElement.append(this.memory);
    const line = document.createElement("p");
    line.className = "divergence";
    this.divergence = document.createElement("button");
    this.divergence.type = "button";
    this.divergence.title = "Show the place in both texts";
    this.divergence.addEventListener("click", onDivergence);
    line.append(this.divergence);
    note.after(line);
    this.map.button.classList.add("mini");
    text.after(this.map.button);
    text.style.resize = "none";
  }

  // A new comparison: the text of the last one gives way.
  begin({ title, memory, from = null }) {
    this.title = title;
    this.from = from; // the token from which texts are compared: by default, the first after the prompt
    setText(this.output.parts.title, title);
    setText(this.memory, memory === null ? "" : `${bytes(memory)} of memory`);
    this.map.name(title);
    this.runs.run = null;
    this.runs.seen.clear(); // a branch may be shown again
    this.runs.branches.reset();
    this.runs.pick = this.runs.hover = null;
    this.runs.reader.poke();
    this.runs.tell("run");
    this.output.status.forget();
    this.taken = null;
    this.markDivergence(undefined, "");
    this.show({ run: null, state: "loading", note: `Loading ${title}.` });
  }

  // Every message repeats the newest output, since any may be overtaken by the next.
  take({ output }) {
    const said = JSON.stringify(output);
    if (!output || said === this.taken) return;
    this.taken = said;
    this.show(output);
  }

  show(output) {
    this.props.value = output;
    this.changed();
  }

  /** Its text has not begun yet. */
  get waits() {
    return BUSY.includes(this.props.value?.state);
  }

  get progress() {
    const { run } = this.runs;
    if (!run?.status) return null;
    const { state } = run.status;
    const tokens = run.tokens.items.slice(this.start, run.tokens.ready);
    return { run: run.id, prompt: this.start, tokens, ended: state !== "running" };
  }

  // at: the generated token from which the texts differ; undefined where none does (yet).
  markDivergence(at, sentence) {
    setText(this.divergence, sentence);
    this.divergence.hidden = !sentence;
    if (at >= 0 && !this.spanOf(at)) this.output.draw(); // its frame is still to come
    const span = this.spanOf(at);
    if (span === this.marked) return;
    this.marked?.classList.remove("parted");
    span?.classList.add("parted");
    this.marked = span;
  }

  // Scroll the text, not the page, to a generated token; to the end for -1.
  reveal(at) {
    const { text } = this.output.parts;
    const span = this.spanOf(at);
    text.scrollTop = span ? span.offsetTop - text.clientHeight / 2 : text.scrollHeight;
  }

  get start() {
    return this.from ?? this.runs.run?.status?.prompt ?? 0;
  }

  spanOf(at = -1) {
    return at < 0 ? null : (this.output.flow.spanOf(this.start + at) ?? null);
  }
}
