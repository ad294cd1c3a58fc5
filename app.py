"""Starts the page: `python app.py`, then open the address it prints.

Host and port: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
"""

import os

# Before Gradio is imported: it would look up its own servers at start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from gpt2.ui import TOLD, build_page, check_offered, launch

try:
    check_offered()
except TOLD as error:
    raise SystemExit(f"error: {error}") from None

demo = build_page()

if __name__ == "__main__":
    launch(demo)
