"""Byte-level tokenizers of other people's models: `tokenizer.json`, or vocab.json and merges.txt.

Knows what the files of the `tokenizers` library say, and refuses by name what is not byte-level
byte-pair encoding.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpt2.runtime.units import format_bytes
from gpt2.tokenizer.bytes_visible import BYTE_OF

# GPT-2's rule for where merging must stop: contractions, words, numbers, punctuation, spaces.
OPENAI_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
# The same as the library has it built in.
_BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PATTERNS = {  # patterns that stand in files, letter by letter
    _BYTE_LEVEL: "GPT-2",
    OPENAI_PATTERN: "GPT-2",
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ): "GPT-4, Llama 3",
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ): "Qwen",
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ): "GPT-4o",
}
OPENAI_STEPS = (_BYTE_LEVEL, OPENAI_PATTERN)  # two ways to write one rule
# All that is read here, in a folder.
FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_NORMALIZERS = ("NFC", "NFD", "NFKC", "NFKD")
_MOST_BYTES = 100_000_000
# Other kinds, by the file that only they have.
_OTHER_KINDS = {
    "vocab.txt": "WordPiece",
    "spiece.model": "SentencePiece",
    "tokenizer.model": "SentencePiece",
    "sentencepiece.bpe.model": "SentencePiece",
    "spm.model": "SentencePiece",
}


@dataclass(frozen=True, slots=True)
class Added:
    """A token that is found in the text as it stands, before anything is cut or merged."""

    id: int
    content: str
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False


@dataclass(slots=True)
class Vocabulary:
    """What the files say. `merges` are pairs of tokens as the files write them, the first first."""

    tokens: dict[str, int]
    merges: list[tuple[str, str]]
    added: list[Added] = field(default_factory=list)
    steps: list[str] = field(default_factory=lambda: [_BYTE_LEVEL])  # patterns, one after another
    add_prefix_space: bool = False
    normalize: Callable[[str], str] | None = None
    unknown: str | None = None
    ignore_merges: bool = False
    eos_token: str | None = None
    bos_token: str | None = None


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The tokenizer in `folder`, None where none is. Raises ValueError for one of another kind."""
    about = _object(folder / "tokenizer_config.json") or {}
    whole = _object(folder / "tokenizer.json")
    if whole is not None:
        vocabulary = _from_json(whole)
    else:
        tokens, merges = folder / "vocab.json", folder / "merges.txt"
        if not tokens.is_file() or not merges.is_file():
            _refuse_other_kinds(folder, about)
            return None
        vocabulary = Vocabulary(_ids(_object(tokens) or {}, "vocab.json"), _lines(merges))
        _add_loose(vocabulary, folder, about)
    if isinstance(about.get("add_prefix_space"), bool):
        vocabulary.add_prefix_space = about["add_prefix_space"]
    if about.get("add_bos_token") is True:
        raise ValueError("its tokenizer puts a token before every text (add_bos_token)")
    special = (_object(folder / "special_tokens_map.json") or {}) | about
    vocabulary.eos_token = _content(special.get("eos_token"))
    vocabulary.bos_token = _content(special.get("bos_token"))
    return vocabulary


def _refuse_other_kinds(folder: Path, about: dict[str, Any]) -> None:
    for file, kind in _OTHER_KINDS.items():
        if (folder / file).is_file():
            raise ValueError(f"its tokenizer is {kind} ({file}), not byte-level BPE")
    name = about.get("tokenizer_class")
    if isinstance(name, str) and not name.startswith(("GPT2", "PreTrainedTokenizer", "Tokenizers")):
        raise ValueError(f"its tokenizer is a {name[:60]}, not byte-level BPE")


def _from_json(keys: dict[str, Any]) -> Vocabulary:
    model = _part(keys, "model")
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise ValueError(f"its tokenizer is {_name(kind)}, not byte-level BPE")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"):
        if model.get(key):
            raise ValueError(f"its tokenizer has {key} {model[key]!r}, so it is not byte-level BPE")
    steps, prefix = _steps(keys.get("pre_tokenizer"))
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ValueError("its tokenizer.json has no merges")
    vocabulary = Vocabulary(
        _ids(_part(model, "vocab"), "tokenizer.json"),
        [_pair(merge) for merge in merges],
        steps=steps,
        add_prefix_space=prefix,
        normalize=_normalizer(keys.get("normalizer")),
        unknown=_content(model.get("unk_token")),
        ignore_merges=model.get("ignore_merges") is True,
    )
    _check_post_processor(keys.get("post_processor"))
    entries = keys.get("added_tokens")
    for entry in entries if isinstance(entries, list) else []:
        added = _added(entry)
        if added is not None:
            vocabulary.added.append(added)
    return vocabulary


