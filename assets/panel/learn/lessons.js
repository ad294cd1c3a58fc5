// Lessons: a prompt that is known to show something, a task, hints, and a check on what the reader's
// own run did. Another lesson is another entry of LESSONS.

import { onColumns, shownColumns } from "../compare/comparison.js";
import { button, doneOf, element, markDone, point, showGuide } from "./guide.js";
import { mostRead, restOf } from "../map/reading.js";
import { press, settled, showTab, type } from "../gradio/real_controls.js";
import { labelOf, plainText } from "../text/token_label.js";

/**
 * @typedef {object} Lesson
 * @property {string} name in links
 * @property {string} title
 * @property {string} task
 * @property {string} prompt known to show it, on Mini and on GPT-2
 * @property {{temperature?: number, tokens?: number, tab?: "Compare"}} [settings] of Try
 * @property {boolean} [clearest] the task is about the head that opens by itself
 * @property {string[]} frames what to look at
 * @property {[string, string, string]} hints from a nudge to the answer
 * @property {(seen: Seen) => boolean} check
 * @property {string} learned what the reader has seen then
 *
 * @typedef {object} Seen since the lesson was opened
 * @property {import("../store/runs.js").Runs} runs
 * @property {string | undefined} began the text that was shown then
 * @property {{id: string, seed: string, temperature: number, text: string}[]} written whole texts
 * @property {object[]} columns of the newest comparison
 * @property {boolean} placeShown the reader had the place shown where two sizes part
 */

