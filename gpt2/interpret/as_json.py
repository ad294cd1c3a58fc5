"""Measurements as plain dictionaries for JSON, each with the units of its numbers.

Layers, heads and positions count from 0. None stands for what was not measured, or cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpt2.inference.likelihoods import REASONS, Candidate, Choice
from gpt2.interpret.attribution import Attribution
from gpt2.interpret.effects import Effects
from gpt2.interpret.flips import Flip, FlipRange
from gpt2.interpret.lens import EARLY, Lens
from gpt2.interpret.patching import Patching
from gpt2.interpret.probabilities import TextChoices
from gpt2.interpret.token_facts import TokenView
from gpt2.tokenizer import Merge, Tokenizer

Json = dict[str, Any]
_DIGITS = 6


def choices_as_json(found: TextChoices, tokenizer: Tokenizer) -> Json:
    """Every token of a text, its probability, and what else could have come."""
    rows = zip(found.ids, found.choices, found.bands(), strict=True)
    return {
        "units": {
            "probability": "0 to 1, of the model",
            "before": "0 to 1, of the model",
            "after": "0 to 1, after temperature, top-k and top-p",
            "rank": "1 is the likeliest",
            "surprisal": "bits, -log2 of the probability",
            "entropy": "bits, of the model",
            "band": "GLTR: 0 up to rank 10, 1 up to 100, 2 up to 1,000, 3 beyond",
            "merges": "number in which the merge was learned, from 1",
        },
        "start_token": found.start_token,
        "precision": found.precision,
        "options": {
            "temperature": found.options.temperature,
            "top_k": found.options.top_k,
            "top_p": found.options.top_p,
        },
        "tokens": [
            {
                **token_as_json(token, tokenizer),
                "merges": [step.number for step in tokenizer.merges(token).steps()],
                "band": band,
                **choice_as_json(choice, tokenizer),
            }
            for token, choice, band in rows
        ],
        "following": choice_as_json(found.following, tokenizer),
    }


def choice_as_json(choice: Choice | None, tokenizer: Tokenizer) -> Json:
    """One place of a text; every value is None for a place with nothing before it."""
    if choice is None:
        names = ("entropy", "kept", "rest_before", "rest_after", "probability", "rank")
        return {**dict.fromkeys(names), "surprisal": None, "likeliest": None}
    chosen = choice.chosen
    return {
        "entropy": _number(choice.entropy),
        "kept": choice.kept,
        "rest_before": _number(choice.rest_before),
        "rest_after": _number(choice.rest_after),
        "probability": None if chosen is None else _number(choice.probability),
        "rank": None if chosen is None else choice.rank,
        "surprisal": None if chosen is None else _number(choice.surprisal),
        "likeliest": [_candidate(each, tokenizer) for each in choice.likeliest],
    }


def _candidate(each: Candidate, tokenizer: Tokenizer) -> Json:
    return {
        **token_as_json(each.token, tokenizer),
        "before": _number(each.before),
        "after": _number(each.after),
        "rank": each.rank,
        "cut": REASONS[each.cut] if each.cut else None,
    }


def token_as_json(token: int, tokenizer: Tokenizer) -> Json:
    """An id, its bytes, and its text, escaped where they are no whole character."""
    data = tokenizer.token_bytes(token)
    text = data.decode("utf-8", "backslashreplace")
    return {"id": token, "bytes": list(data), "text": text}


def view_as_json(view: TokenView) -> Json:
    """A text in two vocabularies: the tokens of each with their merges, and where they agree."""
    return {
        "vocab_size": view.vocab_size,
        "other_size": view.other_size,
        "tokens": [_merge(each.merges) for each in view.tokens],
        "other": [_merge(each.merges) for each in view.other],
        "pieces": [
            {"text": text, "tokens": [*mine], "other": [*others]}
            for text, mine, others in view.pieces
        ],
    }


def _merge(tree: Merge) -> Json:
    found: Json = {"id": tree.token, "bytes": list(tree.data), "number": tree.number}
    if tree.left is not None and tree.right is not None:
        found["parts"] = [_merge(tree.left), _merge(tree.right)]
    return found


def lens_as_json(found: Lens, tokenizer: Tokenizer) -> Json:
    """The guess of every stage after every position."""
    rows = zip(
        found.positions,
        found.guess.tolist(),
        _numbers(found.probability),
        found.rank.tolist(),
        _numbers(found.final_probability),
        found.settled.tolist(),
        strict=True,
    )
    return {
        "units": {
            "probability": "0 to 1, of the stage's own guess",
            "final_probability": "0 to 1, of the final guess at this stage",
            "rank": "of the final guess at this stage, 1 is the likeliest",
            "settled": "first of `stages` from which on every guess is the final one",
            "deviation": "logits, largest difference between last stage and output",
        },
        "warning": EARLY,
        "precision": found.precision,
        "stages": list(found.stages),
        "deviation": found.deviation,
        "positions": [
            {
                "position": position,
                "token": token_as_json(found.ids[position], tokenizer),
                "guess": [token_as_json(each, tokenizer) for each in guess],
                "probability": probability,
                "rank": rank,
                "final_probability": final,
                "settled": settled,
            }
            for position, guess, probability, rank, final, settled in rows
        ],
    }


def attribution_as_json(found: Attribution, tokenizer: Tokenizer) -> Json:
    """What each part adds to one token's lead over another."""
    return {
        "units": {"all": "logits, added to the lead of `token` over `against`"},
        "precision": found.precision,
        "position": found.position,
        "token": token_as_json(found.token, tokenizer),
        "against": token_as_json(found.against, tokenizer),
        "true": _number(found.true),
        "total": _number(found.total),
        "error": found.error,
        "embedding": _number(found.embedding),
        "position_embedding": _number(found.position_embedding),
        "heads": _numbers(found.heads),
        "constants": _numbers(found.constants),
        "attention_biases": _numbers(found.attention_biases),
        "mlps": _numbers(found.mlps),
        "final_bias": _number(found.final_bias),
        "rounding": _number(found.rounding),
        "accumulated": _numbers(found.accumulated),
    }


