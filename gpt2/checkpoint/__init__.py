"""Weights and shapes of a GPT-2 on disk: found, downloaded, verified, loaded and saved.

Leaves to others which precision the loaded model runs in and when it is thrown away.
"""

from gpt2.checkpoint.config_file import read_config, read_stored, read_tokenizer
from gpt2.checkpoint.digest import weights_digest
from gpt2.checkpoint.download import (
    ATTEMPTS,
    cached_config,
    cached_facts,
    cached_folder,
    fetch,
    is_cached,
    learn,
)
from gpt2.checkpoint.errors import Cancelled, CheckpointError
from gpt2.checkpoint.progress import Progress
from gpt2.checkpoint.source import (
    Source,
    find_source,
    weights_files,
    weights_size,
    weights_stamp,
)
from gpt2.checkpoint.weights import WeightsFile, empty_model, load_model, open_weights, save_model

__all__ = [
    "ATTEMPTS",
    "Cancelled",
    "CheckpointError",
    "Progress",
    "Source",
    "WeightsFile",
    "cached_config",
    "cached_facts",
    "cached_folder",
    "empty_model",
    "fetch",
    "find_source",
    "is_cached",
    "learn",
    "load_model",
    "open_weights",
    "read_config",
    "read_stored",
    "read_tokenizer",
    "save_model",
    "weights_digest",
    "weights_files",
    "weights_size",
    "weights_stamp",
]
