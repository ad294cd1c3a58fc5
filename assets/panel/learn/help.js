// The panel's words on what its numbers are, and on what they are not.

import { MEASURES, ROLES } from "../gradio/schema.js";

const NOTES = [
  "Row i shows which tokens the model attended to at token i, while predicting token i + 1; a row's " +
    "weights sum to 100 %. They are rounded to one byte (error at most 0.012, mostly below 0.004).",
  "Attention is not explanation: a head may attend to a token yet pass nothing on (Jain & " +
    "Wallace 2019, arXiv 1902.10186). The value-weighted map shows how much of what it passes on " +
    "comes from where (Kobayashi et al. 2020, arXiv 2004.10102).",
  "Idle heads attend to the first token, so it is shown separately and the rest rescaled to 100 %. " +
    "Even weak attention can then look strong.",
  "Thumbnails show the maximum of each block of weights, so that thin stripes stay visible.",
  "The test on repeated random tokens shows the model random tokens, then the same ones again: only " +
    "heads that look up earlier copies can score there. A head is labelled with its strongest role " +
    "if that scores 0.4 or more.",
  "In the formulas A[i, j] is the weight with which token i attends to token j. Row 0, which can " +
    "only attend to itself, is left out everywhere.",
];

/** @param {HTMLElement} box */
export function writeHelp(box) {
  const list = document.createElement("dl");
  for (const { name, help, formula } of Object.values({ ...ROLES, ...MEASURES })) {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    const exact = document.createElement("code");
    exact.textContent = formula;
    meaning.append(`${help} `, exact);
    list.append(term, meaning);
  }
  const notes = NOTES.map((words) => {
    const note = document.createElement("p");
    note.textContent = words;
    return note;
  });
  box.replaceChildren(...notes, list);
}