def effects_as_json(found: Effects, tokenizer: Tokenizer) -> Json:
    """What each head does, measured without it."""
    against = None if found.against is None else token_as_json(found.against, tokenizer)
    return {
        "units": {
            "logit": "logits, of `token`, or its lead over `against`, with all heads on",
            "logits": "logits, change without the head, [layer][head]",
            "probabilities": "change of the probability of `token`, [layer][head]",
            "joint_logits": "logits, change without all measured heads of a layer",
            "joint_logit": "logits, change without all measured heads at once",
            "sum_of_logits": "logits, sum of the single changes",
            "control": "logits, change when heads are replaced by themselves: must be 0",
        },
        "precision": found.precision,
        "position": found.position,
        "token": token_as_json(found.token, tokenizer),
        "against": against,
        "instead": found.instead,
        "everywhere": found.everywhere,
        "logit": _number(found.logit),
        "probability": _number(found.probability),
        "logits": _numbers(found.logits),
        "probabilities": _numbers(found.probabilities),
        "joint_logit": _number(found.joint_logit),
        "joint_probability": _number(found.joint_probability),
        "joint_logits": _numbers(found.joint_logits),
        "sum_of_logits": _number(found.sum_of_logits),
        "control": None if np.isnan(found.control) else found.control,
        "measured": found.measured,
    }


def patching_as_json(found: Patching, tokenizer: Tokenizer) -> Json:
    """How much of the answer comes back at each layer and token."""
    return {
        "units": {
            "restored": "0 as the corrupted prompt, 1 as the clean one, [layer][position]",
            "clean_lead": "logits, of `answer` over `against`",
            "corrupted_lead": "logits, of `answer` over `against`",
            "control": "logits, change when the stream is put into itself: must be 0",
        },
        "precision": found.precision,
        "clean": [token_as_json(each, tokenizer) for each in found.clean],
        "corrupted": [token_as_json(each, tokenizer) for each in found.corrupted],
        "answer": token_as_json(found.answer, tokenizer),
        "against": token_as_json(found.against, tokenizer),
        "clean_lead": _number(found.clean_lead),
        "corrupted_lead": _number(found.corrupted_lead),
        "restored": _numbers(found.restored),
        "control": None if np.isnan(found.control) else found.control,
    }


def flips_as_json(found: Iterable[Flip], tokenizer: Tokenizer) -> list[Json]:
    """Which tokens would have been others."""
    return [
        {
            "place": each.place,
            "token": token_as_json(each.token, tokenizer),
            "instead": token_as_json(each.instead, tokenizer),
            "certain": each.certain,
        }
        for each in found
    ]


def ranges_as_json(found: Iterable[FlipRange], tokenizer: Tokenizer) -> list[Json]:
    """Between which temperatures each token stays; None where nothing changes on that side."""

    def side(temperature: float, token: int | None) -> Json | None:
        if token is None:
            return None
        return {"temperature": temperature, "instead": token_as_json(token, tokenizer)}

    return [
        {
            "place": each.place,
            "token": token_as_json(each.token, tokenizer),
            "below": side(each.below, each.token_below),
            "above": side(each.above, each.token_above),
            "top_k_from": each.top_k_from,
            "top_k_to": each.top_k_to,
        }
        for each in found
    ]


def _number(value: float) -> float | None:
    return round(float(value), _DIGITS) if np.isfinite(value) else None


def _numbers(array: Any) -> Any:
    """Nested lists; None where there is no number."""
    known = np.round(np.asarray(array, np.float64), _DIGITS).astype(object)
    known[~np.isfinite(np.asarray(array, np.float64))] = None
    return known.tolist()
