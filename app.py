"""Starts the page: `python app.py`, then open the address it prints.

Host and port: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT. All variables: gpt2/runtime/VARIABLES.md.
"""

import argparse
import sys

from gpt2.runtime import settings, terminal
from gpt2.runtime.malloc import limit_arenas
from gpt2.runtime.memory_limit import check_address_space
from gpt2.serving.warm_up import USUAL_PORT, WarmUp


def main() -> int:
    """A page at once, that says what is going on; then the real one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where models run: in this process, or on the Ray cluster that RAY_ADDRESS names",
    )
    where = parser.parse_args().engine
    settings.check(page=True)
    settings.prepare(page=True)
    check_address_space()
    limit_arenas()
    warm_up = WarmUp()
    if not settings.SERVER_PORT.is_set() and warm_up.port != USUAL_PORT:
        print(f"Port {USUAL_PORT} is taken: serving on {warm_up.port}.", flush=True)
    warm_up.stage = "Importing PyTorch and Gradio"
    with terminal.ended_by_ctrl_c():
        from gpt2.runtime.threads import set_threads
        from gpt2.ui import USER_ERRORS, at_once_by_ctrl_c, build_page, check_offered, launch

    def serve() -> int:
        warm_up.stage = "Building the page"
        set_threads()
        check_offered()
        with at_once_by_ctrl_c():
            page = build_page(where)
            warm_up.close()
            launch(page, server_name=warm_up.host, server_port=warm_up.port)
        return 0

    return terminal.run(serve, USER_ERRORS)


if __name__ == "__main__":
    terminal.serve_without_terminal()
    sys.exit(terminal.run(main))
