"""python -m gpt2: what it writes where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from gpt2 import load
from gpt2.cli import main as command_line
from gpt2.sampling import USUAL, SamplingOptions
from gpt2.scoring import score
from tests.hub_standin import HubStandin, write_gpt2_folder
from tests.small import CONFIG

PROMPT = "Once upon a time"
ARGUMENTS = ["--size", "tiny", "--new-tokens", "400", "--temperature", "0.8", "--seed", "1"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpt2", *arguments])
    return command_line.main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_gpt2_folder(path, CONFIG)
    return path


def test_generate_streams_the_engine_s_text() -> None:
    expected = load("tiny").complete(PROMPT, SamplingOptions(0.8, top_p=USUAL.top_p, seed=1), 400)
    process = subprocess.Popen(
        [sys.executable, "-m", "gpt2", "generate", PROMPT, *ARGUMENTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    with process:
        assert process.stdout
        assert process.stderr
        pieces = []
        while piece := os.read(process.stdout.fileno(), 10_000):
            pieces.append(piece)
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert b"".join(pieces).decode() == PROMPT + expected + "\n"
    assert len(pieces) > 5


def test_a_folder_is_a_size_too(monkeypatch, capsys, folder: Path) -> None:
    arguments = ["generate", "", "--size", str(folder), "--new-tokens", "5", "--temperature", "0"]
    assert run(monkeypatch, *arguments) == 0
    assert (
        capsys.readouterr().out
        == load(str(folder)).complete("", SamplingOptions(temperature=0), 5) + "\n"
    )


def test_a_full_context_is_said_beside_the_text(monkeypatch, capsys, folder: Path) -> None:
    arguments = ["--size", str(folder), "--new-tokens", "999", "--temperature", "0"]
    assert run(monkeypatch, "generate", "The fox", *arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("The fox")
    assert said.err == "The context is full: this model reads 320 tokens at most.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "huge"], "'huge' is no model: choose one of tiny, mini, distil"),
        (["--temperature", "3"], "Temperature must be from 0 to 2, not 3.0."),
        (["--temperature", "nan"], "Temperature must be from 0 to 2, not nan."),
        (["--top-p", "0"], "Top-p must be above 0 and at most 1"),
        (["--top-k", "-1"], "Top-k must be a whole number from 0"),
        (["--seed", "-1"], "Seed must be a whole number from 0"),
        (["--new-tokens", "-1"], "New tokens must be 0 or more, not -1."),
    ],
)
def test_a_wish_that_cannot_be_ends_with_one_sentence(
    monkeypatch, capsys, arguments: list[str], message: str
) -> None:
    assert run(monkeypatch, "generate", PROMPT, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_prompt_that_is_too_long_is_not_repeated(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "generate", "a b c " * 400) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "this model reads at most 511" in said.err


@pytest.mark.parametrize(
    "arguments", [[], ["write"], ["generate"], ["download"], ["generate", "x", "--seed", "one"]]
)
def test_a_call_that_is_none_shows_how_to_call(monkeypatch, capsys, arguments: list[str]) -> None:
    assert run(monkeypatch, *arguments) == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("Usage: python -m gpt2")
    assert error.startswith("error: ")


def test_control_c_ends_quietly(monkeypatch, capsys) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpt2.cli.generate.load", interrupted)
    assert run(monkeypatch, "generate", PROMPT) == 130
    assert capsys.readouterr() == ("", "\n")


def test_help_gives_ranges_units_and_defaults(monkeypatch, capsys) -> None:
    for command in (["generate"], ["download"], []):
        assert run(monkeypatch, *command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    parts = (
        f"0 (always the likeliest) to 2 [default: {USUAL.temperature}]",
        f"1, which keeps all [default: {USUAL.top_p}]",
        "at most [default: 120]",
        "0 keeps all",
        "the same seed, the same text",
        "tiny, mini, distil, small",
        "owner/name",
        "HF_HOME",
    )
    for part in parts:
        assert part in text


def test_every_parameter_of_every_command_says_what_it_is() -> None:
    group = get_command(command_line.app)
    commands = group.commands
    assert set(commands) >= {"generate", "compare", "download", "publish", "heads", "lens", "bench"}
    silent = [
        (name, each.name) for name, command in commands.items() for each in command.params
        if not each.help
    ]  # fmt: skip
    assert silent == []
    assert [name for name, command in commands.items() if not command.help] == []


def test_a_reader_in_a_narrow_terminal_without_colour_or_unicode_gets_help() -> None:
    """As in a plain one: no line longer than it, nothing that it cannot show."""
    for variables, wide in (({"COLUMNS": "40", "NO_COLOR": "1"}, 40), ({}, 80)):
        shown = on_a_terminal("generate", "--help", PYTHONIOENCODING="ascii", **variables)
        plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
        assert max(map(len, plain.splitlines())) <= wide
        assert "--temperature" in shown
        assert "keeps all" in " ".join(plain.replace("|", " ").split())
        assert shown.isascii() and "\\u" not in shown
        if "NO_COLOR" in variables:
            assert not re.search(r"\x1b\[[\d;]*3\d", shown), "a colour"
    assert "╭" in on_a_terminal("--help", PYTHONIOENCODING="utf-8")


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What `python -m gpt2` writes to a terminal of 80 columns."""
    ours, its = pty.openpty()
    known = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "gpt2", *arguments],
        stdout=its, stderr=its, stdin=its, env={**known, "TERM": "xterm", **variables},
    ) as process:  # fmt: skip
        os.close(its)
        pieces = []
        try:
            while piece := os.read(ours, 10_000):
                pieces.append(piece)
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return b"".join(pieces).decode().replace("\r\n", "\n")


