// The panel's words on what its numbers are, and on what they are not.

import { MEASURES, ROLES } from "./roles.js";

const NOTES = [
  "Row i is what token i looked at while predicting token i + 1; a row's weights sum to 1. They " +
    "travel as one byte each: none is off by more than 0.012, most by less than 0.004.",
  "Attention alone is not explanation: a head may read a token and write nothing of it (Jain & " +
    "Wallace 2019, arXiv 1902.10186). The map by values shows how much of what it writes comes " +
    "from where (Kobayashi et al. 2020, arXiv 2004.10102).",
  "Heads rest on the first token when they have nothing to do. So it is shown apart, with how much " +
    "of the row it takes, and the other weights as shares of the rest: a faint rest looks strong.",
  "Thumbnails show the largest weight of each block of tokens, so that thin stripes survive.",
  "The probe reads random tokens, then the same again: only a head that looks up copies can score " +
    "there. A head is marked with its strongest role from 0.4 on.",
  "In the formulas A[i, j] is how much token i reads from token j. Row 0, which can only read " +
    "itself, counts nowhere.",
];

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
