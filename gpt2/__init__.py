"""GPT-2 from scratch: the model, its weights, its text, and what it looks at while it writes."""

from gpt2.config import SIZES, GPT2Config
from gpt2.engine import Engine, load
from gpt2.model import GPT2Model
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer

__all__ = ["SIZES", "Engine", "GPT2Config", "GPT2Model", "SamplingOptions", "Tokenizer", "load"]
