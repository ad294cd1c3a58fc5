"""From text files to batches anybody can repeat."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import pytest
import torch

from gpt2.tokenizer import Tokenizer
from gpt2.training.corpus import batches, read_documents, tokenize

TOKENIZER = Tokenizer(257)
NEVER = -1  # no document ends in these rows


def test_documents_come_from_plain_and_packed_files_in_name_order(tmp_path: Path) -> None:
    (tmp_path / "train_2.txt").write_text("third\n<|endoftext|>\nfourth\nends here\n", "utf-8")
    packed = "first é\nin two lines\n<|endoftext|>\nsecond\n<|endoftext|>\n"
    (tmp_path / "train_1.txt.gz").write_bytes(gzip.compress(packed.encode()))
    (tmp_path / "valid.txt").write_text("held out\n", "utf-8")
    assert read_documents(tmp_path, "train_*") == [
        "first é\nin two lines",
        "second",
        "third",
        "fourth\nends here",
    ]
    assert read_documents(tmp_path, "valid") == ["held out"]


@pytest.mark.parametrize("end", ["", "\n", "\n<|endoftext|>", "\n<|endoftext|>\n", "\n\n\n"])
def test_the_last_document_may_end_any_way(tmp_path: Path, end: str) -> None:
    (tmp_path / "train.txt").write_text(f"one\n<|endoftext|>\n\ntwo{end}", "utf-8")
    assert read_documents(tmp_path, "train") == ["one", "two"]


def test_only_a_line_of_its_own_ends_a_document(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("the sign <|endoftext|>\nis text here\n", "utf-8")
    assert read_documents(tmp_path, "train") == ["the sign <|endoftext|>\nis text here"]


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no train\.txt or train\.txt\.gz in"):
        read_documents(tmp_path, "train")


def test_documents_lie_in_one_row_between_end_of_texts() -> None:
    end = TOKENIZER.end_of_text
    assert tokenize(["ab", "c"], TOKENIZER).tolist() == [
        end,
        *TOKENIZER.encode("ab"),
        end,
        *TOKENIZER.encode("c"),
        end,
    ]


def test_a_batch_is_pieces_of_the_row_each_with_the_token_after_it() -> None:
    row = torch.arange(1000)
    for batch in islice(batches(row, NEVER, 3, 7, seed=1, start=0), 200):
        assert batch.shape == (3, 8)
        assert torch.equal(batch, batch[:, :1] + torch.arange(8))


def test_batch_n_is_the_same_whatever_came_before() -> None:
    row = torch.arange(500)
    first = list(islice(batches(row, NEVER, 3, 7, seed=1, start=0), 100))
    for start in (1, 21, 22, 23, 77):
        for expected, found in zip(
            first[start:], batches(row, NEVER, 3, 7, 1, start), strict=False
        ):
            assert torch.equal(found, expected)


def test_another_seed_deals_another_order() -> None:
    row = torch.arange(500)
    assert not torch.equal(
        next(batches(row, NEVER, 3, 7, 1, 0)), next(batches(row, NEVER, 3, 7, 2, 0))
    )


@pytest.mark.parametrize(("tokens", "batch", "length"), [(500, 3, 7), (21, 1, 7), (1000, 4, 16)])
def test_an_epoch_reads_every_token_once_but_for_the_ends(
    tokens: int, batch: int, length: int
) -> None:
    per_epoch = (tokens - 2 * length) // (batch * length)
    stream = batches(torch.arange(tokens), NEVER, batch, length, seed=1, start=0)
    offsets = set()
    for _ in range(30):
        epoch = torch.cat([piece[:, :-1].flatten() for piece in islice(stream, per_epoch)])
        read = epoch.sort().values
        assert torch.equal(read, torch.arange(len(read)) + read[0])
        assert tokens - len(read) < (batch + 2) * length
        offsets.add(int(read[0]))
    assert len(offsets) > length // 2
    assert max(offsets) < length


def test_a_piece_that_cuts_a_documents_first_tokens_begins_with_them() -> None:
    row = torch.arange(1000)
    ends = torch.tensor([0, 300, 555])
    end_of_text = 5000
    row[ends] = end_of_text
    begins = 0
    for batch in islice(batches(row, end_of_text, 3, 20, seed=1, start=0), 100):
        for piece in batch.tolist():
            first = piece[1] - 1
            assert first in ends or all(not 0 <= first - end < 20 for end in ends.tolist())
            begins += piece[0] == end_of_text
    assert begins > 5


def test_a_pattern_given_twice_counts_twice(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", "utf-8")
    (tmp_path / "b.txt").write_text("two", "utf-8")
    assert read_documents(tmp_path, "a", "[ab]", "a") == ["one", "one", "two", "one"]


def test_a_corpus_too_short_for_one_batch_says_so() -> None:
    with pytest.raises(ValueError, match="34 tokens are too few for a batch of 3 x 7"):
        next(batches(torch.arange(34), NEVER, 3, 7, 1, 0))
    assert next(batches(torch.arange(35), NEVER, 3, 7, 1, 0)).shape == (3, 8)
