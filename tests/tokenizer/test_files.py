"""Other people's tokenizers: the same ids as `transformers`, or a refusal by name."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import ByteLevelBPETokenizer as Trained
from tokenizers import pre_tokenizers as pre
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

from gpt2.interpret.token_alignment import shared_pieces
from gpt2.tokenizer import OwnTokenizer
from gpt2.tokenizer import Tokenizer as Ours
from gpt2.tokenizer import tokenizer as tokenizer_module
from gpt2.tokenizer.files import PATTERNS, read_vocabulary
from gpt2.tokenizer.merging import Merging

SCRIPTS = {
    "Latin": "El niño comió piñas mañana. Die Straße führte über Häuser & Öl. 123 4567 it's",
    "Cyrillic": "Привет, мир! Как дела, 25 человек?",
    "Japanese": "日本語のテキストをトークンに分ける。漢字とかな。",
    "Arabic": "مرحبا بالعالم، كيف حالك اليوم؟ ٣٤",
    "Devanagari": "हिन्दी भाषा में पाठ लिखा है।",
    "code": "def f(x):\n\treturn x**2  # ok\r\n\n   end",
    "emoji": "🤗 emoji 👩‍👩‍👧 ok \u200b\u00a0 x\x1c\x1dz ² ½ ǅ e\u0301",
}
ROWS = 2000


def odd_texts(count: int) -> list[str]:
    """Texts that nobody writes, of what cutting and merging may stumble over."""
    choose = random.Random(0)
    letters = (
        "abc ABC12.,'!?\n\t\r  éñßä日本語かなПрив مرحبا\u00a0\u3000\x1c\x1f\x85\u200b🤗👩٣²½ǅ's 'l"
    )
    words = ["ñas", "ñ", "la", " mañ", "dem", " ", "  ", "x", "por", "\n", "<pad>"]
    return [
        "".join(choose.choice(letters if n % 2 else words) for _ in range(choose.randint(0, 40)))
        for n in range(count)
    ]


TEXTS = [*SCRIPTS.values(), *odd_texts(400)]


def train(
    folder: Path,
    pre_tokenizer: Any,
    *,
    normalizer: Any = None,
    ignore_merges: bool = False,
    alphabet: bool = True,
    size: int = 700,
) -> Tokenizer:
    """A small tokenizer.json, with added tokens of every kind."""
    made = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    made.pre_tokenizer = pre_tokenizer
    made.decoder = decoders.ByteLevel()
    if normalizer is not None:
        made.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>", "<pad>"],
        initial_alphabet=pre.ByteLevel.alphabet() if alphabet else [],
        show_progress=False,
    )
    made.train_from_iterator([*SCRIPTS.values()] * 30, trainer)
    made.add_tokens(
        [
            AddedToken("ñ", normalized=False),
            AddedToken("ñas", single_word=True, normalized=False),
            AddedToken(" mañ", normalized=False),
            AddedToken("dem", lstrip=True, normalized=False),
            AddedToken("la", rstrip=True, single_word=True, normalized=False),
        ]
    )
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return made


def byte_level(**options: Any) -> Any:
    return pre.ByteLevel(**({"add_prefix_space": False} | options))


def split(name: str) -> Any:
    pattern = next(pattern for pattern, names in PATTERNS.items() if names == name)
    return pre.Sequence([pre.Split(Regex(pattern), "isolated", False), byte_level(use_regex=False)])


KINDS: dict[str, dict[str, Any]] = {
    "as GPT-2": {"pre_tokenizer": byte_level()},
    "a space before": {"pre_tokenizer": byte_level(add_prefix_space=True)},
    "digit by digit": {"pre_tokenizer": pre.Sequence([pre.Digits(True), byte_level()])},
    "numbers": {"pre_tokenizer": pre.Sequence([pre.Digits(False), byte_level()])},
    "without some bytes": {"pre_tokenizer": byte_level(), "alphabet": False},
    "NFC": {"pre_tokenizer": byte_level(), "normalizer": normalizers.NFC()},
    "NFKD": {"pre_tokenizer": byte_level(), "normalizer": normalizers.NFKD()},
    "as Llama 3": {"pre_tokenizer": split("GPT-4, Llama 3"), "ignore_merges": True},
    "as Qwen": {"pre_tokenizer": split("Qwen"), "normalizer": normalizers.NFC()},
    "as GPT-4o": {"pre_tokenizer": split("GPT-4o")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizer_json_has_transformers_ids(tmp_path: Path, kind: str) -> None:
    train(tmp_path, **KINDS[kind])
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    ours = Ours.for_folder(tmp_path, ROWS)
    for text in TEXTS:
        assert ours.encode(text) == theirs(text)["input_ids"], text
    assert ours.vocab_size == len(theirs)


@pytest.mark.parametrize("settings", [{}, {"add_prefix_space": True}])
@pytest.mark.parametrize("added", [False, True], ids=["", "added tokens"])
def test_vocab_and_merges_have_transformers_ids(
    tmp_path: Path, settings: dict[str, Any], added: bool
) -> None:
    trained = Trained()
    trained.train_from_iterator(
        [*SCRIPTS.values()] * 30, 900, special_tokens=["<|endoftext|>"], show_progress=False
    )
    trained.save_model(str(tmp_path))
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    if added:
        size = trained.get_vocab_size()
        (tmp_path / "added_tokens.json").write_text(json.dumps({"<pad>": size, "por": size + 1}))
    theirs = GPT2Tokenizer.from_pretrained(str(tmp_path))
    if added and "por" not in theirs.get_added_vocab():
        theirs.add_tokens(["<pad>", "por"])  # its newest release reads them elsewhere
    ours = Ours.for_folder(tmp_path, ROWS)
    for text in TEXTS:
        assert ours.encode(text) == theirs(text)["input_ids"], text


def test_gpt2_s_own_files_are_gpt2_s_tokenizer(tmp_path: Path) -> None:
    """With a token more, which fine-tuned models have."""
    tokens = {ours_visible(i): i for i in range(50256)} | {"<|endoftext|>": 50256}
    lines = (Path(__file__).parents[2] / "assets" / "vocab.bpe").read_text("utf-8")
    (tmp_path / "vocab.json").write_text(json.dumps(tokens))
    (tmp_path / "merges.txt").write_text(lines, "utf-8")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[PAD]": 50257}))
    ours = Ours.for_folder(tmp_path, 50258, [50256])
    gpt2 = Ours()
    for text in SCRIPTS.values():
        assert ours.encode(text) == gpt2.encode(text)
    assert ours.encode("a [PAD]b") == [64, 220, 50257, 65]
    assert ours.vocab_size == 50258 and ours.ends == {50256}


def ours_visible(token: int) -> str:
    from gpt2.tokenizer.bytes_visible import CHARACTER_OF

    return "".join(CHARACTER_OF[byte] for byte in Ours().token_bytes(token))


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_cover_the_text_for_every_comparison(tmp_path: Path, kind: str) -> None:
    train(tmp_path, **KINDS[kind])
    ours, gpt2 = Ours.for_folder(tmp_path, ROWS), Ours(8192)
    for text in TEXTS:
        cuts = ours.cuts(text)
        assert len(cuts) == len(ours.encode(text))
        if cuts:
            pieces = shared_pieces(text, [cuts, gpt2.cuts(text)])
            assert "".join(piece for piece, _ in pieces) == text


def test_every_id_can_be_shown_and_found_again(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    path = tmp_path / "tokenizer.json"
    keys = json.loads(path.read_text())
    keys["added_tokens"].append({"id": 1500, "content": "<far>", "special": True})
    path.write_text(json.dumps(keys))
    ours = Ours.for_folder(tmp_path, ROWS)
    assert ours.vocab_size == 1501
    assert ours.token_bytes(1499) == b"<no text 1499>"
    shown = [ours.token_bytes(token) for token in range(ours.vocab_size)]
    alone = [token for token, data in enumerate(shown) if shown.count(data) == 1]
    assert len(alone) > 1400
    assert [ours.token_of(shown[token]) for token in alone] == alone
    with pytest.raises(ValueError, match="not in a vocabulary"):
        ours.token_bytes(1501)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_comes_back(tmp_path: Path, kind: str) -> None:
    if "normalizer" in KINDS[kind] or not KINDS[kind].get("alphabet", True):
        return  # they change the text
    train(tmp_path, **KINDS[kind])
    ours = Ours.for_folder(tmp_path, ROWS)
    for text in SCRIPTS.values():
        found = ours.decode(ours.encode(text))
        assert found.replace(" ", "") == text.replace(" ", "")


def test_a_typed_end_of_text_is_no_token(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    ours = Ours.for_folder(tmp_path, ROWS, [0])
    assert ours.ends == {0} and 0 not in ours.encode("a<|endoftext|>b")
    assert ours.special_of(b"<|endoftext|>") == 0


def test_half_an_emoji_is_the_replacement_character(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    ours = Ours.for_folder(tmp_path, ROWS)
    assert ours.encode("a\ud83d b") == ours.encode("a\ufffd b")


ENDS: list[tuple[list[int] | None, set[int]]] = [
    (None, {0}),
    ([5], {5}),
    ([5, 7], {5, 7}),
    ([50256], {0}),  # what a config says that nobody has adapted
]


@pytest.mark.parametrize(("said", "ends"), ENDS)
def test_what_ends_a_text(tmp_path: Path, said: list[int] | None, ends: set[int]) -> None:
    train(tmp_path, byte_level())
    assert Ours.for_folder(tmp_path, ROWS, said).ends == ends


def test_what_begins_a_text(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    assert Ours.for_folder(tmp_path, ROWS).end_of_text == 0
    assert Ours.for_folder(tmp_path, ROWS, [5], 1).end_of_text == 1


def test_without_files_it_is_gpt2_s_padded_or_cut(tmp_path: Path) -> None:
    for rows in (50257, 50258, 50304, 51200):
        assert Ours.for_folder(tmp_path, rows).vocab_size == 50257
    assert Ours.for_folder(tmp_path, 8192, [8191]).vocab_size == 8192
    for rows, ends in ((65, [64]), (256, None), (32000, [2]), (128_256, [128_001])):
        with pytest.raises(ValueError, match=f"{rows:,} tokens and brings no tokenizer"):
            Ours.for_folder(tmp_path, rows, ends)


def test_a_tiny_vocabulary_of_its_own(tmp_path: Path) -> None:
    """65 characters, as of nanoGPT's Shakespeare; and the 256 bytes alone."""
    for count in (65, 256):
        tokens = {ours_visible(i): i for i in range(count)}
        (tmp_path / "vocab.json").write_text(json.dumps(tokens))
        (tmp_path / "merges.txt").write_text("#version: 0.2\n")
        ours = Ours.for_folder(tmp_path, count)
        assert ours.vocab_size == count and ours.ends == set()
        assert ours.decode(ours.encode("ABC ab")) == ("ABCa" if count == 65 else "ABC ab")


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    keys = json.loads(path.read_text())
    edit(keys)
    path.write_text(json.dumps(keys))


