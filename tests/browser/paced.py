"""The app with a steady pace: how quick this machine is must not decide how a text grows."""

_APP = """
import runpy, sys, time
sys.path.insert(0, ".")
from gpt2.engine import Engine
stream = Engine.stream
def paced(*arguments, **options):
    due = time.monotonic()
    for event in stream(*arguments, **options):
        due += {seconds}
        time.sleep(max(0, due - time.monotonic()))
        yield event
Engine.stream = paced
runpy.run_path("app.py", run_name="__main__")
"""


def paced(seconds: float) -> tuple[str, str]:
    """For `serve`: what runs the app so that a token takes at least so many seconds."""
    return "-c", _APP.format(seconds=seconds)
