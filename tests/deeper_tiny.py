"""A larger model that mostly agrees with Tiny: Tiny with blocks that hardly add to the stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from gpt2 import GPT2Model
from gpt2.checkpoint import load_model, save_model
from gpt2.runtime.assets_folder import ASSETS

BLOCKS = 12


def deeper_tiny(noise: float = 0.1) -> GPT2Model:
    """Twelve blocks: Tiny's six, then six random ones whose outputs are as small as `noise`."""
    tiny = load_model(ASSETS / "tiny")
    random = torch.Generator().manual_seed(3)
    model = GPT2Model.from_config(replace(tiny.config, num_blocks=BLOCKS))
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and "ln_" not in name:
            spread = noise if "c_proj" in name else 0.02
            parameter.data.normal_(0, spread, generator=random)
    model.load_state_dict(tiny.state_dict(), strict=False)
    return model.eval().requires_grad_(False)


def write_deeper_tiny(folder: Path) -> None:
    """The same as a checkpoint, to be offered as GPT2_MODEL."""
    save_model(deeper_tiny(), folder, {}, torch.float32)