/** @type {Lesson[]} */
export const LESSONS = [
  {
    name: "induction",
    title: "Looking up what came next last time",
    task:
      "Some heads look up an earlier copy of the current word and read what followed it. After the run " +
      "such a head is open. Press a word that stands twice in the text, so that the head looks at the " +
      "word that followed it last time.",
    prompt: "Tom had a red ball and Lily had a blue ball. Tom had a red ball and Lily had a",
    settings: { temperature: 0.8, tokens: 20 },
    clearest: true,
    frames: ["#output .text"],
    hints: [
      "Press a word in the second half of the prompt: its twin is in the first half.",
      "The sentence under the map says “which followed … last time” when you have found one. In All " +
        "heads, press Induction: heads that do it are framed. On Mini it is layer 6, head 4.",
      "With layer 6, head 4 of Mini, press the second “ red” and look at the list “Reads from”; then try " +
        "the second “ Tom”, “ had” and “ ball”.",
    ],
    check: ({ runs }) => looksUp(runs),
    learned:
      "This is an induction head: it finds what followed last time, and so makes the model repeat. It is " +
      "the simplest way in which a model learns from its prompt alone.",
  },
  {
    name: "sink",
    title: "Where a head looks when it has nothing to do",
    task:
      "A row’s weights must sum to 100 %, even where the head finds nothing. Take the tick off “separate " +
      "first token” under the map and find a head that gives most of its attention to the first token.",
    prompt: "\nOnce upon a time there was a little fox who lived",
    settings: { temperature: 0.8, tokens: 30 },
    frames: ["#attention [data-part=stage]", "#attention [data-part=scroll]"],
    hints: [
      "Without the tick the first token is an ordinary column, the leftmost. Look for a small map under " +
        "All heads whose left edge is one dark line.",
      "Look in the middle and upper layers. The table beside All heads tells how much of a head’s " +
        "attention goes to the first token: look for about half or more.",
      "On Mini open layer 3, head 5, or layer 6, head 6. This prompt begins with a line break, because " +
        "Mini rests on line breaks; GPT-2 does so on whatever comes first.",
    ],
    check: ({ runs }) => !runs.apart && runs.look.mode === "head" && restsOnFirst(runs) >= RESTS,
    learned:
      "This is the attention sink: what the head does not need, it leaves on the first token, whatever " +
      "that says. That is why the page shows the first token separately.",
  },
  {
    name: "temperature",
    title: "What temperature does",
    task:
      "Run the prompt twice at Temperature 0, then once at 1.2 or more. The seed is random each time: " +
      "which texts are the same?",
    prompt: "Once upon a time there was a little fox who lived",
    settings: { temperature: 0, tokens: 30 },
    frames: ["#temperature", "#actions"],
    hints: [
      "Try has set Temperature to 0. Press Generate for a second text and compare them.",
      "Now set Temperature to 1.2 or more, leave the prompt as it is, and press Generate.",
      "Try, Generate, Temperature 1.5, Generate: three texts of the same prompt.",
    ],
    check: ({ written }) => {
      const cold = written.filter(({ temperature }) => temperature === 0);
      const hot = written.filter(({ temperature }) => temperature >= 1.2);
      return cold.some(
        (one) =>
          cold.some((other) => other.seed !== one.seed && other.text === one.text) &&
          hot.some((other) => other.text !== one.text),
      );
    },
    learned:
      "At 0 the likeliest token is taken every time, so chance plays no part and the text is always the " +
      "same. The higher the temperature, the more often an unlikely token is drawn.",
  },
  {
    name: "fork",
    title: "One other word",
    task:
      "After the run press the first word that the model wrote, open “Next token” beside the map, and " +
      "choose another feeling from the list. The text is written anew from there. What of the rest " +
      "stays the same?",
    prompt: "Tom lost his dog. He was very",
    settings: { temperature: 0, tokens: 25 },
    frames: ["#output .text", "#attention .panels"],
    hints: [
      "What the model wrote stands in full ink after the prompt. Press its first word.",
      "The list under “Next token” holds the likeliest words there. At Temperature 0 all but the first are " +
        "cut: they would never be drawn. You may still press one.",
      "On Mini press “ much” after “He was very”, and choose “·sorry” or “·angry” from the list. Undo " +
        "under the text brings the first one back.",
    ],
    check: (seen) => (rewritten(seen)?.token ?? null) !== null,
    learned:
      "One token is different, and everything after it is: prompt, seed and settings stayed. The model " +
      "has no plan for its text. At every token it asks only what comes next after all that stands there.",
  },
  {
    name: "off",
    title: "Without one head",
    task:
      "After the run the head is open that looks up what came next last time. Switch it off (under " +
      "“Heads” beside the map), press Rewrite, and compare the two texts: which word does the model no " +
      "longer find?",
    prompt: "Tom had a red ball and Lily had a blue ball. Tom had a red ball and Lily had a blue",
    settings: { temperature: 0, tokens: 25 },
    clearest: true,
    frames: ["#output .text", "#attention .panels"],
    hints: [
      "Press a word of the text, open “Heads” and press “Switch off”. On Mini the head is layer 6, head 4.",
      "A frame there says that a head is off, and what has become of the word that you pressed: press the " +
        "first that the model wrote (“ ball”) and watch it. Then press Rewrite.",
      "On Mini switch off layer 6, head 4 and press Rewrite: “red” no longer comes back. Undo under the " +
        "text shows the first text again, and Restore brings back the head.",
    ],
    check: (seen) => Boolean(rewritten(seen)) && seen.runs.run.status.off.length > 0,
    learned:
      "Prompt, seed and settings stayed, so what changed came from that head. It copied from earlier in " +
      "the text. Most heads change less when they are off: others do part of their work.",
  },
  {
    name: "size",
    title: "Size against quality",
    task:
      "Two sizes continue the same prompt with the same random draws. When both have ended, press the " +
      "line that says where they diverge, and look at bits per byte under Figures: the size that was " +
      "less surprised by your prompt needs fewer.",
    prompt:
      "Once upon a time there was a king who had three daughters, and the youngest was so beautiful that",
    settings: { tab: "Compare", temperature: 0.8, tokens: 40 },
    frames: ["#compare-columns"],
    hints: [
      "Wait until both texts have ended; the line stands under the second one.",
      "The line begins with “Diverges”. Pressing it marks the place in both texts.",
      "Tiny and Mini are chosen already: Try runs them. Press “Diverges from …” under the second text.",
    ],
    check: ({ columns, placeShown }) =>
      placeShown &&
      columns.length > 1 &&
      columns.every((/** @type {any} */ { progress }) => progress?.ended),
    learned:
      "With the same draw both chose the same tokens up to there; then their probabilities differed " +
      "enough for another choice, and from there each reads a text of its own. Fewer bits per byte mean " +
      "better predictions: that is what the larger size is for.",
  },
];

// Whether the row that the reader chose looks at what followed an earlier copy of its token.
function looksUp(runs) {
  const { pick, run } = runs;
  const row = pick && run?.status && runs.row(pick.query);
  if (!row || row.length < 3) return false;
  const tokens = run.tokens.items;
  const key = pick.key ?? mostRead(row, true);
  return (
    key > 0 &&
    key - 1 < pick.query &&
    restOf(row)[key] >= 0.2 &&
    labelOf(tokens[key - 1]) === labelOf(tokens[pick.query]) &&
    key - 1 !== pick.query
  );
}

// How the text shown was made of another one, once it is written and differs.
/** @param {Seen} seen */
function rewritten({ runs, began }) {
  const { run, running, branches } = runs;
  const branch = run?.status?.branch;
  if (running || run?.id === began || !branch) return null;
  return branches.divergence(run.id) < 0 ? null : branch;
}

const RESTS = 0.4; // of all attention: several times what any other token gets
const SETTLED = 4; // rows at the beginning, which have little else to look at

// How much of the map's attention goes to the first token.
function restsOnFirst(runs) {
  const count = runs.drawable - SETTLED;
  if (!runs.run?.status || runs.running || count < SETTLED) return 0;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += runs.row(i + SETTLED)[0];
  return sum / count;
}

let open = null; // {lesson, seen, stop}
let hinted = 0;

