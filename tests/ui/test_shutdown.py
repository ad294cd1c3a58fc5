"""What is left when the program ends while it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENDS_MID_RUN = """
from gpt2 import SamplingOptions
from gpt2.residency import Residency
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import Runner

texts = [
    Playground(Runner(Residency(10**9), 2)).texts(Request("Once", "tiny", 500, SamplingOptions()))
    for _ in range(2)
]
for text in texts:
    while not next(text):
        pass
print("ends")
"""


def test_a_program_that_ends_mid_run_ends_cleanly() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_MID_RUN],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends\n", "")
