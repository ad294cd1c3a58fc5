// One HTML file with the two panels, their code and a text's rows: it opens without any server.

import { bytesOf, FrameParser, jsonIn, KIND } from "../store/log_reader.js";
import { keyOf } from "../store/map_view.js";
import { captionOf } from "./pictures.js";

const MOST_BYTES = 8_000_000; // of rows in the file; beyond that only some maps are put in
// Where each style holds, as on the page: both panels have names of their own for the same words.
const STYLES = {
  ":root": ["tokens.css", "popover.css", "projector.css"],
  "#output": ["output_view.css", "output_draft.css", "output_shade.css"],
  "#attention": [
    "attention_view.css",
    "attention_map.css",
    "attention_side.css",
    "inspector.css",
    "attention_atlas.css",
  ],
};
const IMPORTS = /(from\s+|import\s+)"\.\/([\w.]+)"/g;

/** say(words) tells how far it is. @returns {Promise<Blob>} */
export async function offlinePage(runs, say) {
  const data = await gather(runs, say);
  const [modules, styles, output, attention] = await Promise.all([
    allModules("offline.js"),
    allStyles(),
    textOf("output_view.html"),
    textOf("attention_view.html"),
  ]);
  const map = { imports: {} };
  for (const [name, source] of modules)
    map.imports[`panel/${name}`] =
      `data:text/javascript;base64,${base64(new TextEncoder().encode(source))}`;
  const title = captionOf(runs);
  const path = runs.branches.path().map((key) => runs.branches.nameOf(key));
  const made = path.length > 1 ? `<p>${escaped(path.join(" › "))}</p>` : "";
  const home = location.origin + location.pathname;
  const dark = document.body.classList.contains("dark") ? ' class="dark"' : "";
  return new Blob(
    [
      `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<style>${styles} body { margin: 0 auto; max-width: 1100px; padding: 16px; background: var(--paper); }
main { display: grid; gap: 16px; }
header { font: 15px/1.5 var(--sans); color: var(--quiet); } header h1 { margin: 0; font-size: 18px; color: var(--ink); }
header p { margin: 2px 0 0; } header a { color: var(--accent); }</style>
<script type="importmap">${JSON.stringify(map)}</${"script"}></head><body${dark}><main>
<header><h1>${escaped(title)}</h1><p>Saved from <a href="${escaped(home)}">GPT-2, from scratch</a>. It opens without a network.</p>${made}</header>
<div id="output">${output}</div><div id="attention">${attention}</div></main>
<script type="application/json" id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}</${"script"}>
<script type="module">import { open } from "panel/offline.js"; open(document);</${"script"}>
</body></html>`,
    ],
    { type: "text/html;charset=utf-8" },
  );
}

// The panel's modules by name, each reachable from the first, imports under the map's names.
async function allModules(first) {
  const found = new Map();
  const add = async (name) => {
    if (found.has(name)) return;
    found.set(name, "");
    const source = await textOf(`source/${name}`);
    found.set(name, source.replace(IMPORTS, '$1"panel/$2"'));
    await Promise.all(Array.from(source.matchAll(IMPORTS), ([, , next]) => add(next)));
  };
  await add(first);
  return found;
}

async function allStyles() {
  const scoped = Object.entries(STYLES).map(async ([place, names]) => {
    const text = (await Promise.all(names.map(textOf))).join("\n");
    return place === ":root" ? text : `${place} { ${text} }`;
  });
  return (await Promise.all(scoped)).join("\n");
}

async function textOf(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.text();
}

/** The text, and as many of its maps as fit: the server's own answers, as its bytes. */
async function gather(runs, say) {
  const { run, look } = runs;
  const size = (run.rowCount * (run.rowCount + 1)) / 2;
  const views = viewsOf(run, look, Math.floor(MOST_BYTES / size));
  const maps = {};
  for (const [i, view] of views.entries()) {
    say(`Fetching map ${i + 1} of ${views.length}.`);
    maps[keyOf(view)] = await recorded({
      run: run.id,
      from: run.tokenCount,
      view: `${view.mode}.${view.layer}.${view.head}`,
      rows: 0,
      heads: null,
    });
  }
  return {
    run: run.id,
    text: await recorded({ run: run.id, from: 0, view: "", rows: 0, heads: 0 }),
    look,
    maps,
    example: run.example,
    scale: runs.scale,
    apart: runs.apart,
    roles: runs.roles.text,
    probe: runs.roles.probe,
    branches: runs.branches.packed(),
  };
}

/** One answer, whole, as text that stands in a page. @returns {Promise<string>} */
async function recorded(wish) {
  const parser = new FrameParser();
  const parts = [];
  for await (const bytes of bytesOf([wish], false)) {
    parts.push(bytes);
    for (const { kind, payload } of parser.push(bytes)) {
      const { error } = kind === KIND.end ? jsonIn(payload) : {};
      if (error) throw new Error(error);
    }
  }
  return base64(new Uint8Array(await new Blob(parts).arrayBuffer()));
}

// The one looked at first, then its layer's heads, what all make together, and every other head.
function viewsOf({ layers, heads }, look, most) {
  const head = (layer) => (_, h) => ({ mode: "head", layer, head: h });
  const all = [
    look,
    ...Array.from({ length: heads }, head(look.layer)),
    ...["mean", "max", "all_mean", "all_max", "rollout", "value"].map((mode) => ({
      ...look,
      mode,
    })),
    ...Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: heads }, head(layer)),
    ).flat(),
  ];
  return [...new Map(all.map((view) => [keyOf(view), view])).values()].slice(0, Math.max(1, most));
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.codePointAt(0)};`);
}

function base64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
