"""How a command meets its terminal: encodings, closed ends, full disks, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt2.runtime import terminal

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


def gpt2(*arguments: str | bytes, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """`python -m gpt2` with these arguments."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **how.pop("environment", {})}
    with subprocess.Popen(
        [sys.executable, "-m", "gpt2", *arguments],
        cwd=ROOT, env=environment, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
    ) as process:  # fmt: skip
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out or b"", err or b"")


def shell(line: str, **environment: str) -> tuple[int, str]:
    """What `bash` ends with, and all it says. `$GPT2` is `python -m gpt2`."""
    done = subprocess.run(
        ["bash", "-c", f'GPT2="{sys.executable} -m gpt2"; {line}'],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout.decode("utf-8", "replace")


PROMPT = "é “ü” 中 🦊"
WRITTEN = {
    "cp1252": r"é “ü” \u4e2d \U0001f98a",
    "ascii": r"\xe9 \u201c\xfc\u201d \u4e2d \U0001f98a",
}


@pytest.mark.parametrize("encoding", WRITTEN)
def test_what_the_encoding_lacks_is_escaped(encoding: str) -> None:
    done = gpt2("generate", PROMPT, "--new-tokens", "1", environment={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).startswith(WRITTEN[encoding])


def test_arguments_are_utf_8_where_the_locale_cannot_read_them() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    same = gpt2("generate", PROMPT, "--new-tokens", "8")
    done = gpt2("generate", PROMPT, "--new-tokens", "8", environment=plain)
    assert (done.returncode, done.stdout) == (0, same.stdout)
    wrong = gpt2("generate", b"Zo\xeb", environment=plain)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr == b"error: Arguments must be UTF-8, or in the encoding of this locale.\n"


@pytest.mark.parametrize(
    "command",
    ["heads", "--help", "generate Once --new-tokens 200", "download --size tiny"],
)
def test_a_reader_that_has_left_is_no_error(command: str) -> None:
    line = f"$GPT2 {command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    assert shell(line, PYTHONUNBUFFERED="") == (0, "0\n")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["--help", "download --size tiny"])
def test_a_full_disk_is_said(command: str) -> None:
    sentence = "error: Standard output cannot be used: No space left on device.\n"
    for unbuffered in ("", "1"):
        told = shell(f"$GPT2 {command} >/dev/full", PYTHONUNBUFFERED=unbuffered)
        assert told == (2, sentence)


def test_closed_and_full_ends() -> None:
    assert shell("$GPT2 generate Once --size none 2>/dev/full") == (2, "")
    assert shell("$GPT2 generate Once >&-") == (
        2,
        "error: Standard output is closed: there is nowhere to write to.\n",
    )
    code, text = shell("$GPT2 generate Once --new-tokens 2 <&- 2>&-")
    assert (code, text[:4]) == (0, "Once")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("command", ["$GPT2 generate Once", f"{sys.executable} app.py"])
def test_too_little_address_space_is_said_before_a_library_aborts(command: str) -> None:
    code, said = shell(f"ulimit -v 700000; {command}")
    assert code == 2
    assert said == (
        "error: `ulimit -v` allows 717 MB of address space; at least 1.2 GB are needed, and the "
        "weights come on top.\n"
    )


def test_ctrl_c_while_it_writes() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gpt2", "generate", "Once", "--size", "mini", "--new-tokens", "500"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        assert process.stdout.read(5)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == b"\n"
    assert process.returncode == 130


_IMPORTS = """
import sys
from gpt2.runtime import terminal
with terminal.ended_by_ctrl_c():
    print("importing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("before", "code"), [("", -signal.SIGINT), ("trap '' INT; ", 0)])
def test_ctrl_c_while_modules_are_imported(before: str, code: int) -> None:
    """Unless it is ignored, as with `nohup`."""
    with subprocess.Popen(
        ["bash", "-c", f'{before}exec "$0" -c "$1"', sys.executable, _IMPORTS],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == code


NO_MEMORY = "error: There is not enough memory. Choose a smaller size or a smaller precision.\n"


def fails(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("One.\nTwo."), "error: One.\nerror: Two.\n"),
        (PermissionError(13, "Not allowed", "x"), "error: x cannot be used: Not allowed.\n"),
        (MemoryError(), NO_MEMORY),
        (RuntimeError("std::bad_alloc"), NO_MEMORY),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal.run(fails(error)) == 2
    assert capsys.readouterr() == ("", sentence)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("ours"), OSError(9999, "other")])
def test_our_own_faults_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        terminal.run(fails(error))


def test_without_a_place_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/dev/null/none"])

    def command() -> int:
        tempfile.gettempdir()
        return 0

    assert terminal.run(command) == 2
    said = "error: No folder for temporary files can be written. Let TMPDIR name one.\n"
    assert capsys.readouterr() == ("", said)


def test_a_stream_says_what_it_can_show() -> None:
    assert terminal.can_show("█", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert terminal.can_show("█", io.TextIOWrapper(io.BytesIO(), encoding="cp437"))
    assert not terminal.can_show("█", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    assert terminal.can_show("█", io.StringIO())
