"""GPT-2 from scratch: the model, its weights, its text, and what it looks at while it writes.

Names are imported when first used (PEP 562): not everything in here needs PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt2.config import SIZES, GPT2Config
    from gpt2.engine import Engine
    from gpt2.loading import load
    from gpt2.model import GPT2Model
    from gpt2.sampling import SamplingOptions
    from gpt2.tokenizer import Tokenizer

__all__ = ["SIZES", "Engine", "GPT2Config", "GPT2Model", "SamplingOptions", "Tokenizer", "load"]

_HOME = {
    "SIZES": "config",
    "Engine": "engine",
    "GPT2Config": "config",
    "GPT2Model": "model",
    "SamplingOptions": "sampling",
    "Tokenizer": "tokenizer",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
