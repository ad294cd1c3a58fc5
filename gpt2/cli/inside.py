"""python -m gpt2 tokens, lens, effects: what a model thinks of a text, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from gpt2.engine import Engine
from gpt2.inference.likelihoods import REASONS, Choice
from gpt2.interpret.as_json import Json, choices_as_json, effects_as_json, lens_as_json
from gpt2.interpret.effects import Effects, Instead
from gpt2.interpret.lens import EARLY, Lens
from gpt2.interpret.probabilities import TextChoices
from gpt2.loading import load
from gpt2.runtime.progress_bar import ProgressBar
from gpt2.runtime.units import format_percent
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer

_HEADS = 20  # rows of the table of effects; JSON has all


def print_tokens(
    text: str,
    size: str,
    precision: str,
    sampling: SamplingOptions,
    count: int,
    start_token: bool,
    as_json: bool,
) -> None:
    """`tokens`: one line a token."""
    engine = load(size, precision)
    found = engine.probabilities(text, sampling, count, start_token)
    tokenizer = engine.tokenizer
    print(_json(choices_as_json(found, tokenizer)) if as_json else tokens_table(found, tokenizer))


def print_lens(
    text: str, size: str, precision: str, everywhere: bool, start_token: bool, as_json: bool
) -> None:
    """`lens`: one line a stage, after the last token or, `everywhere`, after each."""
    engine = load(size, precision)
    ids = engine.encode(text, new_tokens=0, start_token=start_token)
    if everywhere:
        with ProgressBar() as bar:
            found = engine.lens(ids, progress=_progress(bar, "positions"))
    else:
        found = engine.lens(ids, [len(ids) - 1])
    tokenizer = engine.tokenizer
    print(_json(lens_as_json(found, tokenizer)) if as_json else lens_table(found, tokenizer))


def print_effects(
    text: str,
    size: str,
    precision: str,
    token: str | None,
    against: str | None,
    instead: Instead,
    everywhere: bool,
    start_token: bool,
    as_json: bool,
) -> None:
    """`effects`: the heads with the largest effects."""
    engine = load(size, precision)
    chosen, other = (_token(engine, each) for each in (token, against))
    ids = engine.encode(text, new_tokens=0, start_token=start_token)
    with ProgressBar() as bar:
        found = engine.effects(
            ids,
            chosen,
            other,
            instead,
            everywhere=everywhere,
            progress=_progress(bar, "passes"),
        )
    tokenizer = engine.tokenizer
    print(_json(effects_as_json(found, tokenizer)) if as_json else effects_table(found, tokenizer))


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
        f"The {what} is {found.logit:.4f}, its probability {format_percent(found.probability, 2)}.",
        f"Without a head ({found.instead} instead, "
        f"{'everywhere' if found.everywhere else 'at the last token'}) it changes by:",
        f"{'layer':>6} {'head':>5} {'logits':>9} {'probability':>12}",
    ]
    for layer, head in found.ranked()[:_HEADS]:
        change = format_percent(found.probabilities[layer, head], 2)
        lines.append(f"{layer + 1:6} {head + 1:5} {found.logits[layer, head]:9.4f} {change:>12}")
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
    return ", ".join(
        f"{shown(each.token, tokenizer)} {format_percent(each.before, 1)}" for each in best
    )


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


def _json(numbers: Json) -> str:
    return json.dumps(numbers)
