"""What a log's answer carries, read as it was packed; and who reads, when, and until when."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Tokenizer
from gpt2.ui.session.wire import Kind, TokenRecord, frame, pack_tokens, wire_tokens
from tests.examples import examples

from .modules import Modules

TOKENIZER = Tokenizer(400)

PARSE = """async ({ bytes, cuts }) => {
  const { FrameParser } = await import("/log_reader.js");
  const all = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
  const parser = new FrameParser();
  const found = [];
  let from = 0;
  for (const to of [...cuts, all.length]) {
    for (const { payload, ...frame } of parser.push(all.subarray(from, to)))
      found.push({ ...frame, payload: btoa(String.fromCharCode(...payload)) });
    from = to;
  }
  return found;
}"""


@pytest.fixture(scope="module")
def node() -> Any:
    modules = Modules()
    yield modules
    modules.close()


@examples(60)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from(Kind),
            st.integers(0, 255),
            st.binary(max_size=40),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
        ),
        max_size=5,
    ),
    data=st.data(),
)
def test_frames_are_read_in_whatever_pieces_they_come(
    node: Modules, frames: list[tuple[Kind, int, bytes, int, int]], data: st.DataObject
) -> None:
    packed = b"".join(frame(*each) for each in frames)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(packed)), max_size=6)))
    found = node.evaluate(PARSE, {"bytes": base64.b64encode(packed).decode(), "cuts": cuts})
    assert [
        (f["kind"], f["index"], base64.b64decode(f["payload"]), f["start"], f["count"])
        for f in found
    ] == frames


@examples(60)
@given(
    ids=st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=12),
    guessed=st.lists(st.none() | st.integers(0, TOKENIZER.vocab_size - 1), max_size=12),
)
def test_tokens_are_read_as_they_were_packed(
    node: Modules, ids: list[int], guessed: list[int | None]
) -> None:
    guesses = [guessed[i] if i < len(guessed) else None for i in range(len(ids))]
    records = [
        TokenRecord.of(TOKENIZER, token, place / 4, guess)
        for place, (token, guess) in enumerate(zip(ids, guesses, strict=True))
    ]
    found = node.evaluate(
        """async (bytes) => (await import("/log_reader.js"))
          .tokensIn(Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)))""",
        base64.b64encode(pack_tokens(records)).decode(),
    )
    assert [each["id"] for each in found] == ids
    assert [each["token"] for each in found] == wire_tokens(TOKENIZER, ids)
    assert [each["seconds"] for each in found] == [place / 4 for place in range(len(ids))]
    assert [each["guess"] for each in found] == [
        None if guess is None else True if guess == token else wire_tokens(TOKENIZER, [guess])[0]
        for token, guess in zip(ids, guesses, strict=True)
    ]


def test_a_mark_that_begins_a_text_is_not_lost(modules: Modules) -> None:
    """A decoder takes the bytes EF BB BF for a mark of its own unless it is told."""
    record = TokenRecord(1, 0.0, False, b"\xef\xbb\xbfx", None)
    [found] = modules.evaluate(
        """async (bytes) => (await import("/log_reader.js"))
          .tokensIn(Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)))""",
        base64.b64encode(pack_tokens([record])).decode(),
    )
    assert found["token"] == "\ufeffx"


@pytest.mark.parametrize(
    ("wishes", "hold", "address"),
    [
        (
            [{"run": "a", "from": 3, "view": "head.1.2", "rows": 0, "heads": None}],
            True,
            "http://x/sub/runs/a?from=3&view=head.1.2&rows=0&hold=1",
        ),
        (
            [
                {"run": "a", "from": 3, "view": "", "rows": 0, "heads": None},
                {"run": "b", "from": 0, "view": "mean.1.0", "rows": 7, "heads": 7},
            ],
            False,
            "http://x/sub/runs?ids=a%2Cb&from=3%2C0&view=%2Cmean.1.0&rows=0%2C7&heads=%2C7",
        ),
    ],
)
def test_what_is_asked_for_stands_in_the_address(
    modules: Modules, wishes: list[dict[str, Any]], hold: bool, address: str
) -> None:
    assert (
        modules.evaluate(
            """async ([wishes, hold]) => {
              globalThis.document = { baseURI: "http://x/sub/?__theme=dark", hidden: true };
              return (await import("/log_reader.js")).addressOf(wishes, hold).href;
            }""",
            [wishes, hold],
        )
        == address
    )


# A server that answers what `answers` says, one after another: lists of frames [kind, index], or a
# word for what it does instead. `wish` is what the store wants until it has been told of an end.
READ = """async ({ answers, views }) => {
  globalThis.document = { baseURI: "http://x/", hidden: true };
  const { LogReader, Refused, KIND } = await import("/log_reader.js");
  const heard = [];
  const asked = [];
  let left = [...answers];
  let view = views[0];
  let ended = false;
  const store = {
    wish: () => ended ? null : { run: "a", from: 0, view, rows: 0, heads: null },
    take: ({ kind }) => { heard.push(kind); ended ||= kind === KIND.end; },
    refuse: (sentence) => { heard.push(sentence); ended = true; },
    complain: (sentence) => heard.push(sentence),
  };
  const framed = ([kind, index]) => {
    const bytes = new Uint8Array(16);
    bytes[0] = kind;
    bytes[1] = index;
    return bytes;
  };
  async function* open(wishes, hold, signal) {
    asked.push(`${wishes[0].view}${hold ? " held" : ""}`);
    const answer = left.shift() ?? "dead";
    if (answer === "dead") throw new TypeError("no answer");
    if (answer === "refuses") throw new Refused("No such text.");
    for (const frame of answer) {
      if (frame === "waits") {
        await new Promise((_, fail) => {
          signal.addEventListener("abort", () => fail(new Error("aborted")));
          setTimeout(look, 5);
        });
      } else yield framed(frame);
    }
  }
  const reader = new LogReader(open);
  reader.add(store);
  const look = () => { view = views[1] ?? view; reader.poke(); };
  const setTimer = globalThis.setTimeout;
  globalThis.setTimeout = (work, millis, ...rest) => setTimer(work, Math.min(millis, 5), ...rest);
  reader.poke();
  await new Promise((done) => setTimer(done, 150));
  globalThis.setTimeout = setTimer;
  return { heard, asked, reading: reader.reading !== null };
}"""
SHAPE, TOKENS, END = [0, 0], [2, 0], [6, 0]
TRYING = "The server did not answer. Trying again."


@pytest.mark.parametrize(
    ("answers", "views", "heard", "asked"),
    [
        ([[SHAPE, TOKENS, END]], ["v"], [0, 2, 6], ["v held"]),
        # Cut off in the middle: the rest is asked for.
        ([[SHAPE, TOKENS], [TOKENS, END]], ["v"], [0, 2, TRYING, 2, 6], ["v held"] * 2),
        (["dead", "dead", [END]], ["v"], [TRYING, TRYING, 6], ["v held"] * 3),
        (["refuses"], ["v"], ["No such text."], ["v held"]),
        # Another map is looked at while the first is read.
        ([[SHAPE, "waits"], [SHAPE, END]], ["v", "w"], [0, 0, 6], ["v held", "w held"]),
    ],
    ids=["ends", "cut off", "dead for a while", "refused", "another view"],
)
def test_a_log_is_read_until_its_end(
    modules: Modules, answers: list[Any], views: list[str], heard: list[Any], asked: list[str]
) -> None:
    found = modules.evaluate(READ, {"answers": answers, "views": views})
    assert found == {"heard": heard, "asked": asked, "reading": False}


def test_a_server_that_is_gone_is_asked_a_few_times_and_given_up(modules: Modules) -> None:
    found = modules.evaluate(READ, {"answers": [], "views": ["v"]})
    *tries, last = found["heard"]
    assert tries == [TRYING] * 3
    assert last.startswith("The server no longer answers.")
    assert not found["reading"]


def test_the_next_bytes_wait_until_the_last_are_drawn(modules: Modules) -> None:
    """So a slow browser reads later and more at once: the connection is full meanwhile."""
    found = modules.evaluate(
        """async () => {
          const frames = [];
          globalThis.document = { baseURI: "http://x/", hidden: false };
          globalThis.requestAnimationFrame = (draw) => frames.push(draw);
          globalThis.MessageChannel = class {  // a real one would keep node alive
            port1 = {};
            port2 = { postMessage: () => setTimeout(() => this.port1.onmessage()) };
          };
          const { LogReader } = await import("/log_reader.js");
          const told = [];
          let sent = 0;
          const store = {
            wish: () => sent < 3 ? { run: "a", from: 0, view: "", rows: 0, heads: null } : null,
            take: ({ kind }) => told.push(kind),
            refuse: () => {},
            complain: () => {},
          };
          async function* open() {
            for (const kind of [2, 2, 6]) {
              sent += 1;
              const bytes = new Uint8Array(16);
              bytes[0] = kind;
              yield bytes;
            }
          }
          const reader = new LogReader(open);
          reader.add(store);
          reader.poke();
          const soon = () => new Promise((done) => setTimeout(done, 20));
          await soon();
          const before = [sent, ...told];
          frames.splice(0).forEach((draw) => draw());
          await soon();
          const after = [sent, ...told];
          globalThis.document.hidden = true;
          frames.splice(0).forEach((draw) => draw());
          await soon();
          return [before, after];
        }"""
    )
    assert found == [[1, 2], [2, 2, 2]]
