"""python -m gpt2 publish: a built-in model as a folder that the hub and `transformers` can use."""

from __future__ import annotations

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


def publish(size: str, folder: Path) -> None:
    """Write `size` into `folder` and print it. Raises ValueError where it cannot be written."""
    source = find_source(size).folder
    if size not in SIZES or source is None:
        built_in = ", ".join(each.name for each in SIZES.values() if each.built_in)
        raise ValueError(f"--size must be one of {built_in}, not {size!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty.")
        for name in _COPIED:
            shutil.copyfile(source / name, folder / name)
        shutil.copyfile(ASSETS / _NOTICE, folder / _NOTICE)
        for name, keys in _written(size).items():
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