def _steps(part: Any) -> tuple[list[str], bool]:
    """The patterns a text is cut by, one after another, and whether a space is put before it."""
    parts = part.get("pretokenizers") if _kind(part) == "Sequence" else [part]
    steps: list[str] = []
    prefix = byte_level = False
    for each in parts or []:
        kind = _kind(each)
        if kind == "ByteLevel":
            byte_level = True
            prefix |= each.get("add_prefix_space") is True
            if each.get("use_regex", True):
                steps.append(_BYTE_LEVEL)
        elif kind == "Digits":
            steps.append(r"\p{N}|\P{N}+" if each.get("individual_digits") else r"\p{N}+|\P{N}+")
        elif kind == "Split":
            steps.append(_split(each))
        else:
            raise ValueError(f"its tokenizer cuts text by {_name(kind)}, which is not known here")
    if not byte_level:
        raise ValueError("its tokenizer is not byte-level")
    return steps, prefix


def _split(part: dict[str, Any]) -> str:
    pattern = part.get("pattern")
    written = pattern.get("Regex") if isinstance(pattern, dict) else None
    plain = part.get("behavior") == "Isolated" and not part.get("invert")
    if written not in PATTERNS or not plain:
        raise ValueError(
            f"its tokenizer cuts text by a pattern that is not known here: {str(pattern)[:80]}"
        )
    return str(written)


def _normalizer(part: Any) -> Callable[[str], str] | None:
    kind = _kind(part)
    if part is None or (kind == "Sequence" and not part.get("normalizers")):
        return None
    if kind not in _NORMALIZERS:
        raise ValueError(f"its tokenizer changes text by {_name(kind)}, which is not known here")
    form = str(kind)
    return lambda text: unicodedata.normalize(form, text)  # type: ignore[arg-type]  # of the four


def _check_post_processor(part: Any) -> None:
    kind = _kind(part)
    if part is None or kind == "ByteLevel":
        return
    if kind == "Sequence":
        for each in part.get("processors") or []:
            _check_post_processor(each)
        return
    single = part.get("single") if kind == "TemplateProcessing" else None
    parts = single if isinstance(single, list) else [None]
    if all(isinstance(each, dict) and "Sequence" in each for each in parts):
        return  # the text and nothing else
    raise ValueError(f"its tokenizer adds tokens to every text ({_name(kind)})")


def _add_loose(vocabulary: Vocabulary, folder: Path, about: dict[str, Any]) -> None:
    """Added tokens of a tokenizer in several files: where each release of the library kept them."""
    found: dict[str, Added] = {}
    for content, token in (_object(folder / "added_tokens.json") or {}).items():
        if isinstance(token, int) and token >= 0 and content:
            found[content] = Added(token, content)
    entries = about.get("added_tokens_decoder")
    for token, entry in (entries if isinstance(entries, dict) else {}).items():
        if isinstance(entry, dict) and str(token).isdecimal():
            added = _added(entry | {"id": int(token)})
            if added is not None:
                found[added.content] = added
    special = _object(folder / "special_tokens_map.json") or {}
    for key in ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "mask_token"):
        named = _content(about.get(key)) or _content(special.get(key))
        if named and named in vocabulary.tokens and named not in found:
            found[named] = Added(vocabulary.tokens[named], named, special=True)
    # That class makes these three what they are whether the files say so or not.
    if "<|endoftext|>" in vocabulary.tokens and "<|endoftext|>" not in found:
        token = vocabulary.tokens["<|endoftext|>"]
        found["<|endoftext|>"] = Added(token, "<|endoftext|>", special=True)
    vocabulary.added = list(found.values())


def _added(entry: Any) -> Added | None:
    if not isinstance(entry, dict):
        return None
    token, content = entry.get("id"), entry.get("content")
    if not isinstance(token, int) or token < 0 or not isinstance(content, str) or not content:
        return None
    flags = {key: entry.get(key) is True for key in ("special", "single_word", "lstrip", "rstrip")}
    return Added(token, content, **flags)


def _object(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"its {path.name} has more than {format_bytes(_MOST_BYTES)}")
        keys = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"its {path.name} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ValueError(f"its {path.name} is nested too deep") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"its {path.name} is not JSON") from error
    if not isinstance(keys, dict):
        raise ValueError(f"its {path.name} holds no object with keys")
    return keys


def _part(keys: dict[str, Any], key: str) -> dict[str, Any]:
    part = keys.get(key)
    if not isinstance(part, dict):
        raise ValueError(f"its tokenizer.json has no {key}")
    return part


def _ids(vocabulary: dict[str, Any], file: str) -> dict[str, int]:
    for token, number in vocabulary.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"its {file} gives {token[:40]!r} the id {str(number)[:40]}")
    return vocabulary


def _lines(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"its {path.name} cannot be read") from error
    lines = text.split("\n")
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    return [_pair(line) for line in lines if line.strip()]


def _pair(merge: Any) -> tuple[str, str]:
    parts = merge.split() if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(p, str) for p in parts):
        raise ValueError(f"its tokenizer has {str(merge)[:40]!r} where a pair to merge belongs")
    return parts[0], parts[1]


def _content(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) and content else None


def _kind(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else None


def _name(kind: Any) -> str:
    return str(kind)[:60] if kind else "of an unknown kind"


def bytes_of(token: str) -> bytes:
    """The bytes of a token as files write it, one visible character for each byte."""
    if all(character in BYTE_OF for character in token):
        return bytes(BYTE_OF[character] for character in token)
    return token.encode("utf-8", "replace")
