// The Output panel: text as it comes, what its tokens read, numbers, copy and save.

import { keepAddress } from "../share/address.js";
import { answered, speakThrough } from "../store/fetched.js";
import { Breadcrumb } from "./breadcrumb.js";
import {
  afterEachFrame,
  linkLabels,
  partsOf,
  perFrame,
  setHidden,
  setText,
  whileMounted,
} from "../gradio/dom.js";
import { closeListsLeft } from "../gradio/dropdowns.js";
import { clamp } from "../map/geometry.js";
import { copyText, saveText } from "./keep_text.js";
import { keepText } from "../share/session_store.js";
import { markFault } from "../gradio/faults.js";
import { FlipsView } from "./flips_view.js";
import { RunButtons } from "./run_buttons.js";
import { saidUnderButtons, showProgress } from "./run_note.js";
import { runsOf } from "../store/runs.js";
import { StatusLine } from "./status_line.js";
import { TextFlow } from "./text_flow.js";
import { explainTerms } from "../learn/terms.js";
import { LEGENDS, TextShade } from "./text_shade.js";
import { TextMarks } from "./text_marks.js";
import { DraftMarks } from "./draft_marks.js";
import { plainText } from "./token_label.js";
import { messageOf } from "../store/wire.js";

export function mount(element, props, watch, server) {
  const runs = runsOf(props.channel);
  runs.connect(server);
  linkLabels(element);
  const view = new OutputView(partsOf(element), runs);
  const buttons = props.channel ? null : new RunButtons(runs);
  if (buttons) {
    closeListsLeft();
    explainTerms();
    keepText(runs);
    keepAddress(runs);
    speakThrough(view.status, buttons);
    saidUnderButtons(view.parts.note);
  }
  whileMounted(element, runs, (kind) => view.hear(kind));
  let last = null; // the log that was last named
  const say = (message) => {
    view.status.show(message);
    buttons?.hear(message);
    if (buttons && message?.state === "error") markFault(message.field);
    if (buttons && message) showProgress(message);
  };
  // What is going on: before there is a log Gradio tells, from then on the log.
  const take = () => {
    // Gradio repeats a run's last message when it notices the end, which may be after a newer one.
    if (props.value === last) return;
    const message = messageOf(props.value);
    if (!message?.run) return say(message);
    last = props.value;
    runs.follow(message);
    buttons?.begin(message.run);
    // A short text may be done before it is first read.
    if (buttons && message.stretch) showProgress({ state: "running", note: "" });
  };
  runs.subscribe((kind) => {
    const status = kind === "status" && runs.run?.status;
    if (status && status !== view.said) say({ ...status, run: runs.run.id });
    if (status) view.said = status;
  });
  watch("value", () => {
    take();
    if (buttons) answered();
  });
  take();
  view.draw();
  return view;
}

