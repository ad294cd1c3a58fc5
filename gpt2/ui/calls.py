"""What scripts may call, and which values each call takes: told before Gradio is asked.

At /call/v2 values come by name, and Gradio has nothing but a fault of its own for a name that it
does not know or misses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import gradio as gr

from gpt2.serving.incoming import Refused

# Named like a value, and dropped by Gradio where no call takes it.
_TOKEN = "oauth_token"
_LONGEST = 40  # characters of a stranger's name that are repeated to him
_NO_SUCH_CALL = "There is no such call."


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a call; `needed` where it has no default."""

    name: str
    needed: bool


class Calls:
    """`names` are all that may stand behind /call/; `described`, made when first asked for, are
    those that take values by name.
    """

    def __init__(
        self, names: frozenset[str], describe: Callable[[], Mapping[str, list[Value]]]
    ) -> None:
        self._names = names
        self._describe = describe

    @classmethod
    def of_page(cls, page: gr.Blocks) -> Calls:
        """Those of a page; "predict" is how the page itself calls, by number."""
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

        return cls(frozenset({"predict", *named}), describe)

    def check_name(self, name: str) -> None:
        """Raises Refused."""
        if name not in self._names:
            raise Refused(404, _NO_SUCH_CALL)

    def check_values(self, name: str, body: bytes) -> None:
        """What is sent to /call/v2: the right names, and none missing. Raises Refused."""
        values = self._described.get(name)
        if values is None:
            raise Refused(404, _NO_SUCH_CALL)
        sent = json.loads(body)
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
