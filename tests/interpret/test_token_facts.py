"""Tokens themselves; the numbers were read off GPT-2's own vocabulary file."""

from __future__ import annotations

from gpt2 import Tokenizer, load
from gpt2.interpret.token_facts import facts, view

GPT2 = Tokenizer()


def test_every_token_is_put_together_as_the_file_says() -> None:
    for token in range(GPT2.vocab_size - 1):
        tree = GPT2.merges(token)
        assert tree.token == token
        assert tree.data == GPT2.token_bytes(token)
        assert tree.number == max(0, token - 255)
        steps = tree.steps()
        assert len(steps) == len(tree.data) - 1
        assert (steps[-1:] or [tree]) == [tree]


def test_the_tree_of_a_word() -> None:
    ids = GPT2.encode(" tokenization")
    assert ids == [11241, 1634]
    tree = GPT2.merges(11241)
    assert tree.data == b" token"
    assert tree.left is not None and tree.right is not None
    assert (tree.left.token, tree.left.data) == (284, b" to")
    assert (tree.right.token, tree.right.data) == (3464, b"ken")
    assert [step.token for step in tree.steps()] == [256, 268, 284, 3464, 11241]
    assert [step.token for step in GPT2.merges(1634).steps()][-1] == 1634


def test_the_end_of_a_text_was_never_merged() -> None:
    tree = GPT2.merges(GPT2.end_of_text)
    assert (tree.number, tree.left, tree.steps()) == (0, None, [])


def test_bytes_of_no_whole_character_are_escaped() -> None:
    found = facts(GPT2, GPT2.encode("🥊 yes"))
    assert [each.token for each in found[:3]] == [8582, 98, 232]
    assert b"".join(each.data for each in found) == "🥊 yes".encode()
    assert found[1].text == "\\xa5"
    assert found[-1].text == " yes"


def test_a_text_beside_another_vocabulary() -> None:
    found = view(GPT2, "Claire's tokenization", 8192)
    assert (found.vocab_size, found.other_size) == (50257, 8192)
    for tokens in (found.tokens, found.other):
        assert b"".join(each.data for each in tokens) == b"Claire's tokenization"
    assert len(found.other) > len(found.tokens)
    for text, mine, others in found.pieces:
        for tokens, places in ((found.tokens, mine), (found.other, others)):
            assert b"".join(tokens[place].data for place in places) == text.encode()


def test_the_same_vocabulary_cuts_alike() -> None:
    found = view(Tokenizer(8192), "a king and a queen", 8192)
    assert found.tokens == found.other
    assert [len(mine) for _, mine, _ in found.pieces] == [1] * len(found.tokens)


def test_an_engine_shows_its_own_vocabulary_beside_the_other() -> None:
    tiny = load("tiny")
    found = tiny.tokens("a king's tokenization")
    assert (found.vocab_size, found.other_size) == (8192, 50257)
    assert [each.token for each in found.tokens] == tiny.encode("a king's tokenization")
    assert [each.token for each in found.other] == GPT2.encode("a king's tokenization")
    assert tiny.tokens("a king", 300).other_size == 300
