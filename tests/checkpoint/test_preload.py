"""A Space's `preload_from_hub`: fetched by the platform at build time, found here at run time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gpt2.checkpoint import Source
from gpt2.config import SIZES
from tests.checkpoint.conftest import Fetcher
from tests.hub_standin import HubStandin

README = Path(__file__).parents[2] / "README.md"
PRELOADED = re.compile(r"^  - (\S+) (\S+) ([0-9a-f]{40})$")  # repository, files, commit
# What the platform does with each line.
BRING = """
import sys
from huggingface_hub import hf_hub_download
for file in sys.argv[2].split(","):
    hf_hub_download(sys.argv[1], file, revision=sys.argv[3])
"""


def preloaded() -> list[re.Match[str]]:
    _, front, _ = README.read_text("utf-8").split("---\n", 2)
    lines = front.split("preload_from_hub:\n")[1].splitlines()
    found = [PRELOADED.match(line) for line in lines]
    return [line for line in found if line]


def test_the_readme_preloads_what_the_sizes_are_pinned_to() -> None:
    pins = {(size.repo, size.revision) for size in SIZES.values()}
    lines = preloaded()
    assert lines
    for line in lines:
        assert (line[1], line[3]) in pins
        assert line[2] == "config.json,model.safetensors"


def test_what_was_preloaded_is_used_without_asking_anybody(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], small: Source
) -> None:
    page = new_fetcher(HF_HUB_OFFLINE="1")
    environment = {"HF_HOME": str(page.home), "HF_ENDPOINT": hub.endpoint, "NO_PROXY": "127.0.0.1"}
    files = preloaded()[0][2]
    line = [small.name, files, str(small.revision)]
    subprocess.run([sys.executable, "-c", BRING, *line], env=environment, check=True, timeout=60)
    hub.heal()
    reply = page.fetch(small)
    assert reply["error"] is None and reply["cached_before"]
    assert hub.requests == []
