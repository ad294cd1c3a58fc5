"""Plain text files to one long row of token ids, and that row to batches anybody can repeat.

A corpus file holds one paragraph a line; a line `<|endoftext|>` ends a document.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from gpt2.tokenizer import END_OF_TEXT, Tokenizer

_DOCUMENT_END = re.compile(f"^{re.escape(END_OF_TEXT)}$", re.MULTILINE)


def read_documents(folder: Path, *patterns: str) -> list[str]:
    """The documents of every `pattern`.txt and `pattern`.txt.gz in `folder`, in name order.

    A pattern given twice brings its documents twice. Raises FileNotFoundError when a pattern
    matches no file.
    """
    documents: list[str] = []
    files: list[Path] = []
    for pattern in patterns:
        found = sorted([*folder.glob(f"{pattern}.txt"), *folder.glob(f"{pattern}.txt.gz")])
        if not found:
            raise FileNotFoundError(f"no {pattern}.txt or {pattern}.txt.gz in {folder}")
        files += found
    for file in files:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
        parts = _DOCUMENT_END.split(text)
        documents += [part.strip("\n") for part in parts if part.strip()]
    return documents


def tokenize(documents: list[str], tokenizer: Tokenizer) -> Tensor:
    """All documents in one row of ids, each with `<|endoftext|>` before and after it."""
    ids = [tokenizer.end_of_text]
    for document in documents:
        ids += tokenizer.encode(document)
        ids.append(tokenizer.end_of_text)
    return torch.tensor(ids, dtype=torch.int64)


def batches(
    ids: Tensor, end_of_text: int, batch: int, length: int, seed: int, start: int
) -> Iterator[Tensor]:
    """Endless batches (batch, length + 1), beginning with batch number `start`.

    Every epoch cuts the row at a new offset and deals the pieces in a new order, both drawn from
    (seed, epoch): batch n is the same whether or not anything came before it. A piece that would
    begin less than `length` after a document did begins there instead, so that beginnings are seen
    at the positions where prompts stand.
    Raises ValueError when the corpus is too short for one batch.
    """
    per_epoch = (ids.numel() - 2 * length) // (length * batch)
    if per_epoch < 1:
        raise ValueError(f"{ids.numel()} tokens are too few for a batch of {batch} x {length}")
    documents = torch.cat((ids.new_tensor([-length]), (ids == end_of_text).nonzero().flatten()))
    number = start
    while True:
        epoch = number // per_epoch
        random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        offset = int(torch.randint(length, (), generator=random))
        order = torch.randperm(per_epoch * batch, generator=random).view(per_epoch, batch)
        for row in order[number % per_epoch :]:
            starts = offset + row * length
            document = documents[torch.searchsorted(documents, starts, right=True) - 1]
            starts = torch.where(starts - document < length, document, starts)
            yield ids[starts[:, None] + torch.arange(length + 1)]
            number += 1
