"""What a draft guessed for a text, as the page shows it: right, wrong, and what it brought."""

from __future__ import annotations

from gpt2.tokenizer import Tokenizer
from gpt2.ui.runs import Run
from gpt2.ui.wire import WireToken, wire_tokens

# For every token: nothing where the draft was not asked, true where it was right, else its guess.
WireGuess = WireToken | bool | None


def wire_guesses(tokenizer: Tokenizer, run: Run, start: int) -> list[WireGuess]:
    """The guesses for the tokens from `start` on; none at all for a text without a draft."""
    if not run.draft:
        return []
    return [_wire_guess(tokenizer, run, place) for place in range(start, len(run.ids))]


def draft_numbers(run: Run) -> dict[str, object] | None:
    """The draft's name, its right and wrong guesses, and the speed-up of the newest run."""
    if not run.draft:
        return None
    right = sum(run.ids[place] == guess for place, guess in run.guesses.items())
    return {
        "title": run.draft,
        "right": right,
        "wrong": len(run.guesses) - right,
        "speed_up": run.speed_up,
    }


def _wire_guess(tokenizer: Tokenizer, run: Run, place: int) -> WireGuess:
    guess = run.guesses.get(place)
    if guess is None:
        return None
    return True if guess == run.ids[place] else wire_tokens(tokenizer, [guess])[0]
