"""python -m gpt2: write text in the terminal, or fetch a model before it is needed."""

from __future__ import annotations

import argparse
import os
import sys

from gpt2.checkpoint import CheckpointError, Progress, fetch, find_source
from gpt2.config import SIZES
from gpt2.engine import load
from gpt2.progress_bar import ProgressBar
from gpt2.sampling import SamplingOptions

_SIZE_HELP = f"{', '.join(SIZES)}, a folder, or a hub repository as owner/name (default: tiny)"


def parser() -> argparse.ArgumentParser:
    """The command line, every unit in its help."""
    top = argparse.ArgumentParser(prog="python -m gpt2", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    generate = commands.add_parser("generate", help="stream text to the terminal")
    generate.add_argument("prompt", help="the text to go on from; may be empty")
    generate.add_argument("--size", default="tiny", help=_SIZE_HELP)
    generate.add_argument("--new-tokens", type=int, default=120, help="at most (default: 120)")
    generate.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="0 (always the likeliest) to 2 (default: 0.8)",
    )
    generate.add_argument("--top-k", type=int, default=0, help="likeliest tokens kept, 0 keeps all")
    generate.add_argument(
        "--top-p", type=float, default=1.0, help="probability kept, above 0 to 1 (keeps all)"
    )
    generate.add_argument("--seed", type=int, default=0, help="the same seed, the same text")
    generate.set_defaults(run=write)

    download = commands.add_parser("download", help="fetch a model into the cache (HF_HOME)")
    download.add_argument("--size", required=True, help=_SIZE_HELP)
    download.set_defaults(run=fetch_model)
    return top


def write(options: argparse.Namespace) -> None:
    """`generate`: the prompt, then every piece of text as it comes."""
    sampling = SamplingOptions(options.temperature, options.top_k, options.top_p, options.seed)
    bar = DownloadBar()
    engine = load(options.size, progress=bar)
    bar.close()
    events = engine.stream(options.prompt, sampling, options.new_tokens)
    print(options.prompt, end="", flush=True)
    for event in events:
        print(event.text, end="", flush=True)
    print()
    if event.finish == "context":
        most = engine.config.max_seq_len
        print(f"The context is full: this model reads {most:,} tokens at most.", file=sys.stderr)


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
        if progress.done == 0:
            self._bar.show(0, "asking the hub")
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
    options = parser().parse_args()
    try:
        options.run(options)
    except (CheckpointError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `| head` has read enough. Python would complain when it flushes the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
