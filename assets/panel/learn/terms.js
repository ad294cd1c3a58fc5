// What the words of the page mean, one sentence each. An element with data-term opens its own.

import { closePopover, openPopover, popoverAnchor } from "./popover.js";

/** @type {Record<string, string>} */
export const TERMS = {
  model:
    "A language model is a program that, given some text, says how likely every possible next token is.",
  token:
    "A token is the piece of text the model reads and writes: a word, part of a word or a punctuation " +
    "mark; “·” stands for a space.",
  attention:
    "Attention is how the model, at each token, takes in information from earlier tokens; the weights " +
    "say how much it takes from which.",
  map: "A row is a token, its columns are the earlier tokens it attends to; the darker, the more.",
  layer:
    "A layer is one of the steps that the text passes through, one after the other; each adds to what " +
    "the model knows at every token.",
  head:
    "A head is one of several attention patterns that work side by side in a layer, each looking for " +
    "something of its own.",
  sink:
    "A head always has to attend somewhere: where it finds nothing of use, most of its attention goes " +
    "to the first token, which is called the attention sink.",
  pace:
    "The pace is how fast a text is written: at full speed, slowly enough to watch, or one token for " +
    "each press of Continue; the text is the same at every pace.",
  seed: "The seed fixes the random choices: the same seed and settings give the same text again.",
};

let listening = false;

/** Listens for terms anywhere on the page. */
export function explainTerms() {
  if (listening) return;
  listening = true;
  document.addEventListener("click", (event) => {
    const term = /** @type {Element} */ (event.target).closest?.("[data-term]");
    if (term) explain(/** @type {HTMLElement} */ (term));
  });
}

/** @param {HTMLElement} term */
function explain(term) {
  if (popoverAnchor() === term) return closePopover();
  term.setAttribute("aria-expanded", "true");
  term.setAttribute("aria-describedby", "popover");
  openPopover(term, TERMS[term.dataset.term ?? ""], {
    onClose: () => {
      term.setAttribute("aria-expanded", "false");
      term.removeAttribute("aria-describedby");
    },
  });
}
