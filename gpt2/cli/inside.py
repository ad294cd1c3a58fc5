"""python -m gpt2 tokens, lens, effects: what a model thinks of a text, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

from gpt2.engine import Engine
from gpt2.inference.choice import COUNT, REASONS, Choice
from gpt2.interpret.as_json import Json, choices_as_json, effects_as_json, lens_as_json
from gpt2.interpret.effects import Effects, Instead
from gpt2.interpret.lens import EARLY, Lens
from gpt2.interpret.probabilities import TextChoices
from gpt2.loading import load
from gpt2.precision import ALL_PRECISIONS, AUTO
from gpt2.progress_bar import ProgressBar
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer

_HEADS = 20  # rows of the table of effects; JSON has all


def add_inside(commands: argparse._SubParsersAction[Any], sizes: str) -> None:
    """The three commands; `sizes` is the help of --size."""
    tokens = _command(commands, "tokens", "how likely each token was, and what else could come")
    _add_model(tokens, sizes)
    tokens.add_argument("--temperature", type=float, default=1.0, help="0 to 2 (default: 1)")
    tokens.add_argument("--top-k", type=int, default=0, help="likeliest tokens kept, 0 keeps all")
    tokens.add_argument("--top-p", type=float, default=1.0, help="probability kept (default: 1)")
    tokens.add_argument(
        "--count", type=int, default=COUNT, help=f"likeliest tokens listed (default: {COUNT})"
    )
    tokens.set_defaults(run=print_tokens)

    lens = _command(commands, "lens", "what each layer would say next: the logit lens")
    _add_model(lens, sizes)
    lens.add_argument("--all", action="store_true", help="after every token, not the last alone")
    lens.set_defaults(run=print_lens)

    effects = _command(commands, "effects", "what each head does, measured by switching it off")
    _add_model(effects, sizes)
    effects.add_argument("--token", help="the next token to look at (default: the likeliest)")
    effects.add_argument("--against", help="a token whose lead is measured, not the logit alone")
    effects.add_argument(
        "--instead",
        choices=get_args(Instead),
        default="zero",
        help="what stands in for a head: zeros, its mean over this text, or its value bias",
    )
    effects.add_argument(
        "--last", action="store_true", help="off at the last token alone, not everywhere"
    )
    effects.set_defaults(run=print_effects)


def _command(
    commands: argparse._SubParsersAction[Any], name: str, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text + ".")
    return parser


def _add_model(command: argparse.ArgumentParser, sizes: str) -> None:
    command.add_argument("text", help="the text to look into")
    command.add_argument("--size", default="tiny", help=sizes)
    command.add_argument("--precision", default=AUTO, help=", ".join([AUTO, *ALL_PRECISIONS]))
    command.add_argument(
        "--no-start-token",
        action="store_true",
        help="leave out <|endoftext|> before the text; it changes what the model answers",
    )
    command.add_argument("--json", action="store_true", help="all numbers, with their units")


def print_tokens(options: argparse.Namespace) -> None:
    """`tokens`: one line a token."""
    engine = load(options.size, options.precision)
    sampling = SamplingOptions(options.temperature, options.top_k, options.top_p)
    start = not options.no_start_token
    found = engine.probabilities(options.text, sampling, options.count, start)
    tokenizer = engine.tokenizer
    _print(options, choices_as_json(found, tokenizer), lambda: tokens_table(found, tokenizer))


def print_lens(options: argparse.Namespace) -> None:
    """`lens`: one line a stage, after the last token or after each."""
    engine = load(options.size, options.precision)
    ids = _ids(engine, options)
    if options.all:
        bar = ProgressBar()
        found = engine.lens(ids, progress=_progress(bar, "positions"))
        bar.close()
    else:
        found = engine.lens(ids, [len(ids) - 1])
    tokenizer = engine.tokenizer
    _print(options, lens_as_json(found, tokenizer), lambda: lens_table(found, tokenizer))


def print_effects(options: argparse.Namespace) -> None:
    """`effects`: the heads with the largest effects."""
    engine = load(options.size, options.precision)
    token, against = (_token(engine, text) for text in (options.token, options.against))
    bar = ProgressBar()
    found = engine.effects(
        _ids(engine, options),
        token,
        against,
        options.instead,
        everywhere=not options.last,
        progress=_progress(bar, "passes"),
    )
    bar.close()
    tokenizer = engine.tokenizer
    _print(options, effects_as_json(found, tokenizer), lambda: effects_table(found, tokenizer))


def tokens_table(found: TextChoices, tokenizer: Tokenizer) -> str:
    """A line for each token, and the likeliest for the place after the last."""
    lines = [
        f"{'token':>20} {'id':>6} {'prob.':>8} {'rank':>6} {'bits':>6} {'entropy':>7}  likeliest"
    ]
    for token, choice in zip(found.ids, found.choices, strict=True):
        name = f"{shown(token, tokenizer):>20} {token:6}"
        if choice is None:
            lines.append(f"{name} {'-':>8} {'-':>6} {'-':>6} {'-':>7}  nothing stands before it")
            continue
        numbers = f"{choice.probability:8.4f} {choice.rank:6} {choice.surprisal:6.2f}"
        cut = choice.chosen.cut if choice.chosen else None
        reason = f"  ({REASONS[cut]})" if cut else ""
        lines.append(
            f"{name} {numbers} {choice.entropy:7.2f}  {_likeliest(choice, tokenizer)}{reason}"
        )
    if found.following is not None:
        rest = f"{found.following.entropy:7.2f}  {_likeliest(found.following, tokenizer, 10)}"
        lines.append(f"{'next':>20} {'':>6} {'':>8} {'':>6} {'':>6} {rest}")
    before = "after" if found.start_token else "without"
    lines.append(f"Probabilities of the model itself, {before} <|endoftext|>; {found.precision}.")
    return "\n".join(lines)


def lens_table(found: Lens, tokenizer: Tokenizer) -> str:
    """A line for each stage of each position, the last stage first."""
    lines: list[str] = []
    for row, position in enumerate(found.positions):
        lines.append(f"After {shown(found.ids[position], tokenizer)} at {position}:")
        lines.append(f"  {'layer':>14} {'prob.':>8} {'rank of the final':>18}  guess")
        for stage in reversed(range(len(found.stages))):
            mark = "  settled" if stage == found.settled[row] else ""
            lines.append(
                f"  {found.stages[stage]:>14} {found.probability[row, stage]:8.4f} "
                f"{found.rank[row, stage]:18}  "
                f"{shown(int(found.guess[row, stage]), tokenizer)}{mark}"
            )
    return "\n".join([*lines, EARLY])


def effects_table(found: Effects, tokenizer: Tokenizer) -> str:
    """The largest effects, the joint ones, and the control; layers and heads count from 1, as on
    the page."""
    what = f"logit of {shown(found.token, tokenizer)}"
    if found.against is not None:
        what = f"lead of {shown(found.token, tokenizer)} over {shown(found.against, tokenizer)}"
    lines = [
        f"The {what} is {found.logit:.4f}, its probability {100 * found.probability:.2f} %.",
        f"Without a head ({found.instead} instead, "
        f"{'everywhere' if found.everywhere else 'at the last token'}) it changes by:",
        f"{'layer':>6} {'head':>5} {'logits':>9} {'probability':>12}",
    ]
    for layer, head in found.ranked()[:_HEADS]:
        change = 100 * found.probabilities[layer, head]
        lines.append(
            f"{layer + 1:6} {head + 1:5} {found.logits[layer, head]:9.4f} {change:10.2f} %"
        )
    if found.measured > _HEADS:
        lines.append(f"({found.measured - _HEADS} more with --json.)")
    return "\n".join(
        [
            *lines,
            f"All {found.measured} at once {found.joint_logit:.4f}, the sum of single ones "
            f"{found.sum_of_logits:.4f}: single effects do not add up.",
            f"Control, heads replaced by themselves: {found.control:g}.",
        ]
    )


def shown(token: int, tokenizer: Tokenizer) -> str:
    """A token as it can be told from its neighbours: quoted, and escaped where it must be."""
    return json.dumps(
        tokenizer.token_bytes(token).decode("utf-8", "backslashreplace"), ensure_ascii=False
    )


def _likeliest(choice: Choice, tokenizer: Tokenizer, count: int = 3) -> str:
    best = choice.likeliest[:count]
    return ", ".join(f"{shown(each.token, tokenizer)} {100 * each.before:.1f} %" for each in best)


def _ids(engine: Engine, options: argparse.Namespace) -> list[int]:
    return engine.encode(options.text, new_tokens=0, start_token=not options.no_start_token)


def _token(engine: Engine, text: str | None) -> int | None:
    """The token a text is. Raises ValueError where it is none, or several."""
    if text is None:
        return None
    ids: Sequence[int] = engine.tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(
            f"{text!r} is {len(ids)} tokens, not one. Most words begin with a space: ' {text}'."
        )
    return ids[0]


def _progress(bar: ProgressBar, what: str) -> Callable[[int, int], None]:
    return lambda done, of: bar.show(done / max(1, of), f"{done} of {of} {what}")


def _print(options: argparse.Namespace, numbers: Json, table: Callable[[], str]) -> None:
    print(json.dumps(numbers) if options.json else table())
