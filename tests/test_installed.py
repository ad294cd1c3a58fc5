"""`pip install .`, without the repository beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASKED = """
from gpt2 import load
from gpt2.ui.page.assets import panel_text
print(len(panel_text("app.css")), load("tiny").complete("Once", new_tokens=4))
"""
# What only this repository's own readers need.
NOT_INSTALLED = {"page.webp"}


def test_every_asset_is_installed() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    patterns = [part for line in text.splitlines() if line.startswith('"share/') for part in
                line.split("[")[1].rstrip("]").replace('"', "").split(", ")]  # fmt: skip
    installed = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    listed = subprocess.run(
        ["git", "ls-files", "assets"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in listed.stdout.split():
        assert ROOT / name in installed or Path(name).name in NOT_INSTALLED, name


@pytest.mark.nightly
def test_an_installed_package_writes(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    # The requirements come from this environment; only the project itself is installed.
    site = subprocess.run(
        [venv / "bin/python", "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    Path(site, "ours.pth").write_text(sysconfig.get_path("purelib"))
    pip = [venv / "bin/python", "-m", "pip", "install", "-q", "--no-deps"]
    copy = tmp_path / "copy"  # building leaves files behind
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "runs", "tests"))
    subprocess.run([*pip, copy], check=True)
    said = subprocess.run(
        [venv / "bin/python", "-c", ASKED], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
