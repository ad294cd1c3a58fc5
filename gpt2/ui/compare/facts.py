"""What there is to know of a size before and after it has written: a row of the table."""

from __future__ import annotations

from typing import Any

from gpt2.checkpoint import cached_folder, weights_size
from gpt2.precision import described
from gpt2.ui.compare.requested import run_bytes
from gpt2.ui.session.requests import Request
from gpt2.ui.session.sizes import config_of, precision_of, source_of, weights_bytes


def facts_of(request: Request) -> dict[str, Any]:
    """Shape, bytes on disk and in memory; what must be measured stays None until it is.

    `memory` is weights and cache, `first` seconds to the first token, `bits_per_byte` of the
    prompt; speed and first token count the size's own turns alone.
    """
    config = config_of(request.size)
    return {
        "size": request.size,
        "title": source_of(request.size).title,
        "parameters": config.num_parameters,
        "layers": config.num_blocks,
        "heads": config.num_heads,
        "width": config.embedding_dimension,
        "file": file_bytes(request.size),
        "memory": weights_bytes(request.size) + run_bytes(request),
        "precision": described(precision_of(request.size)),
        "seed": str(request.options.seed),
        "speed": None,
        "speed_error": None,
        "first": None,
        "bits_per_byte": None,
    }


def file_bytes(size: str) -> int | None:
    """Bytes of the weights on disk; None until they are here."""
    folder = cached_folder(source_of(size))
    return weights_size(folder) if folder else None
