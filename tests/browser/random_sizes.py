"""app.py with public sizes whose files are random: GPT2_TEST_PINS says what they are pinned to.

Their shapes stay the real ones, and their bytes are checked as the real ones' are.
"""

from __future__ import annotations

import json
import os
import runpy
from dataclasses import replace

from gpt2.config import SIZES

for name, (revision, sha256) in json.loads(os.environ["GPT2_TEST_PINS"]).items():
    SIZES[name] = replace(SIZES[name], revision=revision, sha256=sha256)

runpy.run_path("app.py", run_name="__main__")
