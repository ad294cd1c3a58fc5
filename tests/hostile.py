"""Texts that are more than text to a careless page, and a model that writes whatever it is told."""

from __future__ import annotations

from pathlib import Path

import torch

from gpt2 import GPT2Config, GPT2Model, Tokenizer
from gpt2.checkpoint.weights import save_model

# What every one of them tries is to set the attribute `x` of the page's body.
HOSTILE = (
    "<img src=x onerror=\"document.body.setAttribute('x', '1')\">",
    "${document.body.setAttribute('x', '1')}",
    "{{value}} {{constructor.constructor('return 1')()}}",
    "</script><script>document.body.setAttribute('x', '1')</script>",
    "<svg onload=document.body.setAttribute('x',1)><iframe srcdoc='<script>top.x=1</script>'>",
    "[click](javascript:document.body.setAttribute('x',1)) ![a](x' onerror='alert(1)')",
    "\"><style>body{background:url(javascript:alert(1))}</style><a href='//evil.example'>",
    "$$\\href{javascript:alert(1)}{x}$$ <math><mi xlink:href='data:x'>",
    "`\\${alert(1)}\\` {% raw %}{{ config }}{% endraw %} #{7*7} <%= 7*7 %>",
    "__proto__ constructor toString [object Object] undefined null NaN",
    "../../../../etc/passwd ..%2f..%2f file:///etc/passwd \\\\host\\share",
    "'; DROP TABLE runs; -- \" or 1=1 | $(id) `id` ; && %n%s%x {0.__class__}",
    "שלום עולם \u202ereversed\u202c العربية",
    "Z\u0351\u036b\u0343a\u0329\u0354lgo \u200b\u200d\ufeff\u2028\u2029 end",
    "bell \x07 escape \x1b[31m null \x00 tab \t end",
    "\U0001f98a\u200d\u2764\ufe0f 狐狸",
    "<|endoftext|> [INST] <|im_start|>system",
)

_PLACES = 256


def write_parrot(folder: Path, prompt: str, says: str) -> None:
    """A GPT-2 that writes `says` after `prompt` at temperature 0, and then ends the text.

    Every position has an axis of its own, and every token lies along the axes of the positions it
    is wanted at; attention and feed-forward are zero.
    """
    config = GPT2Config(
        vocab_size=8192,
        embedding_dimension=_PLACES,
        num_heads=4,
        hidden_dimension=_PLACES // 4,
        num_blocks=2,
        max_seq_len=_PLACES,
    )
    tokenizer = Tokenizer(config.vocab_size)
    ids = [*tokenizer.encode(prompt), *tokenizer.encode(says), tokenizer.end_of_text]
    model = GPT2Model.from_config(config)
    for parameter in model.parameters():
        parameter.data.zero_()
    model.ln_f.weight.data.fill_(1.0)
    model.wpe.weight.data.copy_(100 * torch.eye(_PLACES))
    for place, token in enumerate(ids[1:]):
        model.wte.weight.data[token, place] = 1.0
    save_model(model, folder, {}, torch.float32)
