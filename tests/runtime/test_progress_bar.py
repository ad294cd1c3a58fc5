"""The line that says how far something is: on terminals of all kinds, and in files."""

from __future__ import annotations

import io
import re

import pytest

from gpt2.runtime.progress_bar import ProgressBar

WORDS = "100 of 100 MB, 12.3 MB/s, 40 s left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class OldTerminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def last_line(written: str) -> str:
    """What a terminal shows in the end, without colours."""
    return re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", written.rstrip("\n").split("\r")[-1]).strip()


def test_on_a_terminal_the_line_is_rewritten() -> None:
    terminal = Terminal()
    with ProgressBar(terminal) as bar:
        for tenths in range(11):
            bar.show(tenths / 10, WORDS)
    written = terminal.getvalue()
    assert "\r\x1b[2K" in written
    assert last_line(written) == f"{'━' * 30} {WORDS}"
    assert written.count("\n") == 1
    assert written.endswith("\x1b[?25h"), "the cursor is shown again"


def test_the_cursor_comes_back_after_an_error() -> None:
    terminal = Terminal()
    with pytest.raises(KeyboardInterrupt), ProgressBar(terminal) as bar:
        bar.show(0.5, WORDS)
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith("\x1b[?25h")


@pytest.mark.parametrize("columns", [20, 40])
def test_on_a_narrow_terminal_the_words_go_first(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    with ProgressBar(terminal) as bar:
        bar.show(1.0, WORDS)
    assert terminal.getvalue().count("\n") == 1
    line = last_line(terminal.getvalue())
    assert len(line) <= columns
    assert WORDS[: columns - 3] in line


def test_without_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    with ProgressBar(terminal) as bar:
        bar.show(0.5, WORDS)
    assert not re.search(r"\x1b\[[\d;]*m", terminal.getvalue())


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_only_what_the_terminal_can_show(encoding: str) -> None:
    written = io.BytesIO()
    with ProgressBar(OldTerminal(written, encoding=encoding, write_through=True)) as bar:
        bar.show(1.0, "half [bold]of[/bold] it")  # words are no markup
    assert last_line(written.getvalue().decode(encoding)) == "-" * 30 + " half [bold]of[/bold] it"


@pytest.mark.parametrize(
    ("stream", "variables"),
    [
        (io.StringIO, {}),
        (io.StringIO, {"FORCE_COLOR": "1"}),  # for a file it would be no use
        (Terminal, {"TERM": "dumb"}),
    ],
)
def test_in_a_file_and_on_a_dumb_terminal_every_tenth_is_said_once(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = stream()
    with ProgressBar(file) as bar:
        for percent in range(101):
            bar.show(percent / 100, "words")
    lines = file.getvalue().splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("  0 %  words", "100 %  words")


def test_nothing_is_shown_of_what_never_began() -> None:
    terminal = Terminal()
    with ProgressBar(terminal):
        pass
    assert terminal.getvalue() == ""
