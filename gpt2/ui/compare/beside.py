"""Branches of one text in the columns of Compare: nothing is written, they are there already."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from gpt2.ui.frames import Value, attention_value, whole_text
from gpt2.ui.runs import Run
from gpt2.ui.sizes import config_of, tokenizer_of


def beside_each_other(named: Sequence[tuple[str, Run]]) -> Value:
    """The Columns value that shows each run under its name."""
    start = min(run.prompt for _, run in named)  # a prompt may have been forked too
    about = {"memory": None, "from": start}
    columns = [{"size": run.size, "title": name} | about for name, run in named]
    updates = {str(at): _whole(run) for at, (_, run) in enumerate(named)}
    return {"id": uuid4().hex, "branches": True, "columns": columns, "updates": updates}


def _whole(run: Run) -> Value:
    tokenizer, context = tokenizer_of(run.size), config_of(run.size).max_seq_len
    return {
        "output": whole_text(run, tokenizer, context, True, ""),
        "attention": attention_value(run, run.view, 0, b""),
    }
