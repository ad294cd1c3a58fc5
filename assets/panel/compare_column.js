// One column: the Output panel under a size's name, its memory, where it parts, a small map.

import { bytes } from "./comparison.js";
import { MiniMap } from "./mini_map.js";
import { mount as mountOutput } from "./output_view.js";
import { runsOf } from "./runs.js";
import { setText } from "./dom.js";

export class CompareColumn {
  constructor(element, at, server, onOpen) {
    this.element = element;
    this.title = "";
    this.runs = runsOf(`compare-${at}`);
    this.props = { channel: `compare-${at}`, value: null };
    this.output = mountOutput(element, this.props, (_, changed) => { this.changed = changed; }, server);
    this.map = new MiniMap(this.runs, onOpen);
    this.decorate();
    this.marked = null;
  }

  decorate() {
    const { title, note, text } = this.output.parts;
    this.memory = document.createElement("span");
    this.memory.className = "memory";
    title.after(this.memory);
    this.parting = document.createElement("p");
    this.parting.className = "parting";
    note.after(this.parting);
    this.map.button.classList.add("mini");
    text.after(this.map.button);
    text.style.resize = "none";
  }

  // A new comparison: the text of the last one gives way.
  begin({ title, memory }) {
    this.title = title;
    setText(this.output.parts.title, title);
    setText(this.memory, `${bytes(memory)} of memory`);
    this.map.name(title);
    this.runs.run = null;
    this.runs.pick = this.runs.hover = null;
    this.runs.tell("run");
    this.markParting(undefined, "");
    this.show({ run: null, state: "loading", note: `Loading ${title}.` });
  }

  take({ output, attention }) {
    if (attention) this.runs.takeAttention(attention);
    if (output) this.show(output);
  }

  show(output) {
    this.props.value = output;
    this.changed();
  }

  get progress() {
    const { run } = this.runs;
    if (!run?.status) return null;
    const { prompt, state } = run.status;
    const tokens = run.tokens.items.slice(prompt, run.tokens.ready);
    return { run: run.id, prompt, tokens, ended: state !== "running" };
  }

  // at: the generated token from which the texts differ; undefined where none does (yet).
  markParting(at, sentence) {
    setText(this.parting, sentence);
    const prompt = this.runs.run?.status?.prompt ?? 0;
    this.output.draw();
    const span = at === undefined ? null : this.output.flow.spanOf(prompt + at);
    if (span === this.marked) return;
    this.marked?.classList.remove("parted");
    span?.classList.add("parted");
    this.marked = span ?? null;
  }
}
