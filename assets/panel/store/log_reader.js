// Reads the logs of texts (gpt2/ui/session/log_route.py): one connection for as many as are looked at, held
// open while any is written. A store says what it has and wants; whatever it missed, also by a reload
// or a hidden tab, is what it asks for. Nothing is paced: the next bytes are taken once the last are
// drawn, so a slow browser reads later and more at once.

import { afterFrame } from "../gradio/dom.js";

const HEADER = 16;
export const KIND = {
  shape: 0,
  status: 1,
  tokens: 2,
  rows: 3,
  heads: 4,
  maps: 5,
  end: 6,
  alive: 7,
};
const SILENT = 20_000; // ms: a server that is there says so every five seconds
const TRIES = 4; // without an answer; then the server is gone
const FIRST_WAIT = 200; // ms before the next try, twice as long each time
const DRAWN = 500; // ms that the next bytes wait for a frame at most
export const LOST =
  "The server no longer answers. What is written stays here; Continue goes on when it is back.";
const TRYING = "The server did not answer. Trying again.";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder();

/** @typedef {{kind: number, index: number, start: number, count: number, payload: Uint8Array}} Frame */
/** @typedef {{run: string, from: number, view: string, rows: number, heads: number|null}} Wish */

/** Frames out of bytes that come in any pieces. */
export class FrameParser {
  constructor() {
    this.rest = new Uint8Array();
  }

  /** @param {Uint8Array} bytes @returns {Frame[]} those that are whole now */
  push(bytes) {
    const all = joined(this.rest, bytes);
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    const frames = [];
    let at = 0;
    while (all.length - at >= HEADER) {
      const length = view.getUint32(at + 12, true);
      const begin = at + HEADER;
      if (all.length - begin < length) break;
      frames.push({
        kind: view.getUint8(at),
        index: view.getUint8(at + 1),
        start: view.getUint32(at + 4, true),
        count: view.getUint32(at + 8, true),
        payload: all.subarray(begin, begin + length),
      });
      at = begin + length;
    }
    this.rest = all.subarray(at);
    return frames;
  }
}

/**
 * Tokens as they travel (gpt2/ui/session/wire.py).
 * @param {Uint8Array} bytes
 */
export function tokensIn(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  let at = 0;
  const take = (special, length) => {
    const data = bytes.subarray(at, at + length);
    at += length;
    return tokenOf(special, data);
  };
  while (at < bytes.length) {
    const id = view.getUint32(at, true);
    const seconds = view.getFloat32(at + 4, true);
    const special = view.getUint8(at + 8) === 1;
    const said = view.getUint8(at + 9);
    const length = view.getUint16(at + 10, true);
    at += 12;
    const token = take(special, length);
    /** @type {any} */
    let guess = said === 0 ? null : true;
    if (said === 2) {
      const end = view.getUint8(at) === 1;
      const size = view.getUint16(at + 1, true);
      at += 3;
      guess = take(end, size);
    }
    found.push({ id, seconds, token, guess });
  }
  return found;
}

// As text; as hex where its bytes are NUL or no text alone; ends of text marked.
function tokenOf(special, data) {
  if (special) return { special: lenient.decode(data) };
  try {
    if (!data.includes(0)) return strict.decode(data);
  } catch {
    // no text alone
  }
  return { hex: Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("") };
}

export function jsonIn(payload) {
  return JSON.parse(lenient.decode(payload));
}

/** Where what these wishes name is read; `hold` keeps the answer open while they are written. */
export function addressOf(wishes, hold) {
  const one = wishes.length === 1;
  const url = new URL(one ? `runs/${wishes[0].run}` : "runs", document.baseURI);
  const all = (name) => wishes.map((wish) => wish[name] ?? "").join(",");
  if (!one) url.searchParams.set("ids", all("run"));
  for (const name of ["from", "view", "rows", "heads"]) {
    if (all(name).replaceAll(",", "")) url.searchParams.set(name, all(name));
  }
  if (hold) url.searchParams.set("hold", "1");
  return url;
}

