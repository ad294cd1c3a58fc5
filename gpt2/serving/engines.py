"""Where engines run: in this process, on a GPU that is lent, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable

from gpt2.engine import Engine
from gpt2.loading import load_as_wanted
from gpt2.runtime.device import CPU, GPU, wanted_device
from gpt2.serving.zero_gpu import is_zero_gpu
from gpt2.serving.zero_gpu import loader as zero_gpu_loader


def engine_loader(where: str = "local") -> Callable[[str, Callable[[], bool]], Engine]:
    """What loads an engine by name. Raises ValueError for what is not installed."""
    if where == "ray":
        from gpt2.serving.ray_cluster import loader as ray_loader

        return ray_loader()
    return zero_gpu_loader() if is_zero_gpu() else load_as_wanted


def home_device() -> str:
    """Where this process keeps its models. Raises ValueError (`wanted_device`)."""
    # A lent GPU is another process's; to ask for one here would be an error on the platform.
    return CPU if is_zero_gpu() else wanted_device()


def writing_device() -> str:
    """Where texts are written. Raises ValueError (`wanted_device`)."""
    return GPU if is_zero_gpu() else wanted_device()
