"""Text to token ids and back: GPT-2's byte-pair encoding, and that of other people's models."""

from gpt2.tokenizer.tokenizer import (
    END_OF_TEXT,
    GPT2_VOCAB_SIZE,
    VOCABULARY_FILE,
    Merge,
    OwnTokenizer,
    TextStream,
    Tokenizer,
)

__all__ = [
    "END_OF_TEXT",
    "GPT2_VOCAB_SIZE",
    "VOCABULARY_FILE",
    "Merge",
    "OwnTokenizer",
    "TextStream",
    "Tokenizer",
]
