"""What is logged of a fault: its kind and where it happened, never what somebody typed.

The message of an exception may quote a value, and Gradio's and Python's own logging write it out.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import gradio as gr
from gradio.utils import error_payload

# Where Gradio prints what an event raised.
_PRINTING = ("queueing", "routes", "route_utils")
# Where it makes an answer of that: of what it does not know, null.
_TELLING = ("utils", "queueing")
_SORRY = "The call failed on the server, by a fault of its own. Try again."
_AGAIN = 60.0  # seconds
_MOST_TRACES = 100
_written: dict[str, float] = {}  # when each trace was written
_record = logging.getLogRecordFactory()
_payload = error_payload


def trace_of(error: BaseException | None) -> str:
    """Kinds and places, of what it was raised from as well. Of the system's errors also the words,
    which are the system's own.
    """
    parts: list[str] = []
    while error is not None and len(parts) < 8:
        words = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__name__}{words}\n")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "raised from the above:\n".join(reversed(parts))


def keep_texts_out_of_logs(page: gr.Blocks) -> None:
    """For this page and for every log record of this process."""
    _name_what_is_missing(page)
    logging.setLogRecordFactory(discreet_record)
    for name in _PRINTING:
        module: Any = importlib.import_module(f"gradio.{name}")
        module.traceback = SimpleNamespace(print_exc=_print_exc, format_exc=_format_exc)
    for name in _TELLING:
        vars(importlib.import_module(f"gradio.{name}"))["error_payload"] = _told


def keep_texts_out_of_hooks() -> None:
    """What Python itself prints of threads, of what it cannot raise, and of warnings."""
    threading.excepthook = lambda args: _print(args.exc_value)
    sys.unraisablehook = lambda args: _print(args.exc_value)
    warnings.showwarning = show_warning


def _name_what_is_missing(page: gr.Blocks) -> None:
    """Gradio lists all that came instead. What has a default takes it, as in /call/v2."""

    def complete(block_fn: Any, inputs: list[Any]) -> None:
        parameters = list(inspect.signature(block_fn.fn).parameters.values())
        rest = parameters[: len(block_fn.inputs)][len(inputs) :]
        if needed := [each.name for each in rest if each.default is each.empty]:
            values = "value is" if len(needed) == 1 else "values are"
            raise gr.Error(f"The {values} missing: {', '.join(needed)}.", print_exception=False)
        inputs.extend(each.default for each in rest)

    vars(page)["validate_inputs"] = complete


def discreet_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record whose trace is `trace_of`."""
    record = _record(*args, **kwargs)
    if record.exc_info and record.exc_info[1]:
        record.exc_text = _once(trace_of(record.exc_info[1])).rstrip()
    if record.name == "asyncio":  # a task is written with what it has raised
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    if "mcp" in Path(record.pathname).parts:  # it quotes whatever it cannot read
        record.msg, record.args = f"mcp/{record.filename}:{record.lineno}", ()
    return record


def _told(error: BaseException | None, show_error: bool) -> dict[str, Any]:
    """What is answered: the sentence of ours, or that there is none."""
    content: dict[str, Any] = _payload(error, show_error)
    if error is not None and content["error"] is None:
        content["error"] = _SORRY
    return content


def _format_exc(*_: object) -> str:
    return trace_of(sys.exc_info()[1])


def _print_exc(*_: object, **__: object) -> None:
    _print(sys.exc_info()[1])


def _print(error: BaseException | None) -> None:
    print(_once(trace_of(error)), end="", file=sys.stderr)


def _once(trace: str) -> str:
    """The trace, or its last line where it has been written within a minute: a stranger who finds
    a fault shall not fill the disk with it.
    """
    now = time.monotonic()
    written = _written.get(trace)
    if written is not None and now - written < _AGAIN:
        return f"{trace.splitlines()[-1]}, as above\n"
    if len(_written) >= _MOST_TRACES:
        _written.clear()
    _written[trace] = now
    return trace


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """As `warnings.showwarning`, without the words of Gradio's."""
    # They may quote a value that does not fit a component.
    words = "" if "gradio" in filename else f": {message}"
    print(f"{filename}:{lineno}: {category.__name__}{words}", file=file or sys.stderr)
