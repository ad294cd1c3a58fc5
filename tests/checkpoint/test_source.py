"""What a name stands for, and the files that need no hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpt2.checkpoint import CheckpointError, Source, fetch, find_source, is_cached
from gpt2.config import SIZES
from tests.checkpoint.conftest import TINY
from tests.hub_standin import write_gpt2_folder


@pytest.mark.parametrize("size", [size for size in SIZES.values() if not size.built_in])
def test_a_size_is_pinned(size) -> None:
    source = find_source(size.name)
    assert source == Source(size.name, None, size.repo, size.revision, size.sha256)
    assert source.pinned and source.title == size.label


def test_the_built_in_size_lies_beside_the_package() -> None:
    source = find_source("tiny")
    assert source.folder == Path(__file__).parents[2] / "assets" / "tiny"
    assert (source.repo, source.revision, source.sha256) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("owner/name", "owner/name", "main"),
        ("Owner-1/na.me_2@v1.0", "Owner-1/na.me_2", "v1.0"),
        ("owner/name@refs/pr/1", "owner/name", "refs/pr/1"),
    ],
)
def test_a_repository(name: str, repo: str, revision: str) -> None:
    assert find_source(name) == Source(name, None, repo, revision, None)


@pytest.mark.parametrize(
    "name", ["", "huge", "./nowhere", "/nowhere/at/all", "a/b/c", "a/b@", "../a"]
)
def test_no_model(name: str) -> None:
    with pytest.raises(ValueError, match=r"tiny, mini, distil, small.* xl.*folder.*owner"):
        find_source(name)


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gpt2_folder(tmp_path / "mine", TINY)
    source = find_source(str(tmp_path / "mine"))
    assert is_cached(source) and fetch(source) == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert find_source("mine").folder == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_source("~/mine").folder == tmp_path / "mine"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file(tmp_path: Path, file: str) -> None:
    write_gpt2_folder(tmp_path, TINY)
    (tmp_path / file).unlink()
    source = find_source(str(tmp_path))
    assert not is_cached(source)
    with pytest.raises(CheckpointError, match=rf"no {file} in .*pickled"):
        fetch(source)


def test_a_local_model_never_loads_the_hub(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    program = (
        "import sys; from gpt2.checkpoint import fetch, find_source, load_model;"
        f"load_model(fetch(find_source({str(tmp_path)!r})));"
        "print([name for name in sys.modules if 'huggingface' in name])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"[]"
