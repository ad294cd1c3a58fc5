"""`.ci/changes`: the changelog from the history's subjects, and the version that moves with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / ".ci" / "changes"
SECTION = """\
New
- B, with: a colon.

Mended
- D.
- C.
"""


def test_changes_are_the_subjects_since_the_version_moved(tmp_path: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "somebody", f"GIT_{who}_EMAIL": "somebody@example.org"}

    def call(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(subject: str) -> None:
        call("git", "add", "-A")
        call("git", "commit", "-q", "--allow-empty", "-m", subject)

    (tmp_path / ".ci").mkdir()
    (tmp_path / "gpt2").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    (tmp_path / "README.md").write_text("Version 0.1.0 of 2026-01-01; more.\n")
    (tmp_path / "gpt2" / "CHANGES.md").write_text("# Changes\n\n## 0.1.0, 2026-01-01\n\n- Old.\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    call("git", "init", "-q")
    commit("FEATURE: a, before the version moved")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.1"\n')
    commit("DOC: move the version")
    for subject in ("FEATURE: b, with: a colon", "FIX: c", "FIX: d", "TEST: e", "FIX: d"):
        commit(subject)

    assert call(sys.executable, ".ci/changes") == SECTION
    call(sys.executable, ".ci/changes", "0.2.0")
    assert 'version = "0.2.0"' in (tmp_path / "pyproject.toml").read_text()
    assert (tmp_path / "README.md").read_text().startswith("Version 0.2.0 of 20")
    title, new, old = (tmp_path / "gpt2" / "CHANGES.md").read_text().split("## ")
    assert title == "# Changes\n\n"
    assert new.startswith("0.2.0, 20")
    assert new.endswith(f"\n\n{SECTION}\n")
    assert old == "0.1.0, 2026-01-01\n\n- Old.\n"
