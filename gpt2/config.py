"""What a GPT-2 looks like (`GPT2Config`) and which ones there are (`SIZES`)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class GPT2Config:
    """Shape of one GPT-2. The defaults are the 124M model of Radford et al. (2019).

    `hidden_dimension` is the width of one head, so `num_heads * hidden_dimension` must equal
    `embedding_dimension`; `hidden_dimension_factor` widens the feed-forward layer.
    Raises ValueError when the numbers cannot make a model.
    """

    vocab_size: int = 50257
    embedding_dimension: int = 768
    num_heads: int = 12
    hidden_dimension: int = 64
    num_blocks: int = 12
    max_seq_len: int = 1024
    hidden_dimension_factor: int = 4
    dropout_rate: float = 0.1
    positions: Literal["learned", "sinusoidal"] = "learned"
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{field.name} must be a whole number above 0, not {value!r}")
        if self.num_heads * self.hidden_dimension != self.embedding_dimension:
            raise ValueError(
                f"embedding_dimension {self.embedding_dimension} must be num_heads "
                f"{self.num_heads} x hidden_dimension {self.hidden_dimension}"
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f"dropout_rate must be in [0, 1), not {self.dropout_rate}")
        if not 0 <= self.layer_norm_epsilon <= 3e38:  # NaN is in no range
            raise ValueError(
                f"layer_norm_epsilon must be a finite number from 0 up, not "
                f"{self.layer_norm_epsilon}"
            )
        if self.positions not in ("learned", "sinusoidal"):
            raise ValueError(f"positions must be learned or sinusoidal, not {self.positions!r}")

    @property
    def num_parameters(self) -> int:
        """Trained numbers in the model, the tied head counted once."""
        width, wide = self.embedding_dimension, self.hidden_dimension_factor
        block = (4 + 2 * wide) * width * width + (9 + wide) * width
        positions = self.max_seq_len * width if self.positions == "learned" else 0
        return self.vocab_size * width + positions + self.num_blocks * block + 2 * width


@dataclass(frozen=True, slots=True)
class ModelSize:
    """One entry of the page's **Model size** list.

    A built-in size has no `repo`: its files lie in `assets/<name>/`. The others are pinned to one
    commit of one hub repository and to the sha256 of its `model.safetensors`.
    """

    name: str
    label: str
    config: GPT2Config
    repo: str | None = None
    revision: str | None = None
    sha256: str | None = None
    download_bytes: int = 0
    licence: str = "mit"

    @property
    def built_in(self) -> bool:
        return self.repo is None


def _shape(blocks: int, width: int, heads: int) -> GPT2Config:
    return GPT2Config(
        embedding_dimension=width,
        num_heads=heads,
        hidden_dimension=width // heads,
        num_blocks=blocks,
    )


def _built_in(width: int, heads: int) -> GPT2Config:
    return GPT2Config(
        vocab_size=8192,
        embedding_dimension=width,
        num_heads=heads,
        hidden_dimension=width // heads,
        num_blocks=6,
        max_seq_len=512,
    )


_ALL = (
    ModelSize("tiny", "Tiny", _built_in(128, 4)),
    ModelSize("mini", "Mini", _built_in(192, 6)),
    ModelSize(
        "distil",
        "Distil",
        _shape(6, 768, 12),
        "distilbert/distilgpt2",
        "2290a62682d06624634c1f46a6ad5be0f47f38aa",
        "e1ff18884359fe8beb795a5f414feb85a6ce3d929ad019c0d958c039d2b94a1b",
        352_824_413,
        "apache-2.0",
    ),
    ModelSize(
        "small",
        "Small",
        _shape(12, 768, 12),
        "openai-community/gpt2",
        "607a30d783dfa663caf39e06633721c8d4cfcd7e",
        "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
        548_105_171,
    ),
    ModelSize(
        "medium",
        "Medium",
        _shape(24, 1024, 16),
        "openai-community/gpt2-medium",
        "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd",
        1_519_984_962,
    ),
    ModelSize(
        "large",
        "Large",
        _shape(36, 1280, 20),
        "openai-community/gpt2-large",
        "32b71b12589c2f8d625668d2335a01cac3249519",
        "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce",
        3_247_159_078,
    ),
    ModelSize(
        "xl",
        "XL",
        _shape(48, 1600, 25),
        "openai-community/gpt2-xl",
        "15ea56dee5df4983c59b2538573817e1667135e2",
        "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
        6_431_829_962,
    ),
)

# Smallest first: the order of the page's list. The byte counts of large and xl are estimates
# until the hub tells the real ones; only the sha256 decides whether a file is right.
SIZES: dict[str, ModelSize] = {size.name: size for size in _ALL}
