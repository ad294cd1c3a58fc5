"""python -m gpt2.training.card: the measured part of a model card, as Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean

import numpy as np

from gpt2.engine import Engine
from gpt2.head_probe import LENGTH, SEEDS, probe
from gpt2.interpret.head_roles import strongest
from gpt2.loading import load
from gpt2.runtime.units import format_percent
from gpt2.sampling import USUAL, SamplingOptions
from gpt2.training.behaviour import distinct_2, loop_start, repeated_4grams
from gpt2.training.corpus import read_documents

PROMPTS = (
    "Once upon a time",
    "Once upon a time there was a little fox who lived",
    "The old king said to his three sons",
    '"Oh, look!" cried Alice, and',
    "The old woman opened the door and",
    "Uncle Wiggily hopped",
    "It was raining, so the children",
    "One morning Bunny Brown",
    "The wolf knocked at the door, and",
    '"Where are you going?" asked',
    "There was once a poor boy who",
    "Deep in the wood there stood",
    "Mother said that if they were good,",
    "The dog barked because",
    "In the garden the little girl found",
    '"I am not afraid," said the mouse. "I',
    "The ship sailed away, and",
    "When the snow came,",
    "At last the giant fell asleep, and",
    "The next day was Christmas, and",
)
TEXTS_PER_PROMPT = 3
NEW_TOKENS = 100
WARM = SamplingOptions(temperature=0.8)  # nothing cut: what the model itself holds likely


@dataclass(frozen=True, slots=True)
class Sample:
    """One text of the model: what it added to `prompt`, and the ids of that."""

    prompt: str
    seed: int
    text: str
    ids: list[int]


def main() -> None:
    """Print behaviour, heads and samples."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.training.card", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with valid.txt(.gz)")
    parser.add_argument("--size", default="tiny", help="a size, a folder or a hub repository")
    options = parser.parse_args()
    engine = load(options.size)
    held_out = excerpts(engine, read_documents(options.corpus, "valid"))
    samples = write_samples(engine, PROMPTS, WARM)
    usual = write_samples(engine, PROMPTS, USUAL)
    rows = {
        f"temperature {WARM.temperature}": [sample.ids for sample in samples],
        f"temperature {USUAL.temperature}, top-p {USUAL.top_p} (the defaults)": [
            sample.ids for sample in usual
        ],
        "held-out text": held_out,
    }
    for part in (behaviour(rows), heads(engine), quoted(samples)):
        print(part, end="\n\n")


def write_samples(engine: Engine, prompts: Sequence[str], options: SamplingOptions) -> list[Sample]:
    """Texts of at most NEW_TOKENS after each prompt, with seeds from 1."""
    samples = []
    for prompt, seed in product(prompts, range(1, TEXTS_PER_PROMPT + 1)):
        events = list(engine.stream(prompt, replace(options, seed=seed), NEW_TOKENS))
        ids = [event.token for event in events if event.token is not None]
        samples.append(Sample(prompt, seed, "".join(event.text for event in events), ids))
    return samples


def excerpts(engine: Engine, documents: Sequence[str]) -> list[list[int]]:
    """NEW_TOKENS ids from every fourth such piece of each document: what people wrote."""
    rows = [engine.tokenizer.encode(document) for document in documents]
    starts = [range(0, len(row) - NEW_TOKENS + 1, 4 * NEW_TOKENS) for row in rows]
    return [row[i : i + NEW_TOKENS] for row, where in zip(rows, starts, strict=True) for i in where]


def behaviour(texts: dict[str, list[list[int]]]) -> str:
    """A table, one line for each kind of text: the model's, and what people wrote."""
    lines = [
        f"| {NEW_TOKENS} tokens each | texts | repeated 4-grams | distinct-2 | with a loop |",
        "|---|---|---|---|---|",
    ]
    for name, rows in texts.items():
        loops = sum(loop_start(row) is not None for row in rows)
        repeated = mean(map(repeated_4grams, rows))
        distinct = mean(map(distinct_2, rows))
        lines.append(
            f"| {name} | {len(rows):,} | {format_percent(repeated, 2)} | {distinct:.3f} | {loops} |"
        )
    return "\n".join(lines)


def heads(engine: Engine) -> str:
    """Every head's roles on random tokens read twice; layers and heads count from 1."""
    roles = probe(engine)
    names = strongest(roles)
    lines = [
        f"{SEEDS} texts of {LENGTH} random tokens, each twice:",
        "",
        "| layer.head | previous | first | duplicate | induction | role |",
        "|---|---|---|---|---|---|",
    ]
    for index in np.ndindex(roles.previous.shape):
        scores = (roles.previous, roles.first, roles.duplicate, roles.induction)
        numbers = " | ".join(f"{score[index]:.2f}" for score in scores)
        lines.append(f"| {index[0] + 1}.{index[1] + 1} | {numbers} | {names[index]} |")
    return "\n".join(lines)


def quoted(samples: Sequence[Sample]) -> str:
    """The samples as quotations. Markdown keeps a line's end when two spaces stand before it."""
    parts = []
    for sample in samples:
        whole = (sample.prompt + sample.text).strip().replace("\n", "  \n> ")
        parts.append(f"**{sample.prompt}** · seed {sample.seed}\n\n> {whole}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