export class OutputView {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.flow = new TextFlow(parts.text, parts.caret);
    this.marks = new TextMarks(this.flow);
    this.guesses = new DraftMarks(this.flow, parts);
    this.shade = new TextShade(this.flow);
    this.breadcrumb = new Breadcrumb(parts, runs);
    this.flips = new FlipsView(parts, runs, this.flow);
    this.status = new StatusLine(parts);
    this.prompt = 0;
    this.said = null; // the status that was last shown
    this.atEnd = true; // the end of the text is in sight
    this.revealed = null; // the choice that was brought into sight
    this.drawSoon = perFrame(() => this.draw());
    this.markLater = afterEachFrame(() => this.mark());
    this.listen();
  }

  hear(kind) {
    if (kind === "run") {
      this.flips.leave();
      this.flow.clear();
      this.guesses.clear();
      this.shade.clear();
      this.marks.marked.clear();
      this.prompt = 0;
      this.atEnd = true;
      this.drawSoon();
    } else if (kind === "tokens" || kind === "status") this.drawSoon();
    else if (kind === "newest row") this.tell();
    else if (kind === "inspected") this.drawSoon();
    else if (kind === "selection" || kind === "look") this.markLater();
    if (kind === "selection") this.reveal();
  }

  // The newest token may still be on its way into the text.
  tell() {
    this.draw();
    this.mark();
  }

  // Add what arrived; the text scrolls along while its end is in sight.
  draw() {
    const { text, caret, empty } = this.parts;
    const { run } = this.runs;
    const status = run?.status ?? null;
    const example = Boolean(run?.example && !status);
    setHidden(this.parts.example, !example);
    if (example && this.flow.show(run.tokens.items.slice(0, run.tokens.ready), 0)) this.markLater();
    if (status) {
      if (this.flow.show(run.tokens.items.slice(0, run.tokens.ready), status.prompt))
        this.markLater();
      if (status.prompt !== this.prompt) this.flow.markPrompt(status.prompt);
      this.prompt = status.prompt;
      this.guesses.show(run.guesses, run.draft);
    }
    const blank = this.flow.stable === 0 && this.flow.spans.length === 0;
    setHidden(empty, !blank || this.runs.running);
    setHidden(caret, !this.runs.running);
    setHidden(this.parts.shade, !this.runs.inspected.able || !status);
    this.breadcrumb.show();
    this.flips.show();
    if (this.shade.kind !== "attention") this.shadeText();
    this.parts.copy.disabled = this.parts.save.disabled = blank;
    if (this.atEnd) text.scrollTop = text.scrollHeight;
  }

  // A token that was chosen elsewhere comes into sight: the text is scrolled, the page is not.
  reveal() {
    const { pick, running } = this.runs;
    if (!pick || running || pick === this.revealed) return;
    const span = this.flow.spanOf(pick.query);
    if (!span) return;
    this.revealed = pick;
    const { text } = this.parts;
    const line = span.offsetHeight;
    const { offsetTop: top } = span;
    if (top < text.scrollTop) text.scrollTop = top - line;
    else if (top + line > text.scrollTop + text.clientHeight)
      text.scrollTop = top + 2 * line - text.clientHeight;
    this.seeEnd();
  }

  seeEnd() {
    const { text } = this.parts;
    this.atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
  }

  mark() {
    const { runs } = this;
    if (!runs.run?.status && !runs.run?.example) return;
    const { selection } = runs;
    const plain = this.shade.kind !== "attention"; // one tint at a time
    if (selection.follows && runs.running && still()) this.marks.clear();
    else if (plain) this.marks.show(selection, null, () => null, 0);
    else
      this.marks.show(selection, runs.shownRow(selection.query), (i) => runs.row(i), runs.drawable);
  }

  // By surprise or rank, once they are known; the server is asked when the text is written.
  shadeText() {
    if (this.shade.kind === "attention") return;
    const shade = this.runs.inspected.shades();
    if (shade !== this.shaded || this.shade.shaded.length === 0) this.shade.show(shade);
    this.shaded = shade;
  }

  shadeBy(kind) {
    const { attentionkeys, shadekeys } = this.parts;
    this.shade.kind = kind;
    this.shade.clear();
    setHidden(attentionkeys, kind !== "attention");
    setHidden(shadekeys, kind === "attention");
    shadekeys.replaceChildren(
      ...(LEGENDS[kind] ?? []).map(([name, words]) => {
        const swatch = document.createElement("span");
        swatch.className = `swatch ${name}`;
        swatch.textContent = words;
        return swatch;
      }),
    );
    this.shadeText();
    this.mark();
  }

  listen() {
    const { text, copy, save, shadeby } = this.parts;
    shadeby.addEventListener("change", () => this.shadeBy(shadeby.value));
    text.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.runs.point(this.pickAt(event));
    });
    text.addEventListener("pointerleave", () => this.runs.point(null));
    text.addEventListener("scroll", () => this.seeEnd());
    text.addEventListener("click", (event) => {
      const pick = this.pickAt(event);
      // A drag that marked text chooses no token; a tap does, also where it marks a word.
      const marked = event.pointerType !== "touch" && !document.getSelection().isCollapsed;
      if (pick && !marked) this.runs.select(pick);
    });
    text.addEventListener("keydown", (event) => this.key(event));
    copy.addEventListener("click", () => this.copy());
    save.addEventListener("click", () =>
      saveText(this.text(), `gpt2-${this.runs.run.id.slice(0, 8)}.txt`),
    );
  }

  pickAt(event) {
    const span = event.target.closest(".token, .instead");
    return span ? { query: Number(span.dataset.from), key: null } : null;
  }

  key(event) {
    const last = this.flow.spans.length - 1;
    if (event.key === "Escape") return this.runs.select(null);
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || last < 0) return;
    const at = this.runs.pick?.query ?? this.runs.drawable;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const query = clamp(next, 0, last);
    this.runs.select({ query, key: null });
    this.flow.spanOf(query).scrollIntoView({ block: "nearest" });
  }

  text() {
    const { tokens } = this.runs.run;
    return plainText(tokens.items.slice(0, tokens.ready));
  }

  async copy() {
    const { copy } = this.parts;
    const done = await copyText(this.text(), this.parts.text.parentElement);
    setText(copy, done ? "copied" : "no access");
    setTimeout(() => setText(copy, "copy"), 1500);
  }
}

function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
