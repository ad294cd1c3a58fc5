"""Starts the page: `python app.py`, then open the address it prints.

Host and port: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
"""

import argparse
import os

# Before Gradio is imported. It would look up its own servers at start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# It keeps a record of so many requests for a page of figures that is closed here; by itself 10,000.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
# A Space is reached through the platform's proxy alone: believe it who is asking.
if os.environ.get("SYSTEM") == "spaces":
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")

from gpt2.runtime.malloc import limit_arenas
from gpt2.serving.warm_up import WarmUp


def main() -> None:
    """A page at once, that says what is going on; then the real one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where models run: in this process, or on the Ray cluster that RAY_ADDRESS names",
    )
    where = parser.parse_args().engine
    limit_arenas()
    warm_up = WarmUp()
    warm_up.stage = "Importing PyTorch and Gradio"
    from gpt2.runtime.threads import set_threads
    from gpt2.ui import TOLD, build_page, check_offered, launch

    warm_up.stage = "Building the page"
    try:
        set_threads()
        check_offered()
        page = build_page(where)
    except TOLD as error:
        raise SystemExit(f"error: {error}") from None
    warm_up.close()
    launch(page)


if __name__ == "__main__":
    main()