def in_model(**keys: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["model"].update(keys)


REFUSED: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (in_model(type="WordPiece"), "is WordPiece, not byte-level BPE"),
    (in_model(type="Unigram"), "is Unigram, not byte-level BPE"),
    (in_model(byte_fallback=True), "byte_fallback"),
    (in_model(end_of_word_suffix="</w>"), "end_of_word_suffix '</w>'"),
    (in_model(continuing_subword_prefix="##"), "continuing_subword_prefix"),
    (in_model(merges=None), "no merges"),
    (in_model(merges=["a"]), "where a pair to merge belongs"),
    (in_model(merges=[["a", "nowhere"]]), "not in its vocabulary"),
    (in_model(vocab={"a": -1}), "the id -1"),
    (in_model(vocab=["a"]), "has no vocab"),
    (lambda keys: keys.update(model=3), "has no model"),
    (lambda keys: keys.update(pre_tokenizer=["ByteLevel"]), "of an unknown kind"),
    (
        lambda keys: keys.update(post_processor={"type": "TemplateProcessing", "single": [3]}),
        "adds",
    ),
    (lambda keys: keys.update(pre_tokenizer={"type": "Metaspace"}), "Metaspace"),
    (lambda keys: keys.update(pre_tokenizer={"type": "BertPreTokenizer"}), "BertPreTokenizer"),
    (lambda keys: keys.update(pre_tokenizer=None), "of an unknown kind"),
    (
        lambda keys: keys.update(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(a+)+$"},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        "a pattern that is not known here",
    ),
    (lambda keys: keys.update(normalizer={"type": "Lowercase"}), "changes text by Lowercase"),
    (
        lambda keys: keys.update(
            post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}
        ),
        "adds tokens to every text",
    ),
]


