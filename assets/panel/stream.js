// The page's stream of answers, which must not break off while one is still to come.
//
// Gradio's server closes the stream once nothing is waited for, and its client opens another for the
// next event. The news of both travels apart: an event that joins while "closed" is on its way finds
// the stream open, and its answer is never fetched. So that news gets through only when nothing is
// waited for; otherwise the stream goes on with a new request. Runs before Gradio asks for anything.

const CLOSED = 'data: {"msg":"close_stream"'; // inside a text of a message its quotes are escaped
const ANSWERED = /data: \{"msg":"process_completed","event_id":"([^"]+)"/g;
const NEWLINE = 10; // ends every message, and stands nowhere inside one
const bytesAsText = new TextDecoder("latin1"); // a place in the text is a place in the bytes

// `fetch`, with streams that go on.
export function keepingStreams(fetch) {
  const events = new Waiting();
  return async (resource, options) => {
    const response = await fetch(resource, options);
    const { pathname } = new URL(resource.url ?? resource, document.baseURI);
    if (!response.ok) return response;
    if (pathname.endsWith("/queue/join")) {
      const { event_id } = await response.clone().json();
      events.joined(event_id);
    }
    if (!pathname.endsWith("/queue/data")) return response;
    return new Response(unbroken(response.body, () => fetch(resource, options), events), response);
  };
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
    const { done, value } = await reader.read();
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
    const next = await again();
    if (!next.ok) throw new Error(`the stream of answers cannot go on: ${next.status}`);
    reader = next.body.getReader();
    rest = new Uint8Array();
    return lines.subarray(0, closed);
  }
  return new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) });
}

function joined(one, other) {
  if (one.length === 0) return other;
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

window.fetch = keepingStreams(window.fetch.bind(window));
