"""Where models compute: on a GPU where PyTorch finds one, else on the CPU."""

from __future__ import annotations

from gpt2.runtime import settings
from gpt2.runtime.memory_limit import memory_limit

CPU, GPU = "cpu", "cuda"


def wanted_device() -> str:
    """What GPT2_DEVICE says, else `cuda` where there is a GPU and `cpu` where not.

    Raises ValueError for another word, and for `cuda` where PyTorch finds no GPU.
    """
    import torch  # here, since the names above are asked for by what does not compute

    named = settings.DEVICE.get()
    there = torch.cuda.is_available()
    if named == GPU and not there:
        raise ValueError(
            f"{settings.DEVICE.name} is {GPU}, but PyTorch finds no GPU here. Leave it out."
        )
    return named or (GPU if there else CPU)


def device_memory(device: str) -> int:
    """Bytes of memory that models on `device` share."""
    if device == GPU:
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    return memory_limit()
