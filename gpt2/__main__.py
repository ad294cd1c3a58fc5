"""python -m gpt2: write text in the terminal, fetch a model before it is needed, score heads."""

from __future__ import annotations

import sys

from gpt2.runtime import settings, terminal
from gpt2.runtime.memory_limit import check_address_space


def main() -> int:
    """The exit code. What the environment says wrong is told before PyTorch reads it."""
    settings.check(page=False)
    settings.prepare(page=False)
    check_address_space()
    with terminal.ended_by_ctrl_c():
        from gpt2.cli import main as cli
    return cli.main()


if __name__ == "__main__":
    sys.exit(terminal.run(main))
