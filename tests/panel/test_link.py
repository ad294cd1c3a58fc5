"""Links and kept texts that somebody made up: bounded, readable, and no reason to stop."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from playwright.sync_api import Page

from gpt2.serving.incoming import MOST_BYTES

pytestmark = pytest.mark.browser

READ = """async (packed) => {
  const { unpack } = await import("/link.js");
  const before = performance.now();
  try {
    return [(await unpack(packed)).length, performance.now() - before];
  } catch (error) {
    return [String(error), performance.now() - before];
  }
}"""


def packed(text: bytes) -> str:
    squeezer = zlib.compressobj(9, wbits=-15)
    squeezed = squeezer.compress(text) + squeezer.flush()
    return base64.urlsafe_b64encode(squeezed).decode().rstrip("=")


def test_a_link_of_ours_is_read_whole(panel: Page) -> None:
    text = json.dumps({"text": None, "controls": ["fox 🦊" * 9999]}, ensure_ascii=False)
    found, _ = panel.evaluate(READ, packed(text.encode()))
    assert found == len(text) + 9999  # UTF-16


def test_as_much_as_the_server_reads_is_unpacked(panel: Page) -> None:
    assert panel.evaluate(READ, packed(b"x" * MOST_BYTES))[0] == MOST_BYTES
    assert "too much" in panel.evaluate(READ, packed(b"x" * (MOST_BYTES + 1)))[0]


def test_half_a_megabyte_does_not_become_four_hundred(panel: Page) -> None:
    # A million zeros squeezed once, four hundred times: in one piece they take five seconds.
    squeezer = zlib.compressobj(9, wbits=-15)
    million = squeezer.compress(bytes(1_000_000)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    bomb = base64.urlsafe_b64encode(400 * million + squeezer.flush()).decode().rstrip("=")
    assert 300_000 < len(bomb) < 700_000
    found, milliseconds = panel.evaluate(READ, bomb)
    assert "too much" in found
    assert milliseconds < 1000


def test_a_link_that_is_too_long_itself_is_not_read(panel: Page) -> None:
    assert "too long" in panel.evaluate(READ, "A" * (2 * MOST_BYTES + 1))[0]


def test_half_an_emoji_is_neither_kept_nor_asked_for(panel: Page) -> None:
    kept = panel.evaluate(
        r"""async () => {
          const { keepControls, read } = await import("/session_store.js");
          sessionStorage.setItem("gpt2 text", '{"state":"\\ud83e","tokens":["\\u0000"]}');
          keepControls(["half \ud83e", "\udd8a", "nul \0", "\ud83e\udd8a", 7]);
          return [sessionStorage.getItem("gpt2 controls"), read()];
        }"""
    )
    controls = ["half \ufffd", "\ufffd", "nul \ufffd", "🦊", 7]
    assert json.loads(kept[0]) == controls
    assert json.loads(kept[1]) == {
        "text": {"state": "\ufffd", "tokens": ["\ufffd"]},
        "controls": controls,
    }


def test_what_another_hand_has_kept_is_nothing(panel: Page) -> None:
    assert (
        panel.evaluate(
            """async () => {
              const { read } = await import("/session_store.js");
              sessionStorage.setItem("gpt2 text", "{");
              sessionStorage.setItem("gpt2 controls", "null");
              return read();
            }"""
        )
        == ""
    )
