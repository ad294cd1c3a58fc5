"""The parameters that several commands share: their types, and what `--help` says of them.

Nothing in here needs PyTorch, so that `--help` need not wait for it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gpt2.config import SIZES
from gpt2.precision import ALL_PRECISIONS, AUTO

_ONE_SIZE = f"{', '.join(SIZES)}, a folder, or a hub repository as owner/name"
_PRECISIONS = ", ".join([AUTO, *ALL_PRECISIONS])

Prompt = Annotated[str, typer.Argument(help="the text to go on from; may be empty")]
Text = Annotated[str, typer.Argument(help="the text to look into")]
Size = Annotated[str, typer.Option(help=_ONE_SIZE)]
Sizes = Annotated[list[str], typer.Option(help=f"{_ONE_SIZE}; several with spaces between")]
Precision = Annotated[str, typer.Option(help=f"{_PRECISIONS}; not all on every device")]

NewTokens = Annotated[int, typer.Option(help="at most")]
Temperature = Annotated[float, typer.Option(help="0 (always the likeliest) to 2")]
TopK = Annotated[int, typer.Option("--top-k", help="likeliest tokens kept, 0 keeps all")]
TopP = Annotated[
    float, typer.Option("--top-p", help="probability kept, above 0 to 1, which keeps all")
]
Seed = Annotated[int, typer.Option(help="the same seed, the same text")]

NoStartToken = Annotated[
    bool,
    typer.Option(
        "--no-start-token",
        help="leave out <|endoftext|> before the text; it changes what the model answers",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="all numbers, with their units")]
Rounds = Annotated[int, typer.Option(help="medians over these")]
