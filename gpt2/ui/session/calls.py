"""What scripts may call, and which values each call takes: told before Gradio is asked.

At /call/v2 values come by name, and Gradio has nothing but a fault of its own for a name that it
does not know or misses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from gpt2.serving.incoming import Refused

# Named like a value, and dropped by Gradio where no call takes it.
_TOKEN = "oauth_token"
_LONGEST = 40  # characters of a stranger's name that are repeated to him
_NO_SUCH_CALL = "There is no such call."
_BY_NUMBER = "predict"  # how the page itself calls


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a call; `needed` where it has no default."""

    name: str
    needed: bool


class Calls:
    """`names` are all that a script may call, `numbers` what the page itself may, which calls
    "predict"; `described`, made when first asked for, are those that take values by name.
    """

    def __init__(
        self,
        names: Collection[str],
        numbers: Collection[int],
        describe: Callable[[], Mapping[str, list[Value]]],
    ) -> None:
        self._names = names
        self._numbers = numbers
        self._describe = describe

    @classmethod
    def of_page(cls, page: gr.Blocks) -> Calls:
        """Those of a page."""
        named = {fn.api_name for fn in page.fns.values() if isinstance(fn.api_name, str)}

        def describe() -> dict[str, list[Value]]:
            info = cast(dict[str, Any], page.get_api_info())
            return {
                name.removeprefix("/"): [
                    Value(each["parameter_name"], not each["parameter_has_default"])
                    for each in call["parameters"]
                ]
                for name, call in info["named_endpoints"].items()
            }

        # What has no function of ours is done by the browser alone.
        numbers = {number for number, fn in page.fns.items() if fn.fn is not None}
        return cls(named, numbers, describe)

    def check_name(self, route: str, name: str) -> None:
        """Whether `route`, as `call` or `run`, leads to a call of this name. Raises Refused."""
        by_number = name == _BY_NUMBER and route in ("run", "api")
        if name not in self._names and not by_number:
            raise Refused(404, _NO_SUCH_CALL)

    def check_body(self, route: str, name: str, body: bytes) -> None:
        """What can be told of the values before the call is made. Raises Refused."""
        sent = json.loads(body)
        if route == "call/v2":
            self._check_values(name, sent)
        elif route in ("run", "api") and isinstance(sent, dict):
            number = sent.get("fn_index")
            if number is None and name == _BY_NUMBER:
                raise Refused(400, "The value is missing: fn_index.")
            if not (number is None or (type(number) is int and number in self._numbers)):
                raise Refused(404, _NO_SUCH_CALL)

    def _check_values(self, name: str, sent: object) -> None:
        """The right names, and none missing."""
        values = self._described.get(name)
        if values is None:
            raise Refused(404, _NO_SUCH_CALL)
        if not isinstance(sent, dict):
            raise Refused(400, "The values must be an object: a name and a value each.")
        names = ", ".join(value.name for value in values)
        for unknown in sent.keys() - {_TOKEN, *(value.name for value in values)}:
            shown = unknown if len(unknown) <= _LONGEST else f"{unknown[:_LONGEST]}…"
            raise Refused(400, f"There is no value {shown!r}. {name} takes {names}.")
        missing = [value.name for value in values if value.needed and value.name not in sent]
        if missing:
            is_ = "value is" if len(missing) == 1 else "values are"
            raise Refused(400, f"The {is_} missing: {', '.join(missing)}. {name} takes {names}.")

    @cached_property
    def _described(self) -> Mapping[str, list[Value]]:
        return self._describe()


def told_what_does_not_fit(_: Request, error: Exception) -> JSONResponse:
    """Of a request whose values are of the wrong kinds: which, and what they must be.

    FastAPI's own answer repeats them, and fails where one is NaN or infinite (1e400 is): no JSON.
    """
    assert isinstance(error, RequestValidationError)
    found = error.errors()[0]
    place = ".".join(map(str, found["loc"][1:])) or "the request"
    sentence = f"{place}: {found['msg']}."
    return JSONResponse({"detail": sentence, "error": sentence}, 422)
