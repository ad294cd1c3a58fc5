"""In which numbers a model computes. The model never branches on it: its modules are swapped.

float32 is the reference. What the others change is measured by `python -m gpt2.precision.error`.
"""

from gpt2.precision.choice import (
    ALL_PRECISIONS,
    AUTO,
    BYTES_PER_WEIGHT,
    PRECISIONS,
    choose_precision,
    load_with_precision,
    wanted_precision,
    weight_bytes,
)
from gpt2.precision.int8 import int8_model
from gpt2.precision.packed import float16_model, float32_model

__all__ = [
    "ALL_PRECISIONS",
    "AUTO",
    "BYTES_PER_WEIGHT",
    "PRECISIONS",
    "choose_precision",
    "float16_model",
    "float32_model",
    "int8_model",
    "load_with_precision",
    "wanted_precision",
    "weight_bytes",
]
