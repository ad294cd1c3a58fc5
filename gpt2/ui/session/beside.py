"""Branches of one text in the columns of Compare: nothing is written, they are there already."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from gpt2.ui.session.frames import Value
from gpt2.ui.session.run_log import RunLog


def beside_each_other(named: Sequence[tuple[str, RunLog]]) -> Value:
    """The Columns value that shows each text under its name."""
    start = min(log.prompt for _, log in named)  # a prompt may have been forked too
    about = {"memory": None, "from": start}
    columns = [{"size": log.size, "title": name} | about for name, log in named]
    updates = {str(at): {"output": log.pointer} for at, (_, log) in enumerate(named)}
    return {"id": uuid4().hex, "branches": True, "columns": columns, "updates": updates}
