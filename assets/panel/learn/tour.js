// Five stops on the way from a prompt to the next word. Each speaks of one thing, frames it and is
// ticked once the reader has done it, or has let it be shown: with the page's own controls.

import { button, closeGuide, doneOf, element, markDone, point, showGuide } from "./guide.js";
import { choosePace, paceOf } from "../text/writing_pace.js";
import { choose, ended, key, press, settled, showTab } from "../gradio/real_controls.js";

const NEXT_PACE = "#learn [data-part=pace]";

/**
 * @typedef {object} Stop
 * @property {string} name in links
 * @property {string} title
 * @property {string} words what it says
 * @property {string} task what the reader may do
 * @property {string[]} frames what it speaks of, the first in view
 * @property {(runs) => unknown} before what `done` compares with, when the stop begins
 * @property {(runs, before) => boolean} done
 * @property {(runs) => void} show does it with the page's own controls
 */

/** @type {Stop[]} */
export const STOPS = [
  {
    name: "prompt",
    title: "Prompt",
    words:
      "The model continues the text in this field, and knows nothing else of what you want. It was " +
      "trained on one thing only: to say which piece of text comes next.",
    task: "Press one of the suggestions or type a beginning of your own, then press Generate.",
    frames: ["#prompt", "#actions"],
    before: ({ run }) => run?.id,
    done: ({ run }, before) => Boolean(run?.status?.stats) && run.id !== before,
    async show() {
      press("#examples .chip");
      await settled();
      press("#actions button.primary");
    },
  },
  {
    name: "token",
    title: "Token",
    words:
      "The text grows piece by piece. A piece is called a token: a word, part of a word or a " +
      "punctuation mark. Press one: blue shows which earlier tokens it reads from, orange which later " +
      "ones read it.",
    task: "Press a word of the text.",
    frames: ["#output .text"],
    before: ({ pick }) => pick,
    done: ({ pick }, before) => pick !== null && pick !== before,
    show: (runs) =>
      press(`#output .token[data-from="${Math.max(1, Math.floor(runs.drawable / 2))}"]`),
  },
  {
    name: "row",
    title: "Row",
    words:
      "The map holds the same for the whole text. A row is a token, its columns are the earlier tokens " +
      "it reads from: the darker, the more. The upper right is hatched because no token can see what " +
      "comes after it. The list beside it names the strongest.",
    task: "Press a cell of the map, or press the arrow keys on it, and read the line under it.",
    frames: ["#attention [data-part=stage]", "#attention .reads"],
    before: ({ pick }) => pick,
    done: ({ pick }, before) => pick !== null && pick !== before && pick.key !== null,
    show: () => key("#attention [data-part=map]", "ArrowUp"),
  },
  {
    name: "head",
    title: "Head",
    words:
      "That was one head. The model has many, in layers one after the other, and each looks for " +
      "something of its own: the token just before, an earlier copy of the same word, what followed it " +
      "last time. All are drawn small here.",
    task: "Open another head: press one of the small maps, or choose it under Layer and Head.",
    frames: ["#attention [data-part=scroll]", "#attention .pickers"],
    before: ({ look }) => look,
    done: ({ look, chosen }, before) =>
      chosen && (look.layer !== before.layer || look.head !== before.head),
    show: ({ look, run }) =>
      choose("#attention [data-part=head]", String((look.head + 1) % run.heads)),
  },
  {
    name: "next-word",
    title: "Next word",
    words:
      "What all heads have gathered at the last token becomes a probability for every token there is. " +
      "One of them is drawn: the likeliest more often, and the more evenly the higher the Temperature. " +
      "It joins the text, and everything begins again for the one after it.",
    task: "Set Pace to “one token a click” and press Continue: the text gains a single token.",
    frames: ["#learn", "#actions"],
    before: ({ run }) => ({ id: run?.id, count: run?.tokenCount ?? 0 }),
    done: ({ run, running, guide }, { id, count }) =>
      guide.pace === "step" && !running && run?.id === id && run.tokenCount === count + 1,
    async show(runs) {
      if (!runs.run?.status) {
        press("#actions button.primary");
        await ended(runs);
      }
      choose(NEXT_PACE, "step");
      await settled();
      press("#continue");
    },
  },
];

let at = 0;
let before = null;
let nudged = false;
let stop = null; // ends listening
let pace = null; // what the reader had chosen before

/** Opens the tour at a stop, the first that is not done unless one is named. */
export function openTour(runs, name = null) {
  const done = doneOf("tour");
  const wanted = STOPS.findIndex((one) => (name ? one.name === name : !done.has(one.name)));
  go(runs, Math.max(0, wanted));
}

function go(runs, to) {
  showTab("Generate");
  at = to;
  nudged = false;
  before = STOPS[at].before(runs);
  pace ??= paceOf(runs);
  stop ??= runs.subscribe(() => heed(runs));
  runs.guideTo({ tour: STOPS[at].name, lesson: undefined });
  draw(runs);
  point(STOPS[at].frames);
}

function heed(runs) {
  const { name, done } = STOPS[at];
  if (name === "next-word" && runs.run?.id !== before.id && !runs.running)
    before = STOPS[at].before(runs);
  if (doneOf("tour").has(name) || !done(runs, before)) return;
  markDone("tour", name);
  draw(runs, false);
}

function leave(runs) {
  stop?.();
  stop = null;
  if (pace !== null) choosePace(pace, runs);
  pace = null;
  runs.guideTo({ tour: undefined });
}

const leaving = new WeakMap(); // the same function for the same store: one card, not another

function draw(runs, focus = true) {
  const { title, words, task, show, name } = STOPS[at];
  const ticked = doneOf("tour");
  if (!leaving.has(runs)) leaving.set(runs, () => leave(runs));
  const places = element("div", "", "places");
  places.append(...STOPS.map((one, i) => placeOf(one, i, ticked, runs)));
  const state = element(
    "p",
    ticked.has(name) ? "✓ Done." : task,
    `result${ticked.has(name) ? " reached" : ""}`,
  );
  state.setAttribute("role", "status");
  const last = at === STOPS.length - 1;
  const next = () => {
    if (!doneOf("tour").has(name) && !nudged) {
      nudged = true;
      state.textContent = `${task} Or press ${last ? "Finish" : "Next"} again to leave it out.`;
    } else if (last) closeGuide();
    else go(runs, at + 1);
  };
  const buttons = element("div", "", "guide-buttons");
  buttons.append(
    button("Show me", () => show(runs)),
    button(last ? "Finish" : "Next", next, "main"),
  );
  showGuide({
    title: `Tour, ${at + 1} of ${STOPS.length}: ${title}`,
    content: [places, element("p", words), state, buttons],
    link: `#tour=${name}`,
    onClose: leaving.get(runs),
    focus,
  });
}

function placeOf({ title, name }, i, ticked, runs) {
  const place = button(`${ticked.has(name) ? "✓ " : ""}${title}`, () => go(runs, i));
  if (i === at) place.setAttribute("aria-current", "step");
  return place;
}
