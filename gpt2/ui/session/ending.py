"""The end of a server that is told to end, by Ctrl-C or by SIGTERM: a word to everybody, then out.

By itself Gradio waits for open connections and leaves threads to compute while Python takes itself
apart, which aborts the process; and SIGTERM ends it without a word.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import gradio as gr

from gpt2.runtime import terminal
from gpt2.ui.session.log_route import LogRoute
from gpt2.ui.session.runner import Runner

_TO_STOP = 1.2  # seconds for the passes that are being made
_LAST_WORDS = 1.6  # after the same signal, for the last words to leave
_TO_TIDY = 0.3  # for what others have registered with `atexit`
_LOOK = 0.01


def serve_until_signalled(page: gr.Blocks, runner: Runner, logs: LogRoute) -> None:
    """Returns never: ends the process, within two seconds of the signal; a second one at once."""
    signalled = threading.Event()

    def stop(*_: object) -> None:
        if signalled.is_set():
            os._exit(1)
        signalled.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    while not signalled.wait(1):  # in pieces: on Windows a signal does not end a wait
        pass
    print("Stopping: every text that is being written ends with a word.", flush=True)
    end(page, runner, logs)
    _leave(0)


@contextmanager
def at_once_by_ctrl_c() -> Iterator[None]:
    """While the page is made nobody writes yet, and Ctrl-C waits for no thread that loads or
    compiles: on a first start that takes a minute.
    """
    try:
        yield
    except KeyboardInterrupt:
        _leave(terminal.INTERRUPTED)


def _leave(code: int) -> NoReturn:
    thread = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    thread.start()
    thread.join(_TO_TIDY)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of Python's own end: a thread that is still inside PyTorch would abort it.
    os._exit(code)


def end(page: gr.Blocks, runner: Runner, logs: LogRoute) -> None:
    """Stops all runs, waits for their threads and for what is said of it to be sent."""
    ends = time.monotonic() + _LAST_WORDS
    runner.close(_TO_STOP)
    queue: Any = page._queue
    while (queue.event_ids_to_events or logs.reading) and time.monotonic() < ends:
        time.sleep(_LOOK)
    queue.close()  # whoever is still connected is told that the server has stopped
    server = cast(Any, page).server
    if server:
        server.should_exit = True
        time.sleep(10 * _LOOK)
