"""python -m gpt2 publish: a built-in model as a folder that the hub and `transformers` can use."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

from gpt2.checkpoint import find_source
from gpt2.config import SIZES
from gpt2.runtime.assets_folder import ASSETS
from gpt2.sampling import USUAL
from gpt2.tokenizer import library_files

_COPIED = ("config.json", "model.safetensors", "curve.csv")
_NOTICE = "vocab.bpe.LICENSE"
_FRONT = """\
---
library_name: transformers
pipeline_tag: text-generation
license: mit
language: en
tags:
  - gpt2
  - text-generation
  - children's stories
---

"""
_USE = """
## In transformers

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER_OR_REPOSITORY)
model = AutoModelForCausalLM.from_pretrained(FOLDER_OR_REPOSITORY)
ids = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids)[0]))
```

The vocabulary is the beginning of GPT-2's, under OpenAI's notice in `vocab.bpe.LICENSE`.
"""
_BESIDE = re.compile(r"\[([^]]*)\]\(\.\./[^)]*\)")  # a link to what is not in the folder


def add_publish(commands: argparse._SubParsersAction[Any]) -> None:
    """The `publish` command."""
    publish = commands.add_parser(
        "publish",
        help="write a built-in model as a folder for the hub",
        description="Writes weights, config, tokenizer, sampling defaults and card, as "
        "transformers reads them, ready for `hf upload owner/name FOLDER --exclude "
        "'*.packed.safetensors'`: such copies this program leaves where it has loaded a model.",
    )
    publish.add_argument(
        "--size", default="tiny", choices=[size.name for size in SIZES.values() if size.built_in]
    )
    publish.add_argument("folder", type=Path, help="where to; made, or empty")
    publish.set_defaults(run=write_folder)


def write_folder(options: argparse.Namespace) -> None:
    """`publish`: the folder on standard output. Raises ValueError where it cannot be written."""
    source = find_source(options.size).folder
    assert source is not None, "a built-in size"
    folder: Path = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty.")
        for name in _COPIED:
            shutil.copyfile(source / name, folder / name)
        shutil.copyfile(ASSETS / _NOTICE, folder / _NOTICE)
        for name, keys in _written(options.size).items():
            (folder / name).write_text(json.dumps(keys, ensure_ascii=False, indent=2), "utf-8")
        card = _BESIDE.sub(r"\1", (source / "README.md").read_text("utf-8"))
        (folder / "README.md").write_text(_FRONT + card.rstrip() + "\n" + _USE, "utf-8")
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror}.") from error
    print(folder)


def _written(size: str) -> dict[str, dict[str, Any]]:
    config = SIZES[size].config
    end = config.vocab_size - 1
    sampling = {
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
        "do_sample": True,
        "temperature": USUAL.temperature,
        "top_k": USUAL.top_k,
        "top_p": USUAL.top_p,
        "max_new_tokens": 120,
    }
    files = library_files(config.vocab_size, config.max_seq_len)
    return {**files, "generation_config.json": sampling}