@pytest.mark.parametrize(("edit", "words"), REFUSED)
def test_other_kinds_are_refused_by_name(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    train(tmp_path, byte_level())
    edited(tmp_path / "tokenizer.json", edit)
    with pytest.raises(ValueError, match=words) as caught:
        Ours.for_folder(tmp_path, ROWS)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("vocab.txt", "[CLS]", "WordPiece"),
        ("spiece.model", "x", "SentencePiece"),
        ("tokenizer.model", "x", "SentencePiece"),
        ("tokenizer_config.json", '{"tokenizer_class": "T5Tokenizer"}', "T5Tokenizer"),
        ("tokenizer.json", "[" * 100_000, "nested too deep"),
        ("tokenizer.json", "{", "not JSON"),
        ("tokenizer.json", "[]", "no object"),
    ],
)
def test_files_of_other_kinds_are_refused(
    tmp_path: Path, file: str, content: str, words: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=words):
        Ours.for_folder(tmp_path, 50257)


def test_more_tokens_than_rows_are_refused_unless_only_added(tmp_path: Path) -> None:
    made = train(tmp_path, byte_level())
    rows = made.get_vocab_size()
    fits = Ours.for_folder(tmp_path, rows - 1)  # the last added token was never given a row
    assert fits.vocab_size == rows - 1
    with pytest.raises(ValueError, match="its weights 300 rows"):
        Ours.for_folder(tmp_path, 300)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    before = Ours.for_folder(tmp_path, ROWS)
    assert Ours.for_folder(tmp_path, ROWS) is before
    train(tmp_path, byte_level(), size=400)
    after = Ours.for_folder(tmp_path, ROWS)
    assert after.name != before.name and after.vocab_size < before.vocab_size
    assert isinstance(after, OwnTokenizer)


