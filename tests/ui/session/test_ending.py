"""A server that is told to end while it writes says so to everybody, and ends at once."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from gpt2.residency import Residency
from gpt2.sampling import GREEDY
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import Runner, Stopping
from tests.browser.conftest import DEEP, SLOWLY
from tests.browser.server import serve, start
from tests.hub_standin import write_gpt2_folder
from tests.small import small_engine, until
from tests.ui.writing import until_writing

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
CALLS = {
    "generate": ["Once", "deep", 1, 900, 0, 1, 1, "off"],
    "compare": ["Once", ["deep", "tiny"], 1, 900, 0, 1, 1],
}


class Reader(threading.Thread):
    """Reads one call's answers to the end, as they come."""

    def __init__(self, url: str, call: str) -> None:
        super().__init__()
        self.said = ""
        address = f"{url}gradio_api/call/{call}"
        body = json.dumps({"data": CALLS[call]}).encode()
        asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with DIRECT.open(asked, timeout=30) as reply:
            self._address = f"{address}/{json.load(reply)['event_id']}"
        self.start()

    def run(self) -> None:
        with DIRECT.open(self._address, timeout=60) as reply:
            for line in reply:
                self.said += line.decode()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGINT])
def test_every_text_ends_with_a_word_and_the_process_at_once(
    tmp_path: Path, told: signal.Signals
) -> None:
    write_gpt2_folder(tmp_path / "deep", DEEP)
    with serve(tmp_path, SLOWLY, GPT2_MODEL=str(tmp_path / "deep"), GPT2_RUNNING="2") as app:
        assert app.process
        readers = [Reader(app.url, call) for call in ("generate", "generate", "compare")]
        assert until(lambda: sum("generating" in reader.said for reader in readers) >= 2, 60)
        began = time.monotonic()
        app.process.send_signal(told)
        assert app.process.wait(10) == 0
        assert time.monotonic() - began < 2
        for reader in readers:
            reader.join(10)
            assert "The server is being stopped" in reader.said.splitlines()[-2]
        log = app.log.read_text()
        assert "terminate called" not in log
        assert "Traceback" not in log


STARTING = """
import runpy, signal, sys, threading, time
from gpt2.ui import build
signal.signal(signal.SIGINT, signal.default_int_handler)
build._launched = lambda *_: (print("launching", flush=True), time.sleep(60))
threading.Thread(target=time.sleep, args=(60,)).start()  # as one that compiles
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""


def test_ctrl_c_before_the_page_is_up_waits_for_nothing(tmp_path: Path) -> None:
    with start(tmp_path, ("-c", STARTING)) as app:
        assert app.process
        assert until(lambda: "launching" in app.log.read_text(), 60)
        app.process.send_signal(signal.SIGINT)
        assert app.process.wait(10) == 130
        assert "Traceback" not in app.log.read_text()


def test_the_page_is_told_and_keeps_what_was_written() -> None:
    engine = small_engine()
    runner = Runner(Residency(10**9, lambda *_: engine), 1, Limits())
    playground = Playground(runner)
    wanted = Request("one", "tiny", 300, GREEDY)
    log = until_writing(playground.generate(wanted, Visitor()), playground)
    written = list(log.ids)
    assert log.running
    runner.close()
    assert log.state == "error"
    assert log.note.startswith("The server is being stopped, so the text ends here.")
    assert log.ids[: len(written)] == written


def test_nothing_begins_any_more() -> None:
    runner = Runner(Residency(10**9, lambda *_: small_engine()), 1, Limits())
    runner.close()
    texts = Playground(runner).texts(Request("one", "tiny", 5, GREEDY))
    with pytest.raises(Stopping, match="being stopped"):
        next(texts)
