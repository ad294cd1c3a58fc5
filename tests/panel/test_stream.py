"""The stream of answers, cut off by the server while the browser asks for more."""

from typing import Any

import pytest
from playwright.sync_api import Error, Page

pytestmark = pytest.mark.browser

# A server that sends what `streams` says, a request at a time, in the pieces it says. "joins" among
# them is the answer to an event that joins at that moment.
ASK = """async (streams) => {
  const { keepingStreams } = await import("/sse_keep_alive.js");
  const left = [...streams];
  const encoder = new TextEncoder();
  let asked = 0;
  const fetch = keepingStreams(async (url) => {
    if (url.pathname.endsWith("/join")) return Response.json({ event_id: url.search.slice(1) });
    asked += 1;
    if (left.length === 0) return new Response("gone", { status: 502 });
    const pieces = left.shift();
    return new Response(new ReadableStream({
      async pull(controller) {
        if (pieces.length === 0) return controller.close();
        const piece = pieces.shift();
        if (piece.joins) {
          await fetch(new URL(`/queue/join?${piece.joins}`, location));
          return this.pull(controller);
        }
        controller.enqueue(encoder.encode(piece));
      },
    }, { highWaterMark: 0 }));
  });
  await fetch(new URL("/queue/join?first", location));
  const response = await fetch(new URL("/queue/data", location));
  return [await response.text(), asked];
}"""

CLOSED = 'data: {"msg":"close_stream","event_id":null}\n\n'


def message(event: str, says: str = "", msg: str = "process_completed") -> str:
    return f'data: {{"msg":"{msg}","event_id":"{event}","output":"{says}"}}\n\n'


def asked(panel: Page, *streams: list[Any]) -> tuple[str, int]:
    text, requests = panel.evaluate(ASK, list(streams))
    return text, requests


def test_a_stream_that_is_over_ends(panel: Page) -> None:
    whole = message("first", "né", "process_generating") + message("first") + CLOSED
    assert asked(panel, [whole]) == (whole, 1)


def test_a_stream_goes_on_for_an_event_that_joined_as_it_was_closed(panel: Page) -> None:
    text, requests = asked(
        panel, [message("first"), {"joins": "second"}, CLOSED], [message("second"), CLOSED]
    )
    assert text == message("first") + message("second") + CLOSED
    assert requests == 2


def test_it_goes_on_as_often_as_it_must(panel: Page) -> None:
    late = [message("first"), {"joins": "second"}, CLOSED]
    later = [message("second"), {"joins": "third"}, message("x", msg="log") + CLOSED]
    text, requests = asked(panel, late, later, [message("third") + CLOSED])
    assert text == "".join(
        [message("first"), message("second"), message("x", msg="log"), message("third"), CLOSED]
    )
    assert requests == 3


def test_an_answer_may_come_before_the_news_that_its_event_joined(panel: Page) -> None:
    both = message("first") + message("second")
    text, requests = asked(panel, [both, {"joins": "second"}, CLOSED])
    assert (text, requests) == (both + CLOSED, 1)


def test_it_does_not_matter_where_a_stream_is_cut_in_pieces(panel: Page) -> None:
    first = message("first", "né") + CLOSED
    second = message("second", "\\n") + CLOSED
    for cut in range(1, len(first)):
        pieces = [{"joins": "second"}, first[:cut], first[cut:]]
        text, requests = asked(panel, pieces, [second[:cut], second[cut:]])
        assert (text, requests) == (message("first", "né") + second, 2)


def test_words_in_a_text_are_only_words(panel: Page) -> None:
    said = message("first", CLOSED.strip().replace('"', '\\"'), "process_generating")
    assert asked(panel, [said, message("first"), CLOSED]) == (
        said + message("first") + CLOSED,
        1,
    )


def test_a_server_that_is_gone_is_an_error(panel: Page) -> None:
    with pytest.raises(Error, match="Failed to fetch"):
        asked(panel, [{"joins": "second"}, message("first") + CLOSED])


def test_a_server_that_is_gone_is_said_in_the_page(panel: Page) -> None:
    hear(panel)
    with pytest.raises(Error, match="Failed to fetch"):
        asked(panel, ["", {"joins": "second"}, message("first") + CLOSED])
    asked(panel, [message("other")])  # ended, and "first" was never answered
    assert panel.evaluate("troubles.map(({ lost }) => lost)") == [True, True]
    assert panel.evaluate("troubles[0].note").startswith("The server no longer answers.")


def test_a_page_that_is_left_says_nothing(panel: Page) -> None:
    hear(panel)
    panel.evaluate("dispatchEvent(new Event('pagehide'))")
    asked(panel, [message("other")])
    panel.evaluate("dispatchEvent(new Event('pageshow'))")
    assert panel.evaluate("troubles") == []


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (
            "Response.json({ detail: 'Too long. Shorten it.' }, { status: 413 })",
            "Too long. Shorten it.",
        ),
        ("Promise.reject(new TypeError('no network'))", "The server cannot be reached. Nothing is"),
        ("new Response('<html>', { status: 502 })", None),
    ],
)
def test_a_refusal_is_said_in_its_own_words(panel: Page, answer: str, note: str | None) -> None:
    hear(panel)
    panel.evaluate(
        f"""async () => {{
          const {{ keepingStreams }} = await import("/sse_keep_alive.js");
          const fetch = keepingStreams(async () => {answer});
          await fetch(new URL("/queue/join", location)).catch(() => {{}});
        }}"""
    )
    notes = panel.evaluate("troubles.map(({ note }) => note)")
    assert [found[:40] for found in notes] == ([note[:40]] if note else [])


def hear(panel: Page) -> None:
    panel.evaluate(
        """async () => {
          window.troubles = [];
          addEventListener("gpt2-trouble", ({ detail }) => troubles.push(detail));
          await import("/sse_keep_alive.js");
        }"""
    )
