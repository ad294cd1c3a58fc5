// Ways to take a map along: picture, drawing, numbers, a trace of its text, a standalone page, a link.

import { setText } from "../gradio/dom.js";
import { saveBlob } from "../text/keep_text.js";
import { linkTo } from "./link.js";
import { needsHead, needsLayer, titleOf } from "../store/map_view.js";
import { asCsv, asJson } from "./numbers.js";
import { offlinePage } from "./offline_page.js";
import { asPng, asSvg } from "./pictures.js";

/** @type {[string, string, (runs, theme, say) => (Promise<Blob> | Blob | null)][]} */
const WAYS = [
  ["PNG", "png", (runs, theme) => asPng(runs, theme)],
  ["SVG", "svg", (runs, theme) => new Blob([asSvg(runs, theme)], { type: "image/svg+xml" })],
  ["CSV", "csv", (runs) => new Blob([asCsv(runs)], { type: "text/csv;charset=utf-8" })],
  ["JSON", "json", (runs) => new Blob([asJson(runs)], { type: "application/json" })],
  ["Trace", "trace", (runs) => traceOf(runs)],
  ["Standalone HTML page", "html", (runs, _theme, say) => offlinePage(runs, say)],
];

/** Put the buttons into `box`; `theme()` gives the colours a picture is drawn in. */
export function offerSaving(box, said, runs, theme) {
  const buttons = WAYS.map(([title, ending, make]) =>
    button(
      title,
      async () => {
        if (!runs.drawable) return setText(said, "There is no map yet.");
        setText(said, "Making it.");
        const made = await make(runs, theme(), (words) => setText(said, words));
        saveBlob(made, `${fileName(runs)}.${ending}`);
        setText(said, `Saved: ${titleOf(runs.look)}.`);
      },
      said,
    ),
  );
  buttons.push(
    button(
      "copy embed code",
      async () => {
        const code = embedCode(await linkTo(runs));
        try {
          await navigator.clipboard.writeText(code);
          setText(
            said,
            "Copied: paste it into a page that this server lets show it (GPT2_FRAMED_BY).",
          );
        } catch {
          setText(said, code);
        }
      },
      said,
    ),
    button(
      "copy link",
      async () => {
        const link = await linkTo(runs);
        try {
          await navigator.clipboard.writeText(link);
          setText(
            said,
            "Copied: text, branches, settings, map and selection are in the link itself.",
          );
        } catch {
          setText(said, "Copy it from the address bar: the link is there.");
        }
      },
      said,
    ),
  );
  box.replaceChildren(...buttons);
}

/** All that is needed to compute the text again: `python -m gpt2 replay FILE`. */
async function traceOf({ run }) {
  const answer = await fetch(new URL(`runs/${run.id}/trace`, document.baseURI));
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.blob();
}

function embedCode(link) {
  const to = link.replace(/[&"<>]/g, (c) => `&#${c.codePointAt(0)};`);
  return `<iframe src="${to}" title="GPT-2, from scratch" width="100%" height="900" style="border:0" loading="lazy"></iframe>`;
}

function button(title, work, said) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain";
  made.textContent = title;
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await work();
    } catch (error) {
      console.warn(error);
      setText(said, "That did not work; nothing was saved. Try again.");
    }
    made.disabled = false;
  });
  return made;
}

/** tiny-seed7-layer5-head4: as the page counts, from 1. */
export function fileName({ run, look }) {
  const { status } = run;
  const text = status ? [status.size ?? "text", `seed${status.stats?.seed ?? ""}`] : ["example"];
  const { mode, layer, head } = look;
  const where = [
    ...(needsLayer(mode) ? [`layer${layer + 1}`] : []),
    ...(needsHead(mode) ? [`head${head + 1}`] : []),
    ...(mode === "head" ? [] : [mode.replace("_", "-")]),
    ...(status?.off?.length ? [`${status.off.length}-off`] : []),
  ];
  return [...text, ...where].join("-").replace(/[^\w.-]+/g, "-");
}
