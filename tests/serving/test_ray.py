"""The engine behind Ray Serve, on a cluster of this computer: `pytest -m ray`, with `ray[serve]`.

Opt-in, since few have Ray installed and its processes take a gigabyte.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpt2 import Engine, SamplingOptions, load
from gpt2.serving.ray_cluster import loader
from tests.small import until

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own, many of them

PROMPT = "Once upon a time"
WARM = SamplingOptions(0.8, seed=3)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    import ray
    from ray import serve

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield loader()("tiny", lambda: False)
    serve.shutdown()
    ray.shutdown()


def test_a_replica_writes_what_this_process_would(engine: Engine) -> None:
    here = list(load("tiny").stream(PROMPT, WARM, 30, attention=[2]))
    there = list(engine.stream(PROMPT, WARM, 30, attention=[2]))
    assert [(e.token, e.fed, e.text, e.finish) for e in there] == [
        (e.token, e.fed, e.text, e.finish) for e in here
    ]
    ids = engine.encode(PROMPT)
    np.testing.assert_allclose(
        engine.attention_rows(ids, 1), load("tiny").attention_rows(ids, 1), atol=1e-5
    )


def process_of(engine: Engine) -> int:
    """Which process the replica is."""
    from ray import serve

    process: int = serve.get_app_handle("gpt2-tiny").process.remote().result()
    return process


def test_a_replica_drafts_and_says_what_tokens_offer(engine: Engine) -> None:
    events = list(engine.stream(PROMPT, WARM, 30, attention=[2], draft=engine))
    assert "".join(event.text for event in events) == load("tiny").complete(PROMPT, WARM, 30)
    assert any(event.guess is not None for event in events)
    assert events[0].norms[2].shape == (engine.config.num_heads, events[0].fed)


def test_a_replica_killed_mid_run_loses_no_text(engine: Engine) -> None:
    before = process_of(engine)
    events = engine.stream(PROMPT, WARM, 300)
    text = "".join(next(events).text for _ in range(20))
    os.kill(before, signal.SIGKILL)
    text += "".join(event.text for event in events)
    assert text == load("tiny").complete(PROMPT, WARM, 300)
    assert process_of(engine) != before


def test_a_stop_ends_the_far_run(engine: Engine) -> None:
    seen: list[str] = []
    for event in engine.stream(PROMPT, WARM, 400, stopped=lambda: len(seen) >= 5):
        seen.append(event.text)
    assert event.finish == "stopped"
    assert engine.complete(PROMPT, WARM, 5) == load("tiny").complete(PROMPT, WARM, 5)


def test_another_replica_starts_as_runs_queue(engine: Engine) -> None:
    from ray import serve

    ended = threading.Event()
    texts: set[str] = set()

    def visit() -> None:
        while not ended.is_set():
            texts.add(engine.complete(PROMPT, WARM, 200))

    def replicas() -> int:
        deployment = serve.status().applications["gpt2-tiny"].deployments["Replica"]
        return deployment.replica_states.get("RUNNING", 0)

    assert replicas() == 1
    visitors = [threading.Thread(target=visit) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    more = until(lambda: replicas() == 2, 150)
    ended.set()
    for visitor in visitors:
        visitor.join(60)
    assert more
    assert texts == {load("tiny").complete(PROMPT, WARM, 200)}


def test_what_needs_the_model_itself_says_so(engine: Engine) -> None:
    with pytest.raises(ValueError, match="in the Ray cluster"):
        assert engine.model


def test_the_page_streams_from_the_cluster(tmp_path: Path) -> None:
    from gradio_client import Client

    from tests.browser.server import serve

    with serve(tmp_path, ("app.py", "--engine", "ray"), RAY_USAGE_STATS_ENABLED="0") as app:
        client = Client(app.url, verbose=False, analytics_enabled=False)
        job = client.submit(PROMPT, "tiny", 0.8, 40, 0, 1.0, 3, api_name="/generate")
        assert job.result(200) == load("tiny").complete(PROMPT, WARM, 40)
        client.close()


def test_without_ray_the_command_says_what_to_install() -> None:
    blocked = "import sys; sys.modules['ray'] = None; sys.argv = ['app.py', '--engine', 'ray'];"
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            blocked + "import runpy; runpy.run_path('app.py', run_name='__main__')",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 1
    assert "pip install 'ray[serve]'" in ended.stderr
