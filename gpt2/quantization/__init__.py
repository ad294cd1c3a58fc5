"""Twins of `nn.Linear` and of the token embedding that compute faster, most with fewer bits.

Leaves to `gpt2.precision` which modules are swapped, and knows no blocks and no attention.
"""

from gpt2.quantization.float16 import Float16Linear, Float16TokenEmbedding
from gpt2.quantization.float32 import Float32Linear, Float32TokenEmbedding
from gpt2.quantization.int8 import FEW_ROWS, Int8Linear, Int8TokenEmbedding
from gpt2.quantization.int8_weights import Int8Weights, quantize
from gpt2.quantization.kernels import has_float16_kernel, has_float32_kernel, has_int8_kernel

__all__ = [
    "FEW_ROWS",
    "Float16Linear",
    "Float16TokenEmbedding",
    "Float32Linear",
    "Float32TokenEmbedding",
    "Int8Linear",
    "Int8TokenEmbedding",
    "Int8Weights",
    "has_float16_kernel",
    "has_float32_kernel",
    "has_int8_kernel",
    "quantize",
]
