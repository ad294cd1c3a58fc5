// A link that holds text, settings, map and selection itself, behind the #: no server needs to
// remember it, and none is told.
//   #v=2&tab=compare&map=head.5.4.sqrt.1&row=15.7&zoom=3.3.20&off=10.8-10.7&text=...
// `off` are heads that are switched otherwise than when the text was written; those that were off then
// stand in the text, and so do the branches it is one of.
// What leads the reader may stand there too, or alone, for a teacher to send:
//   #tour=row   #lesson=sink   #pace=step
// Layers and heads count from 1, as on the page; in links without v=2 they count from 0.

import { asJson, keptTree, own, read as readKept, snapshot, stored } from "./session_store.js";
import { MODES } from "../gradio/schema.js";
import { isIndex } from "../store/wire.js";

const VERSION = "2";
const FIELDS = {
  map: /^([a-z_]+)\.(\d+)\.(\d+)\.([a-z]+)\.([01])$/,
  row: /^(\d+)(?:\.(\d+))?$/,
  off: /^none$|^\d+\.\d+(?:-\d+\.\d+)*$/,
};

const GUIDES = ["tour", "lesson", "pace"];

const MOST = 650_000; // bytes unpacked: more no server reads (gpt2/serving/incoming.py)
const MOST_BRANCHED = 4000; // tokens of branches in a link: some twelve thousand characters
const SLICE = 1024; // bytes unpacked at a time: they may become a thousand times as many

const ARRIVED = globalThis.location?.hash ?? "";

/** What stands behind the #, with the controls as they stand or as given. @returns {Promise<string>} */
export async function hashOf(runs, tab = "", controls = stored().controls) {
  const text = runs.run?.status ? snapshot(runs.run) : null;
  const tree = text && runs.branches.packed(MOST_BRANCHED);
  const packed = await pack(asJson({ text, controls, ...(tree && { tree }) }));
  const { pick, suggested, window } = runs;
  const row = pick ?? (suggested === null ? null : { query: suggested, key: null });
  const parts = {
    v: VERSION,
    ...(tab && { tab }),
    map: mapOf(runs),
    ...(row && { row: row.key === null ? `${row.query}` : `${row.query}.${row.key}` }),
    ...guideOf(runs.guide),
    ...(window && { zoom: [window.x, window.y, window.size].map((n) => Math.round(n)).join(".") }),
    ...offOf(runs),
    text: packed,
  };
  return joined(parts);
}

/** The same of a text that is only beginning: the map. */
export function mapHash(runs) {
  return joined({ v: VERSION, map: mapOf(runs), ...guideOf(runs.guide) });
}

function mapOf({ look, scale, apart }) {
  return `${look.mode}.${look.layer + 1}.${look.head + 1}.${scale}.${apart ? 1 : 0}`;
}

// Heads that are switched otherwise than when the text was written, counted from 1.
function offOf({ off, run }) {
  if (!run?.status || JSON.stringify(off) === JSON.stringify(run.status.off)) return {};
  return { off: off.map(([layer, head]) => `${layer + 1}.${head + 1}`).join("-") || "none" };
}

function joined(parts) {
  const pairs = Object.entries(parts).map(([name, value]) => `${name}=${value}`);
  return pairs.length ? `#${pairs.join("&")}` : "";
}

function guideOf(guide) {
  return Object.fromEntries(
    GUIDES.filter((name) => guide[name]).map((name) => [name, guide[name]]),
  );
}

/** A short link's #: only what leads the reader, nothing where nothing does. */
export function guideHash(guide) {
  return joined(guideOf(guide));
}

/** {tour, lesson, pace} that an address asks for, each only where it does. */
export function linkedGuide(hash = globalThis.location?.hash ?? "") {
  const fields = new Map(
    hash
      .slice(1)
      .split("&")
      .map((part) => /** @type {[string, string]} */ (part.split("=", 2))),
  );
  return guideOf(
    Object.fromEntries(GUIDES.map((name) => [name, /^[a-z-]+$/.exec(fields.get(name) ?? "")?.[0]])),
  );
}

/** @returns {Promise<string>} */
export async function linkTo(runs) {
  const link = new URL(location.href);
  link.hash = await hashOf(runs);
  return link.href;
}

/** {look, scale, apart, pick, window, off, tab, text} that an address asks for, or null. */
export function parsedLink(hash = ARRIVED) {
  const parts = hash
    .slice(1)
    .split("&")
    .map((part) => part.split("=", 2));
  const fields = new Map(/** @type {[string, string][]} */ (parts));
  const found = FIELDS.map.exec(fields.get("map") ?? "");
  if (!found || !/^[\w-]*$/.test(fields.get("text") ?? "")) return null;
  const from = fields.get("v") === VERSION ? 1 : 0;
  const [, mode, layer, head, scale, apart] = found;
  const look = { mode, layer: Number(layer) - from, head: Number(head) - from };
  if (!(mode in MODES) || !isIndex(look.layer) || !isIndex(look.head)) return null;
  const row = FIELDS.row.exec(fields.get("row") ?? "");
  const pick = row && { query: Number(row[1]), key: row[2] === undefined ? null : Number(row[2]) };
  const [x, y, size] = (fields.get("zoom") ?? "").split(".").map(Number);
  const window = size > 0 && isIndex(x) && isIndex(y) ? { x, y, size } : null;
  return {
    look,
    scale,
    apart: apart === "1",
    pick,
    window,
    off: parsedOff(fields.get("off") ?? ""),
    tab: fields.get("tab") ?? "",
    text: fields.get("text") ?? "",
  };
}

// Null where the address says nothing of them.
function parsedOff(field) {
  if (!FIELDS.off.test(field)) return null;
  if (field === "none") return [];
  const heads = field.split("-").map((pair) => pair.split(".").map((n) => Number(n) - 1));
  return heads.every((pair) => pair.every(isIndex)) ? heads : null;
}

/** The map that the address asks for, or null. */
export function linkedLook() {
  return parsedLink();
}

let arrivedTree = null;

/** The branches that came with what `read` has found, or null. */
export function treeRead() {
  return arrivedTree;
}

/** What a page that has just been opened asks the server to put back: what this tab had, unless the
 * address is another one than it wrote itself. */
export async function read() {
  const packed = parsedLink()?.text;
  if (!packed || ARRIVED === own()) {
    arrivedTree = keptTree();
    return readKept();
  }
  try {
    const { tree = null, ...asked } = JSON.parse(await unpack(packed));
    arrivedTree = tree; // the browser's alone
    return asJson(asked);
  } catch {
    return ""; // cut off on its way, or more than any text of ours
  }
}

async function pack(text) {
  const bytes = await through(new Blob([text]), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} packed  @returns {Promise<string>}; rejects what becomes more than `most` bytes */
export async function unpack(packed, most = MOST) {
  if (packed.length > 2 * most) throw new Error("too long a link");
  const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  return new TextDecoder().decode(
    await through(bytes, new DecompressionStream("deflate-raw"), most),
  );
}

// Stops as soon as there is more than `most`.
async function through(source, stream, most = Infinity) {
  const reader = inSlices(new Uint8Array(await new Blob([source]).arrayBuffer()))
    .pipeThrough(stream)
    .getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new Error("it unpacks to too much");
    }
    parts.push(value);
  }
}

function inSlices(bytes) {
  let at = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(at, at + SLICE));
        at += SLICE;
      },
    },
    { highWaterMark: 0 },
  );
}
