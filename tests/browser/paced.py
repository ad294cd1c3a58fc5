"""The app with a steady pace: how quick this machine is must not decide how a text grows."""

_APP = """
import runpy, sys, time
from contextlib import closing
sys.path.insert(0, ".")
from gpt2.engine import Engine
stream = Engine.stream
def slowed(events, stopped):
    due = time.monotonic()
    with closing(events):
        for event in events:
            due += {seconds}
            while not stopped() and due > time.monotonic():  # what is stopped ends at once
                time.sleep(0.001)
            yield event
def paced(engine, *arguments, **options):
    events = stream(engine, *arguments, **options)
    stopped = options.get("stopped", lambda: False)
    return slowed(events, stopped) if engine.config.num_blocks >= {blocks} else events
Engine.stream = paced
runpy.run_path("app.py", run_name="__main__")
"""


def paced(seconds: float, blocks: int = 1) -> tuple[str, str]:
    """For `serve`: runs the app so that a token takes at least so many seconds.

    Only of models with at least so many blocks.
    """
    return "-c", _APP.format(seconds=seconds, blocks=blocks)
