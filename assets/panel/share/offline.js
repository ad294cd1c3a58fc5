// Opens the panels in a file of its own: what a server answered stands in the page.

import { mount as mountAttention } from "../map/attention_view.js";
import { LogReader, Refused } from "../store/log_reader.js";
import { keyOf } from "../store/map_view.js";
import { mount as mountOutput } from "../text/output_view.js";
import { runsOf } from "../store/runs.js";
import { decodeBase64 } from "../store/wire.js";

const ABSENT = "This file does not hold that map.";

export function open(page) {
  const data = JSON.parse(page.getElementById("data").textContent);
  const { run, look, example } = data;
  const runs = runsOf();
  runs.start({ look, scale: data.scale, apart: data.apart });
  runs.readWith(new LogReader((wishes) => answers(data, wishes[0])));
  const idle = () => {};
  mountOutput(page.getElementById("output"), { value: { run, example } }, idle);
  mountAttention(page.getElementById("attention"), { value: null }, idle);
  Object.assign(runs.roles, { text: data.roles, probe: data.probe });
  runs.tell("roles");
}

// The same bytes as the server's, so that the same code reads them.
async function* answers({ text, maps }, { from, view }) {
  if (from === 0) yield decodeBase64(text);
  if (!view) return; // nobody looks
  const [mode, layer, head] = view.split(".");
  const rows = maps[keyOf({ mode, layer: Number(layer), head: Number(head) })];
  if (!rows) throw new Refused(ABSENT);
  yield decodeBase64(rows);
}
