// Opens the panels in a file of its own: what a server would answer stands in the page.

import { mount as mountAttention } from "./attention_view.js";
import { keyOf } from "./map_view.js";
import { mount as mountOutput } from "./output_view.js";
import { runsOf } from "./runs.js";

const ABSENT = "This file does not hold that map.";

export function open(page) {
  const data = JSON.parse(page.getElementById("data").textContent);
  const server = { pull: async (request) => answer(data, request) };
  const { look, atlas, tokens } = data;
  const status = data.status ?? { prompt: tokens.length, state: "done", note: "", stats: null };
  const output = { ...status, run: atlas.run, start: 0, tokens, n: tokens.length };
  const attention = {
    ...atlas,
    view: { ...atlas.view, ...look },
    start: 0,
    rows: "",
    example: data.example,
  };
  const runs = runsOf();
  runs.start({ look, scale: data.scale, apart: data.apart });
  const idle = () => {};
  mountOutput(page.getElementById("output"), { value: output }, idle, server);
  mountAttention(page.getElementById("attention"), { value: attention }, idle, server);
  Object.assign(runs.roles, { text: data.roles, probe: data.probe });
  runs.tell("roles");
}

function answer({ maps, atlas }, { view, start, atlas: wanted }) {
  if (wanted) return { ...atlas, view };
  const piece = maps[keyOf(view)]?.find((one) => one.start === start);
  if (!piece) return { error: ABSENT };
  return { ...atlas, ...piece, maps: undefined, view };
}
