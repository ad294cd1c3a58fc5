"""python -m gpt2: write text in the terminal, fetch a model before it is needed, score heads."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

import typer
from typer.core import TyperCommand, TyperOption
from typer.main import get_command

from gpt2.cli.arguments import expand
from gpt2.cli.parameters import (
    AsJson,
    NewTokens,
    NoStartToken,
    Precision,
    Prompt,
    Rounds,
    Seed,
    Size,
    Sizes,
    Temperature,
    Text,
    TopK,
    TopP,
)
from gpt2.inference.likelihoods import COUNT
from gpt2.precision import AUTO, FLOAT32
from gpt2.runtime import terminal
from gpt2.sampling import USUAL, SamplingOptions

_NAME = "python -m gpt2"
_WIDEST, _FRAMED = 100, 60  # characters of a line of help: at most, and at least for frames

P = ParamSpec("P")

app = typer.Typer(
    help=__doc__,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Command(TyperCommand):
    """One whose arguments people may write as `--sizes a b`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = [each for each in self.params if isinstance(each, TyperOption)]
        one = {name for each in options if not each.is_flag for name in each.opts}
        many = {name for each in options if each.multiple for name in each.opts}
        return super().parse_args(ctx, expand(args, one - many, many))


def _command(name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a function as the command `name`: its docstring is the help.

    Only what runs waits for PyTorch, and sets its threads. What else a user can mend becomes a
    ValueError, of which `terminal.run` makes sentences.
    """

    def register(body: Callable[P, None]) -> Callable[P, None]:
        @app.command(name, cls=_Command)
        @functools.wraps(body)
        def run(*args: P.args, **named: P.kwargs) -> None:
            with terminal.ended_by_ctrl_c():
                from gpt2.checkpoint import CheckpointError
                from gpt2.residency import OutOfMemory
                from gpt2.runtime.threads import set_threads
            set_threads()
            try:
                body(*args, **named)
            except (CheckpointError, OutOfMemory) as error:
                raise ValueError(str(error)) from error

        return run

    return register


@_command("generate")
def _generate(
    prompt: Prompt,
    size: Size = "tiny",
    new_tokens: NewTokens = 120,
    temperature: Temperature = USUAL.temperature,
    top_k: TopK = USUAL.top_k,
    top_p: TopP = USUAL.top_p,
    seed: Seed = 0,
    precision: Precision = AUTO,
    draft_with: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="a smaller size that guesses ahead: the same text"),
    ] = None,
) -> None:
    """Stream text to the terminal."""
    from gpt2.cli.generate import generate

    sampling = SamplingOptions(temperature, top_k, top_p, seed)
    generate(prompt, size, sampling, new_tokens, precision, draft_with)


@_command("compare")
def _compare(
    prompt: Prompt,
    sizes: Sizes,
    new_tokens: NewTokens = 120,
    temperature: Temperature = USUAL.temperature,
    top_k: TopK = USUAL.top_k,
    top_p: TopP = USUAL.top_p,
    seed: Seed = 0,
    precision: Precision = AUTO,
) -> None:
    """Let several sizes write side by side.

    Two to four, with the same noise, and a table of what they took.
    """
    from gpt2.cli.compare import compare

    sampling = SamplingOptions(temperature, top_k, top_p, seed)
    compare(prompt, sizes, sampling, new_tokens, precision)


@_command("download")
def _download(size: Size) -> None:
    """Fetch a model into the cache (HF_HOME)."""
    from gpt2.cli.download import download

    download(size)


@_command("publish")
def _publish(
    folder: Annotated[Path, typer.Argument(help="where to; made, or empty")],
    size: Annotated[str, typer.Option(help="a built-in one: tiny or mini")] = "tiny",
) -> None:
    """Write a built-in model as a folder for the hub.

    Writes weights, config, tokenizer, sampling defaults and card, as transformers reads them, ready
    for `hf upload owner/name FOLDER --exclude '*.packed.safetensors'`: such copies this program
    leaves where it has loaded a model.
    """
    from gpt2.cli.publish import publish

    publish(size, folder)


@_command("replay")
def _replay(
    file: Annotated[Path, typer.Argument(help="a trace that the page has saved")],
    size: Annotated[str | None, typer.Option(help="another model than the trace names")] = None,
    precision: Annotated[
        str | None, typer.Option(help="another precision than the trace was made with")
    ] = None,
) -> None:
    """Compute a saved trace again and say what is the same.

    The written tokens and the attention rows, beside the weights' hash and the precision. Ends in 1
    where anything differs.
    """
    from gpt2.cli.replay import print_replay

    if not print_replay(file, size, precision):
        raise typer.Exit(1)


@_command("heads")
def _heads(
    size: Size = "tiny",
    text: Annotated[
        str | None, typer.Option(help="measure on this text instead of random tokens")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="all numbers, as lists by layer and head")
    ] = False,
) -> None:
    """Print what every attention head does, in numbers.

    Scores every head on texts of random tokens, each repeated once (gpt2/head_probe.py), or on
    --text. gpt2/interpret/head_roles.py says what each score is.
    """
    from gpt2.cli.heads import print_heads

    print_heads(size, text, json)


@_command("tokens")
def _tokens(
    text: Text,
    size: Size = "tiny",
    precision: Precision = AUTO,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    count: Annotated[int, typer.Option(help="likeliest tokens listed")] = COUNT,
    no_start_token: NoStartToken = False,
    json: AsJson = False,
) -> None:
    """Print how likely each token was, and what else could come."""
    from gpt2.cli.inside import print_tokens

    sampling = SamplingOptions(temperature, top_k, top_p)
    print_tokens(text, size, precision, sampling, count, not no_start_token, json)


@_command("lens")
def _lens(
    text: Text,
    size: Size = "tiny",
    precision: Precision = AUTO,
    everywhere: Annotated[
        bool, typer.Option("--all", help="after every token, not the last alone")
    ] = False,
    no_start_token: NoStartToken = False,
    json: AsJson = False,
) -> None:
    """Print what each layer would say next: the logit lens."""
    from gpt2.cli.inside import print_lens

    print_lens(text, size, precision, everywhere, not no_start_token, json)


@_command("effects")
def _effects(
    text: Text,
    size: Size = "tiny",
    precision: Precision = AUTO,
    token: Annotated[
        str | None, typer.Option(help="the next token to look at; by itself the likeliest")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="a token whose lead is measured, not the logit alone")
    ] = None,
    instead: Annotated[
        Literal["zero", "mean", "bias"],
        typer.Option(
            help="what stands in for a head: zeros, its mean over this text, or its value bias"
        ),
    ] = "zero",
    last: Annotated[
        bool, typer.Option("--last", help="off at the last token alone, not everywhere")
    ] = False,
    no_start_token: NoStartToken = False,
    json: AsJson = False,
) -> None:
    """Print what each head does, measured by switching it off."""
    from gpt2.cli.inside import print_effects

    start = not no_start_token
    print_effects(text, size, precision, token, against, instead, not last, start, json)


@_command("bench")
def _bench(
    sizes: Sizes = ["tiny", "small"],  # noqa: B006 -- typer reads it and never changes it
    precisions: Annotated[
        list[str] | None,
        typer.Option(help="all that the device has, unless named (GPT2_DEVICE: cpu or cuda)"),
    ] = None,
    prompts: Annotated[list[int], typer.Option(help="tokens")] = [32, 384],  # noqa: B006 -- as above
    new_tokens: Annotated[int, typer.Option(help="decoded each time")] = 64,
    rounds: Rounds = 5,
    random: Annotated[bool, typer.Option("--random", help="random weights for every size")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="write all numbers")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="write an SVG")] = None,
) -> None:
    """Measure how fast this machine is.

    Decode speed, time to the first token, loading and memory of every size in every precision, each
    in a process of its own, asked in turn; medians. Sizes that are not downloaded are measured with
    random weights, which cost the same.
    """
    from gpt2.bench.command import run_bench

    run_bench(sizes, precisions or [], prompts, new_tokens, rounds, random, json, plot)


@_command("bench-drafting")
def _bench_drafting(
    size: Size,
    draft_with: Annotated[str, typer.Option(metavar="SIZE", help="the smaller size")],
    precision: Annotated[str, typer.Option(help="of both")] = FLOAT32,
    acceptance: Annotated[list[float] | None, typer.Option(help="0 to 1, each")] = None,
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a text to guess through")
    ] = None,
    new_tokens: Annotated[int, typer.Option(help="a run")] = 96,
    rounds: Rounds = 5,
) -> None:
    """Measure what a draft brings on this machine.

    Runs with and without a draft in turn. With --acceptance the draft makes its passes but is told
    what to say, so that random weights do; without, both are the real ones, and --text also says
    how many guesses two rules would keep on it.
    """
    from gpt2.bench.drafting_command import run_drafting_bench

    run_drafting_bench(size, draft_with, precision, acceptance or [], text, new_tokens, rounds)


@_command("bench-visitors")
def _bench_visitors(
    sizes: Sizes = ["tiny"],  # noqa: B006 -- typer reads it and never changes it
    precisions: Annotated[list[str], typer.Option(help="of each size")] = [AUTO],  # noqa: B006 -- as above
    visitors: Annotated[
        int | None, typer.Option(help="at once; by itself as many as the page writes for")
    ] = None,
    prompt: Annotated[int, typer.Option(help="tokens of each")] = 32,
    new_tokens: Annotated[int, typer.Option(help="of each")] = 64,
    rounds: Rounds = 5,
) -> None:
    """Measure what many visitors at once get.

    One visitor and many in turns on one model: tokens a second together, and the 95th percentile of
    the time between two tokens of one text; medians. Every text is compared with what its visitor
    gets alone. Sizes that are not downloaded get random weights.
    """
    from gpt2.bench.visitors_command import run_visitors_bench

    run_visitors_bench(sizes, precisions, visitors, prompt, new_tokens, rounds)


def main() -> int:
    """Exit code 0, or 2 with one sentence for what the user can mend, or 130 on Ctrl-C."""
    return terminal.run(_run)


def _run() -> int:
    """What `sys.argv` asks for; typer's own way to run it ends with 1 where a reader has left."""
    columns = shutil.get_terminal_size().columns
    # Help in frames is for people; a pipe, a file and what has no room for them get plain text.
    framed = sys.stdout.isatty() and terminal.can_show("╭…", sys.stdout) and columns >= _FRAMED
    app.rich_markup_mode = "rich" if framed else None
    group = get_command(app)
    width = min(_WIDEST, columns)
    try:
        with group.make_context(_NAME, sys.argv[1:], terminal_width=width) as context:
            group.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        called = getattr(error, "ctx", None)
        if called is not None:
            print(called.get_usage(), file=sys.stderr)
        raise ValueError(error.format_message()) from error
    return 0