def test_help_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys; from gpt2.cli.main import main; sys.argv = ['gpt2', 'lens', '--help'];"
        "main(); sys.exit(any(name in sys.modules for name in ('torch', 'numba', 'gradio')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_prompt_may_begin_with_a_dash(monkeypatch, capsys, folder: Path) -> None:
    arguments = ["--size", str(folder), "--new-tokens", "1"]
    assert run(monkeypatch, "generate", "- one, two", *arguments) == 0
    assert capsys.readouterr().out.startswith("- one, two")


def test_download_prints_the_folder_of_a_built_in_size(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "download", "--size", "tiny") == 0
    said = capsys.readouterr()
    assert Path(said.out.rstrip("\n"), "model.safetensors").is_file()
    assert said.err == ""


def test_download_fetches_into_the_cache(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gpt2", "download", "--size"]
    with HubStandin({"someone/model": folder}) as hub:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE"))}
        environment = {**kept, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path)}
        done = subprocess.run(
            [*command, "someone/model"], env=environment, capture_output=True, text=True
        )
        gone = subprocess.run(
            [*command, "someone/else"], env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    where = Path(done.stdout.rstrip("\n"))
    assert tmp_path in where.parents
    assert (where / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert "MB" in done.stderr
    assert (gone.returncode, gone.stdout) == (2, "")
    assert gone.stderr.splitlines()[-1].startswith("error: The hub shows no repository")


def test_compare_writes_each_text_and_a_table(monkeypatch, capsys, folder: Path) -> None:
    sizes = ["--sizes", str(folder), "tiny", "--new-tokens", "9", "--seed", "3"]
    assert run(monkeypatch, "compare", PROMPT, *sizes) == 0
    printed = capsys.readouterr().out
    options = SamplingOptions(USUAL.temperature, USUAL.top_k, USUAL.top_p, 3)
    texts = [f"{PROMPT}{load(str(n)).complete(PROMPT, options, 9)}" for n in (folder, "tiny")]
    assert printed.index(texts[0]) < printed.index(texts[1])
    assert f"{score(load('tiny'), PROMPT).bits_per_byte:.4f}" in printed.splitlines()[-1]


def test_compare_goes_on_without_a_size_that_cannot_be_had(
    monkeypatch, capsys, tmp_path: Path
) -> None:
    arguments = ["compare", PROMPT, "--new-tokens", "5", "--sizes"]
    assert run(monkeypatch, *arguments, str(tmp_path), "tiny") == 0
    printed = capsys.readouterr().out
    assert "has no config.json" in printed
    assert printed.splitlines()[-1].startswith("Tiny ")
    assert run(monkeypatch, "compare", "a b " * 600, "--sizes", "tiny", "mini") == 2
    assert "this model reads at most 511" in capsys.readouterr().err


def test_compare_says_what_does_not_fit_before_it_downloads_anything(monkeypatch, capsys) -> None:
    monkeypatch.setattr("gpt2.precision.has_compiled_pass", lambda: True)
    monkeypatch.setattr("gpt2.cli.compare.memory_budget", lambda device: 2 * 10**9)
    monkeypatch.setattr("gpt2.cli.compare.fetch", pytest.fail)
    monkeypatch.setattr("gpt2.cli.compare.load", pytest.fail)
    assert run(monkeypatch, "compare", PROMPT, "--sizes", "tiny", "xl", "--precision", "int8") == 2
    assert "Together these need 2.4 GB with their caches" in capsys.readouterr().err


def test_compare_counts_what_a_gpu_holds_where_there_is_one(monkeypatch, capsys) -> None:
    room = {"cpu": 0, "cuda": 6 * 10**9}
    monkeypatch.setattr("gpt2.cli.compare.memory_budget", room.__getitem__)
    monkeypatch.setattr("gpt2.cli.compare.wanted_device", lambda: "cuda")
    monkeypatch.setattr("gpt2.cli.compare.load", pytest.fail)
    assert run(monkeypatch, "compare", PROMPT, "--sizes", "tiny", "xl") == 2
    said = capsys.readouterr().err
    assert "XL 7.2 GB" in said  # float32, and the cache of one text
    assert "has 6.0 GB" in said


@pytest.mark.parametrize("sizes", [["tiny"], ["tiny", "tiny"], ["tiny", "nothing"]])
def test_compare_takes_two_to_four_sizes_that_there_are(monkeypatch, capsys, sizes) -> None:
    assert run(monkeypatch, "compare", PROMPT, "--sizes", *sizes) == 2
    said = capsys.readouterr().err
    assert "two to four different sizes" in said or "'nothing' is no model" in said


def test_heads_prints_a_line_for_every_head(monkeypatch, capsys, folder: Path) -> None:
    assert run(monkeypatch, "heads", "--size", str(folder)) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == [
        "layer", "head", "prev", "p/rest", "self", "first", "dupl", "induct", "tokens", "dist",
        "role",
    ]  # fmt: skip
    assert len(lines) == CONFIG.num_blocks * CONFIG.num_heads
    assert all(float(score) >= 0 for line in lines for score in line.split()[2:10])


def test_heads_says_when_a_text_holds_no_evidence(monkeypatch, capsys, folder: Path) -> None:
    assert run(monkeypatch, "heads", "--size", str(folder), "--text", "The fox") == 0
    out = capsys.readouterr().out
    assert "No token repeats" in out
    assert run(monkeypatch, "heads", "--size", str(folder), "--text", "The fox", "--json") == 0
    roles = json.loads(capsys.readouterr().out)
    assert roles["repeats"] == 0
    assert roles["induction"] == [[None] * CONFIG.num_heads] * CONFIG.num_blocks
    assert len(roles["previous"][0]) == CONFIG.num_heads


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_file_that_cannot_be_written_is_said_before_minutes_of_measuring(
    monkeypatch, capsys, tmp_path: Path, option: str
) -> None:
    monkeypatch.setattr("gpt2.bench.command.measure", pytest.fail)
    for file in (tmp_path, tmp_path / "none" / "x"):
        assert run(monkeypatch, "bench", "--sizes", "tiny", option, str(file)) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"error: {file} cannot be written: ")


def test_a_text_that_cannot_be_read_is_said_before_anything_is_loaded(
    monkeypatch, capsys, tmp_path: Path
) -> None:
    monkeypatch.setattr("gpt2.bench.drafting_command.weights_of", pytest.fail)
    arguments = ["bench-drafting", "--size", "mini", "--draft-with", "tiny", "--text"]
    assert run(monkeypatch, *arguments, str(tmp_path / "none")) == 2
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path / 'none'} cannot be read: No such file or directory.\n"


def test_a_corpus_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpt2.training", "--corpus", tmp_path, "--out", tmp_path / "out"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no train_level1.txt or train_level1.txt.gz in ")
    assert done.stderr.count("\n") == 1
