"""How many rows a pass must have so that a row's numbers do not depend on how many there are.

A matrix kernel may sum in another order for one row than for eight: not wrong, but another last
bit, and once in a while another token. Which row counts agree depends on kernel, shape and machine,
so they are tried out.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from gpt2.model import GPT2Model, RaggedBatch, SlotCache


@torch.inference_mode()
def row_multiple(model: GPT2Model, most: int) -> int:
    """The smallest g such that passes over g, 2 g, ... up to at least `most` rows agree exactly.

    Powers of two are tried; the last, one fixed number of rows, always agrees with itself.
    """
    multiple = 1
    while multiple < most:
        first = _one_pass(model, multiple)
        counts = range(2 * multiple, most + multiple, multiple)
        if all(torch.equal(_one_pass(model, count)[:multiple], first) for count in counts):
            return multiple
        multiple *= 2
    return multiple


def _one_pass(model: GPT2Model, rows: int) -> torch.Tensor:
    """Stream and logits of `rows` different vectors sent through the first block: (rows, C + V).

    All blocks have the same shapes, so one is enough.
    """
    device = model.ln_f.weight.device
    one_block = replace(model.config, num_blocks=1)
    batch = RaggedBatch(SlotCache(one_block, rows, device=device), range(rows), [0] * rows)
    numbers = torch.arange(rows * model.config.embedding_dimension, device=device)
    x = numbers.to(model.ln_f.weight.dtype).sin().view(rows, 1, -1)
    x = model.h[0](x, batch, batch.attend, 0)
    return torch.cat((x[:, 0], model.wte.logits(model.ln_f(x))[:, 0]), dim=-1)
