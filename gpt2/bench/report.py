"""Results as a Markdown table and as JSON, each with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from gpt2.bench.measure import Result
from gpt2.runtime.device import GPU, wanted_device
from gpt2.runtime.units import format_percent


def machine() -> str:
    """Processor, cores, memory and versions, in one line; where a GPU computes, that first."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass  # not Linux, or no such line: the name above will do
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if wanted_device() == GPU:
        name = f"{torch.cuda.get_device_name(0)} on {name}"
    return (
        f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def as_table(results: Sequence[Result]) -> str:
    """One line for each size in each precision."""
    prompts = sorted({prompt for result in results for prompt in result.decode})
    heads = ["size", "precision", *(f"t/s after {n}" for n in prompts)]
    heads += ["of the floor", *(f"first token of {n}, ms" for n in prompts)]
    heads += ["attention on / off", "load s", "memory MB", "peak MB", "weights MB", "weights"]
    lines = [heads, ["---"] * len(heads), *(_cells(result, prompts) for result in results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_json(results: Sequence[Result]) -> str:
    """Everything, in plain units: seconds, bytes, tokens per second."""
    return json.dumps({"machine": machine(), "results": [asdict(r) for r in results]}, indent=1)


def _cells(result: Result, prompts: Sequence[int]) -> list[str]:
    decode, first = result.decode, result.first
    longest = max(decode)
    return [
        result.size,
        result.precision,
        *(f"{decode[n]:.1f}" if n in decode else "-" for n in prompts),
        format_percent(decode[min(decode)] / result.floor),
        *(f"{1000 * first[n]:.0f}" if n in first else "-" for n in prompts),
        f"{result.watched / decode[longest]:.2f}",
        f"{result.load:.2f}",
        *(f"{size / 1e6:.0f}" for size in (result.resident, result.peak, result.weight_bytes)),
        result.weights,
    ]
