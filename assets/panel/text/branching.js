// Going from one text to another that was made of it, or back: what the page asks the server for.

import { type } from "../gradio/real_controls.js";
import { plainText } from "./token_label.js";

const PROMPT = "#prompt textarea";
const MOST_BESIDE = 4; // columns of Compare

/**
 * @param {import("../store/runs.js").Runs} runs
 * @param {() => void} asked tells the page that something is to come
 * @param {(event: string, wanted: object) => void} trigger tells the server
 */
export function connectBranching(runs, asked, trigger) {
  const { branches } = runs;
  /** Another end of the text that is shown. */
  runs.rewrite = (wanted, pick = null) => {
    runs.starting = { pick: pick === null ? null : { query: pick, key: null }, window: null };
    asked();
    trigger("rewrite", { ...wanted, text: branches.snapshot(branches.id) });
  };
  /** A text that was shown before; at a step of undo or redo, where there is one. */
  runs.revisit = (key, at = undefined) => {
    const pick = pickFor(branches, key);
    runs.seen.delete(branches.texts.get(key).run);
    runs.starting = { pick, window: null };
    leavePrompt(branches, key);
    branches.goTo(key, at);
    trigger("show", asAsked(branches, key));
  };
  /** All texts made of the same original, in the columns of Compare. */
  runs.beside = () => {
    const texts = besideEachOther(branches).map((key) => ({
      name: branches.nameOf(key),
      ...asAsked(branches, key),
    }));
    trigger("beside", { texts });
  };
}

function asAsked(branches, key) {
  return { run: branches.texts.get(key).run, text: branches.snapshot(key) };
}

// The token in which both differ.
function pickFor(branches, key) {
  const [now, then] = [branches.texts.get(branches.id), branches.texts.get(key)];
  const place =
    now?.of === key && now.token !== null ? now.at : then.token === null ? null : then.at;
  return place === null ? null : { query: place, key: null };
}

// The prompt goes along, unless another one is being typed.
function leavePrompt(branches, key) {
  const field = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(PROMPT));
  const [now, then] = [branches.id, key].map((one) => promptOf(branches, one));
  if (field?.value === now && now !== then) type(PROMPT, then);
}

function promptOf(branches, key) {
  const { tokens, prompt } = branches.texts.get(branches.path(key)[0]);
  return plainText(tokens.items.slice(0, prompt));
}

/** The original, those that lead to the text that is shown, and the newest of the others. */
export function besideEachOther(branches) {
  const path = branches.path();
  const all = branches.tree().filter((key) => !branches.isEarlier(key));
  const others = all.filter((key) => !path.includes(key)).reverse();
  const leading = all.filter((key) => path.includes(key));
  const chosen = [...leading.slice(0, 1), ...leading.slice(1).reverse(), ...others];
  const kept = chosen.slice(0, MOST_BESIDE);
  return all.filter((key) => kept.includes(key));
}
