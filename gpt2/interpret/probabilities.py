"""How likely every token of a text was, where it stands, and what else could have come there.

`rank` follows GLTR (Gehrmann et al. 2019, arXiv 1906.04043), whose bands are the 10, 100 and 1,000
likeliest. Ranks do not depend on the temperature; probabilities after sampling do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpt2.inference.executor import Floats, Head
from gpt2.inference.likelihoods import Choice, choice_of
from gpt2.inference.steps import Request, StepSource
from gpt2.sampling import SamplingOptions

GLTR_BANDS = (10, 100, 1000)  # ranks up to which a token is in the first, second, third band


@dataclass(frozen=True, slots=True)
class TextChoices:
    """A `Choice` for each of `ids` (T,), and for what follows the last.

    `start_token` says whether `<|endoftext|>` stood before the text, as before every text that
    GPT-2 was trained on: it changes what the model answers. Without it nothing was there to predict
    the first token from, so its choice is None. `following` is None where the text fills the
    context. `precision` is in which numbers the model computed.
    """

    ids: tuple[int, ...]
    start_token: bool
    choices: tuple[Choice | None, ...]
    following: Choice | None
    options: SamplingOptions
    precision: str

    def surprisals(self) -> list[float | None]:
        """-log2 of each token's probability, in bits; None for a token with nothing before it."""
        return [None if each is None else each.surprisal for each in self.choices]

    def bands(self) -> list[int | None]:
        """GLTR's band of each token: 0 for rank 1 to 10, 1 to 100, 2 to 1,000, 3 beyond."""
        return [
            None if each is None else sum(each.rank > most for most in GLTR_BANDS)
            for each in self.choices
        ]


def probabilities(
    source: StepSource,
    ids: Sequence[int],
    end_of_text: int,
    options: SamplingOptions,
    count: int,
    start_token: bool,
    heads_off: Mapping[Head, Floats | None],
) -> TextChoices:
    """`Engine.probabilities`, of ids. Raises ValueError for too many of them, or none to read."""
    ids = tuple(ids)
    if not count >= 1 or count % 1:
        raise ValueError(f"Count must be a whole number from 1 up, not {count}.")
    read = (end_of_text, *ids) if start_token else ids
    fits = len(read) <= source.config.max_seq_len
    read = read if fits else read[:-1]  # it may be read up to the last, which is predicted
    tokens = iter([*ids, None] if start_token else [*ids[1:], None])
    choices: list[Choice | None] = [] if start_token else [None]
    for step in source.steps(Request(read, logits_from=0, heads_off=heads_off)):
        assert step.logits is not None
        choices += [choice_of(each, next(tokens), options, count) for each in step.logits]
    following = choices.pop() if len(choices) > len(ids) else None
    return TextChoices(ids, start_token, tuple(choices), following, options, source.precision)
