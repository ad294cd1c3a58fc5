"""python -m gpt2: write text in the terminal, fetch a model before it is needed, score heads."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from gpt2.bench import add_bench, add_drafting_bench, add_visitors_bench
from gpt2.checkpoint import CheckpointError, Progress, fetch, find_source
from gpt2.cli.compare import compare
from gpt2.cli.heads import add_heads
from gpt2.cli.inside import add_inside
from gpt2.cli.publish import add_publish
from gpt2.cli.replay import add_replay
from gpt2.config import SIZES
from gpt2.loading import load
from gpt2.precision import ALL_PRECISIONS, AUTO
from gpt2.progress_bar import ProgressBar
from gpt2.residency import OutOfMemory
from gpt2.runtime import terminal
from gpt2.runtime.threads import set_threads
from gpt2.sampling import USUAL, SamplingOptions

_SIZE_HELP = f"{', '.join(SIZES)}, a folder, or a hub repository as owner/name (default: tiny)"


class _Parser(argparse.ArgumentParser):
    """Its help that cannot be written is an error too."""

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)


def parser() -> argparse.ArgumentParser:
    """The command line, every unit in its help."""
    top = _Parser(prog="python -m gpt2", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    generate = commands.add_parser("generate", help="stream text to the terminal")
    generate.add_argument("prompt", help="the text to go on from; may be empty")
    generate.add_argument("--size", default="tiny", help=_SIZE_HELP)
    _add_sampling(generate)
    generate.add_argument(
        "--draft-with", metavar="SIZE", help="a smaller size that guesses ahead: the same text"
    )
    generate.set_defaults(run=write)

    side_by_side = commands.add_parser("compare", help="let several sizes write side by side")
    side_by_side.add_argument("prompt", help="the text to go on from; may be empty")
    side_by_side.add_argument(
        "--sizes", nargs="+", required=True, help=f"two to four: {', '.join(SIZES)}, or as --size"
    )
    _add_sampling(side_by_side)
    side_by_side.set_defaults(run=compare_sizes)

    download = commands.add_parser("download", help="fetch a model into the cache (HF_HOME)")
    download.add_argument("--size", required=True, help=_SIZE_HELP)
    download.set_defaults(run=fetch_model)
    add_publish(commands)
    add_heads(commands, _SIZE_HELP)
    add_inside(commands, _SIZE_HELP)
    add_replay(commands, DownloadBar, _SIZE_HELP)
    add_bench(commands, _SIZE_HELP)
    add_drafting_bench(commands, _SIZE_HELP)
    add_visitors_bench(commands, _SIZE_HELP)
    return top


def _add_sampling(command: argparse.ArgumentParser) -> None:
    command.add_argument("--new-tokens", type=int, default=120, help="at most (default: 120)")
    command.add_argument(
        "--temperature",
        type=float,
        default=USUAL.temperature,
        help=f"0 (always the likeliest) to 2 (default: {USUAL.temperature})",
    )
    command.add_argument(
        "--top-k", type=int, default=USUAL.top_k, help="likeliest tokens kept, 0 keeps all"
    )
    command.add_argument(
        "--top-p",
        type=float,
        default=USUAL.top_p,
        help=f"probability kept, above 0 to 1, which keeps all (default: {USUAL.top_p})",
    )
    command.add_argument("--seed", type=int, default=0, help="the same seed, the same text")
    command.add_argument(
        "--precision",
        default=AUTO,
        help=f"{', '.join([AUTO, *ALL_PRECISIONS])} (default: {AUTO}); not all on every device",
    )


def write(options: argparse.Namespace) -> None:
    """`generate`: the prompt, then every piece of text as it comes."""
    sampling = SamplingOptions(options.temperature, options.top_k, options.top_p, options.seed)
    bar = DownloadBar()
    engine = load(options.size, options.precision, progress=bar)
    draft = None
    if options.draft_with:
        draft = load(options.draft_with, options.precision, progress=bar)
    bar.close()
    events = engine.stream(options.prompt, sampling, options.new_tokens, draft=draft)
    print(options.prompt, end="", flush=True)
    right: list[bool] = []
    speed_up = None
    for event in events:
        print(event.text, end="", flush=True)
        if event.guess is not None:
            right.append(event.guess == event.token)
            speed_up = event.speed_up
    print()
    if speed_up:
        print(
            f"{options.draft_with} guessed {sum(right)} of {len(right)} tokens right: "
            f"{speed_up:.2f} times as fast as without a draft.",
            file=sys.stderr,
        )
    if event.finish == "context":
        most = engine.config.max_seq_len
        print(f"The context is full: this model reads {most:,} tokens at most.", file=sys.stderr)


def compare_sizes(options: argparse.Namespace) -> None:
    """`compare`: every size's text with the same noise, then a table."""
    bar = DownloadBar()
    compare(options, bar, bar.close)


def fetch_model(options: argparse.Namespace) -> None:
    """`download`: the folder where the files are, for scripts, on standard output."""
    bar = DownloadBar()
    folder = fetch(find_source(options.size), bar)
    bar.close()
    print(folder)


class DownloadBar:
    """Shows download progress on standard error; nothing for files that are here already."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def __call__(self, progress: Progress) -> None:
        self._bar = self._bar or ProgressBar()
        if progress.note or progress.done == 0:
            so_far = progress.done / max(1, progress.total)
            self._bar.show(so_far, progress.note or "asking the hub")
            return
        left = progress.seconds_left
        words = (
            f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB"
            f" · {progress.bytes_per_second / 1e6:.1f} MB/s"
            + (f" · {left:,.0f} s left" if left is not None else "")
        )
        self._bar.show(progress.done / max(1, progress.total), words)

    def close(self) -> None:
        """Leave the line, if there is one."""
        if self._bar:
            self._bar.close()


def main() -> int:
    """Exit code 0, or 2 with one sentence for what the user can mend, or 130 on Ctrl-C."""
    return terminal.run(_command, (CheckpointError, OutOfMemory, ValueError))


def _command() -> int:
    options = parser().parse_args()
    set_threads()
    options.run(options)
    return 0
