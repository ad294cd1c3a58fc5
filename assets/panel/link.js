// A link that holds text, settings and map itself, behind the #: no server needs to remember it.

import { asJson, read as readKept, snapshot, stored } from "./kept.js";
import { MODES } from "./map_view.js";
import { isIndex } from "./wire.js";

const LOOK = /^#map=([a-z_]+)\.(\d+)\.(\d+)\.([a-z]+)\.([01])&text=([\w-]*)$/;

const MOST = 650_000; // bytes unpacked: more no server reads (gpt2/serving/incoming.py)
const SLICE = 1024; // bytes unpacked at a time: they may become a thousand times as many

const ARRIVED = globalThis.location?.hash ?? ""; // the address is made plain once its text is read

/** @returns {Promise<string>} */
export async function linkTo(runs) {
  const { mode, layer, head } = runs.look;
  const text = runs.run?.status ? snapshot(runs.run) : null;
  const { controls } = stored();
  const packed = await pack(asJson({ text, controls }));
  const link = new URL(location.href);
  link.hash = `map=${mode}.${layer}.${head}.${runs.scale}.${runs.apart ? 1 : 0}&text=${packed}`;
  return link.href;
}

/** The map that the address asks for, or null. */
export function linkedLook(hash = ARRIVED) {
  const found = LOOK.exec(hash);
  if (!found) return null;
  const [, mode, layer, head, scale, apart] = found;
  const look = { mode, layer: Number(layer), head: Number(head) };
  return mode in MODES && isIndex(look.layer) && isIndex(look.head) ? { look, scale, apart: apart === "1" } : null;
}

/** What it asks to put back, as JSON, or "". Then the address is made plain: reloads keep the newest. */
async function linkedText(hash = ARRIVED) {
  const packed = LOOK.exec(hash)?.[6];
  if (!packed) return "";
  history.replaceState(history.state, "", location.pathname + location.search);
  try {
    return asJson(JSON.parse(await unpack(packed)));
  } catch {
    return ""; // cut off on its way, or more than any text of ours
  }
}

// Pasted where the page is open already, a link loads nothing by itself.
globalThis.addEventListener?.("hashchange", () => linkedLook(location.hash) && location.reload());

/** What a page that has just been opened asks the server to put back. */
export async function read() {
  return (await linkedText()) || readKept();
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
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"), most));
}

// Stops as soon as there is more than `most`.
async function through(source, stream, most = Infinity) {
  const reader = inSlices(new Uint8Array(await new Blob([source]).arrayBuffer())).pipeThrough(stream).getReader();
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
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + SLICE));
      at += SLICE;
    },
  }, { highWaterMark: 0 });
}
