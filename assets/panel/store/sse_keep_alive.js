// The page's stream of answers, which must not break off while one is still to come.
//
// Gradio's server closes the stream once nothing is waited for, and its client opens another for the
// next event. The news of both travels apart: an event that joins while "closed" is on its way finds
// the stream open, and its answer is never fetched. So that news gets through only when nothing is
// waited for; otherwise the stream goes on with a new request. Runs before Gradio asks for anything.

const CLOSED = 'data: {"msg":"close_stream"'; // inside a text of a message its quotes are escaped
const ANSWERED = /data: \{"msg":"process_completed","event_id":"([^"]+)"/g;
const NEWLINE = 10; // ends every message, and stands nowhere inside one
const QUIET = 45_000; // ms: a server that is there says so every 15 s
const LOST =
  "The server no longer answers. What is written stays here; Continue goes on when it is back.";
const UNREACHED = "The server cannot be reached. Nothing is lost; try again in a while.";
const bytesAsText = new TextDecoder("latin1"); // a place in the text is a place in the bytes

// `fetch`, with streams that go on.
export function keepingStreams(fetch) {
  const events = new Waiting();
  return async (resource, options) => {
    const { pathname } = new URL(resource.url ?? resource, document.baseURI);
    const joins = pathname.endsWith("/queue/join");
    const response = await fetch(resource, options).catch((error) => {
      if (joins) tell(UNREACHED);
      throw error;
    });
    if (!response.ok) {
      if (joins) await tellWhy(response.clone());
      return response;
    }
    if (joins) {
      const { event_id } = await response.clone().json();
      events.joined(event_id);
    }
    if (!pathname.endsWith("/queue/data")) return response;
    return new Response(
      unbroken(response.body, () => fetch(resource, options), events),
      response,
    );
  };
}

// A page that is left or loaded again breaks its streams off itself.
let leaving = false;
for (const event of ["beforeunload", "pagehide", "pageshow"]) {
  addEventListener(event, () => {
    leaving = event !== "pageshow";
    if (event === "beforeunload") setTimeout(() => (leaving = false), 3000); // it may only have saved a file
  });
}

// The page's views show it where they stand (fetched.js, compare_view.js).
function tell(note, lost = false) {
  if (!leaving) dispatchEvent(new CustomEvent("gpt2-trouble", { detail: { note, lost } }));
}

// A refusal is JSON with a sentence (gpt2/ui/session/guard.py).
async function tellWhy(response) {
  const { detail } = await response.json().catch(() => ({}));
  if (typeof detail === "string") tell(detail);
}

// Ids of events that joined and were not answered. A quick answer may be here before the news that its
// event has joined.
class Waiting {
  constructor() {
    this.ids = new Set();
    this.early = new Set();
  }

  joined(id) {
    if (!this.early.delete(id)) this.ids.add(id);
  }

  answered(id) {
    if (!this.ids.delete(id)) this.early.add(id);
  }

  get any() {
    return this.ids.size > 0;
  }
}

function unbroken(body, again, events) {
  let reader = body.getReader();
  let rest = new Uint8Array(); // a line that has begun
  async function pull(controller) {
    const { done, value } = await heard(reader, events);
    if (done) return controller.close();
    const end = value.lastIndexOf(NEWLINE) + 1;
    const begun = joined(rest, value.subarray(0, end || value.length));
    const lines = end ? begun : new Uint8Array();
    rest = end ? value.subarray(end) : begun;
    const passed = await beforeClosing(lines);
    return passed.length > 0 ? controller.enqueue(passed) : pull(controller);
  }
  // The lines, up to the news that the server has closed the stream too early.
  async function beforeClosing(lines) {
    const text = bytesAsText.decode(lines);
    for (const [, id] of text.matchAll(ANSWERED)) events.answered(id);
    const closed = events.any ? text.indexOf(CLOSED) : -1;
    if (closed < 0) return lines;
    const next = await again().catch(() => ({ status: "no answer" }));
    if (!next.ok) {
      tell(LOST, true);
      throw new Error(`the stream of answers cannot go on: ${next.status}`);
    }
    reader = next.body.getReader();
    rest = new Uint8Array();
    return lines.subarray(0, closed);
  }
  return new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) });
}

// What comes next; says so where the server is gone: cut off, silent, or at an end too soon.
async function heard(reader, events) {
  const timer = setTimeout(() => events.any && tell(LOST, true), QUIET);
  try {
    const next = await reader.read();
    if (next.done && events.any) tell(LOST, true);
    return next;
  } catch (error) {
    if (error.name !== "AbortError") tell(LOST, true);
    throw error;
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

window.fetch = keepingStreams(window.fetch.bind(window));