/** The list of lessons, or one of them. */
export function openLessons(runs, name = null) {
  const lesson = LESSONS.find((one) => one.name === name);
  if (lesson) begin(runs, lesson);
  else list(runs);
}

const leaving = new WeakMap(); // the same function for the same store: one card, not another

function leaveOf(runs) {
  if (!leaving.has(runs)) {
    leaving.set(runs, () => {
      end();
      runs.guideTo({ lesson: undefined });
    });
  }
  return leaving.get(runs);
}

function end() {
  open?.stop();
  open = null;
}

function list(runs) {
  end();
  const done = doneOf("lesson");
  const lessons = element("ol");
  for (const lesson of LESSONS) {
    const item = element("li", "", "lesson");
    item.append(
      button(`${done.has(lesson.name) ? "✓ " : ""}${lesson.title}`, () => begin(runs, lesson)),
    );
    lessons.append(item);
  }
  point([]);
  const foot = element("div", "", "guide-buttons");
  showGuide({
    title: "Lessons",
    content: [lessons, foot],
    link: "#lesson=all",
    onClose: leaveOf(runs),
  });
  runs.guideTo({ lesson: "all", tour: undefined });
}

function begin(runs, lesson) {
  end();
  hinted = 0;
  const seen = {
    runs,
    began: runs.run?.id,
    written: [],
    columns: shownColumns(),
    placeShown: false,
  };
  open = { lesson, seen, stop: listen(runs, seen, () => heed(lesson, seen)) };
  draw(runs, lesson);
  runs.guideTo({ lesson: lesson.name, tour: undefined });
  showTab(lesson.settings?.tab ?? "Generate");
  point(lesson.frames);
}

// What the reader does, as the checks want to know it.
function listen(runs, seen, tell) {
  const stops = [
    runs.subscribe((kind) => {
      const { run, running, request } = runs;
      const { stats } = run?.status ?? {};
      const whole = kind === "status" && stats && !running && run.id !== seen.began && request;
      if (whole && !seen.written.some(({ id }) => id === run.id)) {
        const text = plainText(run.tokens.items.slice(0, run.tokens.ready));
        seen.written.push({ id: run.id, seed: stats.seed, temperature: request.temperature, text });
      }
      tell();
    }),
    onColumns(() => {
      seen.columns = shownColumns();
      tell();
    }),
  ];
  const pressed = ({ target }) => {
    if (!target.closest?.(".divergence button")) return;
    seen.placeShown = true;
    tell();
  };
  document.addEventListener("click", pressed);
  return () => {
    for (const stop of stops) stop();
    document.removeEventListener("click", pressed);
  };
}

function heed(lesson, seen) {
  if (open?.lesson !== lesson || open.reached || !lesson.check(seen)) return;
  open.reached = true;
  markDone("lesson", lesson.name);
  draw(seen.runs, lesson, false);
}

function draw(runs, lesson, focus = true) {
  const { name, title, task, prompt, hints, learned } = lesson;
  const reached = Boolean(open?.reached);
  const sample = element("span", prompt.replaceAll("\n", "↵"), "prompt");
  const hintLines = hints.map((words, i) => {
    const line = element("p", words, "quiet");
    line.hidden = i >= hinted;
    return line;
  });
  const more = button("Hint", () => {
    hintLines[hinted].hidden = false;
    hinted += 1;
    more.hidden = hinted === hints.length;
    more.textContent = ["Hint", "Stronger hint", "Show the way"][hinted] ?? "";
  });
  more.hidden = reached || hinted === hints.length;
  const state = element("p", reached ? `✓ ${learned}` : task, `result${reached ? " reached" : ""}`);
  state.setAttribute("role", "status");
  const buttons = element("div", "", "guide-buttons");
  buttons.append(
    button("Try", () => tryOut(runs, lesson), "main"),
    more,
    button("All lessons", () => list(runs)),
  );
  showGuide({
    title: `Lesson: ${title}`,
    content: [state, sample, ...hintLines, buttons],
    link: `#lesson=${name}`,
    onClose: leaveOf(runs),
    focus,
  });
}

/**
 * Fills the page's own controls and runs.
 * @param {Runs} runs
 * @param {{prompt: string, settings?: {tab?: string, temperature?: number, tokens?: number}, clearest?: boolean, frames: string[]}} lesson
 */
async function tryOut(runs, { prompt, settings = {}, clearest = false, frames }) {
  const { tab = "Generate", temperature, tokens } = settings;
  const prefix = tab === "Compare" ? "compare-" : "";
  showTab(tab);
  await settled();
  type(`#${prefix}prompt textarea`, prompt);
  if (temperature !== undefined) type(`#${prefix}temperature input[type=number]`, temperature);
  if (tokens !== undefined) type(`#${prefix}new-tokens input[type=number]`, tokens);
  await settled();
  if (clearest) runs.unchoose();
  press(`#${prefix}actions button.primary`);
  point(frames);
}
