"""What other settings would have made of a text that is written: the same draws, looked at anew."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Any

from gpt2.engine import Engine
from gpt2.inference.executor import Floats
from gpt2.interpret.flips import flip_range, flips_among
from gpt2.sampling import SamplingOptions, choose
from gpt2.ui.session.frames import Value
from gpt2.ui.session.maps import clamped
from gpt2.ui.session.requests import number, whole
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.wire import wire_tokens

_MOST_BYTES = 64_000_000  # of logits that are kept while somebody moves the sliders
Drawn = list[tuple[int, Floats]]  # places, and the logits (V,) that each was drawn from


class FlipRequests:
    """Whoever calls holds the engine. A text is read once, so that a slider is answered at once;
    a text with more logits than are kept is read for every answer.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], Drawn] = OrderedDict()

    def flips(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """The tokens that the settings in `request` would have changed, and to what.

        Places whose token is not what the text's own settings draw are left out and named in
        `fixed`: somebody put the token there, or wrote that part with other settings.
        """
        options = SamplingOptions(
            number("Temperature must be a number from 0 to 2", request.get("temperature")),
            whole("Top-k must be a whole number from 0 (off) up", request.get("top_k")),
            number("Top-p must be a number above 0 and at most 1", request.get("top_p")),
            run.options.seed,
        )
        ids = list(run.ids)
        drawn = self._drawn(engine, run, ids)
        fixed = {flip.place for flip in flips_among(drawn, ids, run.options)}
        found = flips_among([each for each in drawn if each[0] not in fixed], ids, options)
        instead = wire_tokens(engine.tokenizer, [flip.instead for flip in found])
        return {
            "fixed": sorted(fixed),
            "flips": [
                {"at": flip.place, "instead": token, "certain": flip.certain}
                for flip, token in zip(found, instead, strict=True)
            ],
        }

    def stays(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """Between which temperatures the token at `at` stays, and which come beyond.

        All are None where it was not drawn with the text's own settings.
        """
        ids = list(run.ids)
        at = clamped(request, "at", len(ids) - 1)
        nobody = {"at": at, "drawn": False, "below": None, "above": None}
        if at < run.prompt:
            return nobody
        logits = dict(self._drawn(engine, run, ids))[at]
        if choose(logits, run.options, at) != ids[at]:
            return nobody
        found = flip_range(logits, ids[at], run.options, at)

        def side(temperature: float, token: int | None) -> Value | None:
            if token is None or not math.isfinite(temperature):
                return None
            (instead,) = wire_tokens(engine.tokenizer, [token])
            return {"temperature": temperature, "instead": instead}

        return {
            "at": at,
            "drawn": True,
            "below": side(found.below, found.token_below),
            "above": side(found.above, found.token_above),
        }

    def _drawn(self, engine: Engine, run: RunLog, ids: list[int]) -> Drawn:
        key = (run.id, len(ids))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = list(engine.drawn_from(ids, run.prompt, run.off))
        with self._lock:
            self._known[key] = found
            while self._known and self._bytes() > self._most_bytes:
                self._known.popitem(last=False)
        return found

    def _bytes(self) -> int:
        return sum(logits.nbytes for drawn in self._known.values() for _, logits in drawn)