/** The answer's bytes as they come. Throws a sentence for a refusal, anything else for silence. */
export async function* bytesOf(wishes, hold, signal) {
  const answer = await fetch(addressOf(wishes, hold), { signal, cache: "no-store" });
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({}));
    throw typeof error === "string" ? new Refused(error) : new Error(`${answer.status}`);
  }
  const reader = answer.body.getReader();
  try {
    for (;;) {
      const { done, value } = await within(SILENT, reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export class Refused extends Error {}

/**
 * What a store does for its reader: `wish()` is what it lacks or null, `take(frame, served)` puts
 * away what came, where `served` is an object of its own for each answer.
 * @typedef {{wish: () => Wish|null, take: (frame: Frame, served: object) => void,
 *   refuse: (sentence: string) => void, complain: (sentence: string) => void}} Reads
 */

export class LogReader {
  /** @param {(wishes: Wish[], hold: boolean, signal?: AbortSignal) => AsyncIterable<Uint8Array>} open */
  constructor(open = bytesOf) {
    this.open = open;
    /** @type {Reads[]} */
    this.stores = [];
    this.key = "";
    /** @type {AbortController|null} */
    this.reading = null;
    this.poked = false;
  }

  /** @param {Reads} store */
  add(store) {
    if (!this.stores.includes(store)) this.stores.push(store);
  }

  /** What is wanted may be something else now. */
  poke() {
    if (this.poked) return;
    this.poked = true;
    queueMicrotask(() => {
      this.poked = false;
      this.check();
    });
  }

  wanted() {
    return this.stores.flatMap((store) => {
      const wish = store.wish();
      return wish ? [{ store, wish }] : [];
    });
  }

  check() {
    const key = keyOfAll(this.wanted());
    if (this.reading && key === this.key) return;
    this.reading?.abort();
    this.reading = null;
    if (key) this.read();
  }

  async read() {
    const abort = new AbortController();
    this.reading = abort;
    let failures = 0;
    while (!abort.signal.aborted) {
      const wanted = this.wanted();
      if (wanted.length === 0) break;
      this.key = keyOfAll(wanted);
      try {
        const came = await this.once(wanted, true, abort.signal, () => (failures = 0));
        if (!came) break; // it ended, and there is no more of what is missing
      } catch (error) {
        if (abort.signal.aborted) return;
        failures += 1;
        if (error instanceof Refused) {
          for (const { store } of wanted) store.refuse(error.message);
        } else if (failures >= TRIES) {
          this.lose(wanted);
          break;
        } else {
          for (const { store } of wanted) store.complain(TRYING);
          await pause(FIRST_WAIT * 2 ** failures);
        }
      }
    }
    if (this.reading === abort) this.reading = null;
  }

  /** One answer; whether it brought anything. Throws where it was cut off. */
  async once(wanted, hold, signal, heard = () => {}) {
    const parser = new FrameParser();
    const served = wanted.map(() => ({}));
    const open = new Set(wanted.keys());
    let came = false;
    for await (const bytes of this.open(
      wanted.map(({ wish }) => wish),
      hold,
      signal,
    )) {
      heard();
      for (const frame of parser.push(bytes)) {
        if (frame.kind === KIND.end) open.delete(frame.index);
        else if (frame.kind >= KIND.tokens && frame.kind < KIND.end) came = true;
        wanted[frame.index]?.store.take(frame, served[frame.index]);
      }
      // Which map a text begins with, its server has said.
      if (hold && this.reading?.signal === signal) this.key = keyOfAll(this.wanted()) || this.key;
      await drawn();
    }
    if (open.size > 0) throw new Error("the answer was cut off");
    return came;
  }

  lose(wanted) {
    for (const { store } of wanted) store.refuse(LOST);
    globalThis.dispatchEvent?.(
      new CustomEvent("gpt2-trouble", { detail: { note: LOST, lost: true } }),
    );
  }
}

function keyOfAll(wanted) {
  return wanted.map(({ wish }) => `${wish.run} ${wish.view} ${wish.heads !== null}`).join();
}

function drawn() {
  if (globalThis.document?.hidden ?? true) return null;
  return Promise.race([new Promise((done) => afterFrame(() => done(null))), pause(DRAWN)]);
}

function pause(millis) {
  return new Promise((done) => setTimeout(done, millis));
}

async function within(millis, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("nothing is heard any more")), millis);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function joined(one, other) {
  if (one.length === 0) return other;
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
