// The map looked at as numbers: CSV, one line a weight, and JSON with all there is to know.

import { csvCell } from "./formats.js";
import { explain, titleOf } from "./map_view.js";
import { labelOf } from "./token_label.js";

/** Every weight of the map, whether the first token is shown apart or not. */
export function asCsv(runs) {
  const lines = ["query,query_token,key,key_token,weight"];
  const names = runs.run.tokens.items.map((token) => csvCell(labelOf(token)));
  for (let i = 0; i < runs.drawable; i++) {
    for (const [j, weight] of runs.row(i).entries())
      lines.push(`${i},${names[i]},${j},${names[j]},${short(weight)}`);
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
    prompt_tokens: run.status?.prompt ?? null,
    tokens: run.tokens.items,
    weights: rows,
    rounding: "weights are rounded to one byte (error at most 0.012)",
    roles: roles.text && { ...roles.text, run: undefined },
    probe: roles.probe && { ...roles.probe, run: undefined },
  });
}

function short(weight) {
  return Number(weight.toFixed(6));
}
