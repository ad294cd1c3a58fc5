// The map looked at as numbers: CSV, one line a weight, and JSON with all there is to know.

import { csvCell } from "../gradio/formats.js";
import { explain, titleOf } from "../store/map_view.js";
import { labelOf } from "../text/token_label.js";

/**
 * Every weight of the map, whether the first token is shown separately or not. Of a text that was written
 * with heads off, a last column names them, layer.head from 1.
 */
export function asCsv(runs) {
  const off = countedFrom1(runs.run.status?.off).map((pair) => pair.join("."));
  const last = off.length ? `,${off.join(" ")}` : "";
  const lines = [`query,query_token,key,key_token,weight${last && ",heads_off"}`];
  const names = runs.run.tokens.items.map((token) => csvCell(labelOf(token)));
  for (let i = 0; i < runs.drawable; i++) {
    for (const [j, weight] of runs.row(i).entries())
      lines.push(`${i},${names[i]},${j},${names[j]},${short(weight)}${last}`);
  }
  return `${lines.join("\r\n")}\r\n`;
}

export function asJson(runs) {
  const { run, look, roles } = runs;
  const rows = Array.from({ length: runs.drawable }, (_, i) => Array.from(runs.row(i), short));
  const { layer, head, mode } = look;
  return JSON.stringify({
    title: titleOf(look),
    about: explain(mode),
    mode,
    layer: layer + 1,
    head: head + 1,
    layers: run.layers,
    heads: run.heads,
    size: run.status?.size ?? null,
    seed: run.status?.stats?.seed ?? null,
    sampling: run.status?.sampling ?? null,
    heads_off: countedFrom1(run.status?.off),
    heads_off_instead: run.status?.instead ?? "zero",
    ...branchesOf(runs.branches),
    prompt_tokens: run.status?.prompt ?? null,
    tokens: run.tokens.items,
    weights: rows,
    rounding: "weights are rounded to one byte (error at most 0.012)",
    roles: roles.text && { ...roles.text, run: undefined },
    probe: roles.probe && { ...roles.probe, run: undefined },
  });
}

/** @param {number[][]} heads */
function countedFrom1(heads = []) {
  return heads.map(([layer, head]) => [layer + 1, head + 1]);
}

// How the text was made of the first one, and all that were made of that; nothing where it is alone.
function branchesOf(branches) {
  const keys = branches.tree();
  if (keys.length < 2) return {};
  return {
    branch: branches.path().map((key) => branches.nameOf(key)),
    branches: keys.map((key) => {
      const { of, at, token } = branches.texts.get(key);
      const { off, prompt, ...text } = branches.snapshot(key);
      return {
        name: branches.nameOf(key),
        shown: key === branches.id,
        made_of: of === null ? null : keys.indexOf(of),
        at,
        token,
        heads_off: countedFrom1(off),
        prompt_tokens: prompt,
        ...text,
      };
    }),
  };
}

function short(weight) {
  return Number(weight.toFixed(6));
}
