"""python -m gpt2 bench: how fast this machine runs each size, against what its memory allows."""

from gpt2.bench.command import add_bench
from gpt2.bench.drafting_command import add_drafting_bench
from gpt2.bench.visitors_command import add_visitors_bench

__all__ = ["add_bench", "add_drafting_bench", "add_visitors_bench"]