def test_a_long_word_and_many_added_tokens_do_not_take_the_square_of_their_length(
    tmp_path: Path,
) -> None:
    """Half a second here; the square would take longer than a test may."""
    train(tmp_path, byte_level())
    ours = Ours.for_folder(tmp_path, ROWS)
    assert len(ours.encode("a" * 300_000)) > 1000
    assert len(ours.encode("dem " * 50_000)) >= 50_000


def test_nonsense_beside_the_tokens_does_no_harm(tmp_path: Path) -> None:
    made = train(tmp_path, byte_level())
    path = tmp_path / "tokenizer.json"

    def spoil(keys: dict[str, Any]) -> None:
        keys["added_tokens"] += [{"id": -1, "content": "x"}, {"id": "7", "content": "x"}, 3]
        keys["added_tokens"] += [{"id": 10**12, "content": "x"}, {"id": 9, "content": ""}]
        keys["model"]["unk_token"] = {"content": ["x"]}

    edited(path, spoil)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": 5, "bos_token": ["x"]}')
    ours = Ours.for_folder(tmp_path, ROWS, [])
    for text in SCRIPTS.values():
        assert ours.encode(text) == made.encode(text).ids
    edited(path, lambda keys: keys.update(added_tokens=5))
    assert Ours.for_folder(tmp_path, ROWS).encode("x") == made.encode("x").ids


def test_a_refused_tokenizer_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page asks at every click, for everybody."""
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"type": "Unigram"}}')
    read: list[Path] = []
    monkeypatch.setattr(
        tokenizer_module,
        "read_vocabulary",
        lambda folder: read.append(folder) or read_vocabulary(folder),
    )
    for _ in range(3):
        with pytest.raises(ValueError, match="Unigram"):
            Ours.for_folder(tmp_path, ROWS)
    assert len(read) == 1
    train(tmp_path, byte_level())
    assert Ours.for_folder(tmp_path, ROWS).encode("x")


def test_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt2.tokenizer.merging._REMEMBERED", 3)
    merge = Merging({97: 0, 98: 1}, {(0, 1): (0, 2)})
    for _ in range(2):
        for word in (b"ab", b"abab", b"ba", b"a", b"c", b"cab"):
            merge(word)
            assert len(merge._words) <= 3
    assert merge(b"cab") == [(2, 3)] and merge(b"c") == []
