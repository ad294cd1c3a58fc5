"""How the project is built: imports point strictly down, libraries stay in their rooms.

A new module fails here until it is given a level.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEVELS = {
    "app": 14,
    "gpt2": 13,  # the public API: it may name anything, and nothing below may import it
    "gpt2.__main__": 14,
    "gpt2.cli": 13,
    "gpt2.ui": 12,
    "gpt2.ui.compare": 11,
    "gpt2.ui.page": 10,
    "gpt2.ui.session": 9,
    "gpt2.ui.gradio_patches": 8,
    "gpt2.training": 7,
    "gpt2.residency": 6,
    "gpt2.serving": 6,
    "gpt2.scoring": 5,
    "gpt2.head_probe": 5,
    "gpt2.trace": 5,
    "gpt2.bench": 6,
    "gpt2.loading": 5,
    "gpt2.cpu": 4,
    "gpt2.engine": 4,
    "gpt2.checkpoint": 3,
    "gpt2.inference": 2,
    "gpt2.interpret": 3,
    "gpt2.model": 1,
    "gpt2.precision": 1,
    "gpt2.tokenizer": 1,
    "gpt2.config": 0,
    "gpt2.sampling": 0,
    "gpt2.runtime": -1,  # what everything else may stand on
    "gpt2.round_robin": 5,
}
# Who may import these; nobody at all for an empty set.
ONLY = {
    "gradio": {"gpt2.ui", "app"},
    "typer": {"gpt2.cli"},
    "rich": {"gpt2.runtime"},
    "tiktoken": {"gpt2.tokenizer"},
    "huggingface_hub": {"gpt2.checkpoint"},
    "safetensors": {"gpt2.checkpoint"},
    "numba": {"gpt2.cpu"},
    "llvmlite": {"gpt2.cpu"},
    "transformers": set(),
    "prometheus_client": {"gpt2.serving"},
    "ray": {"gpt2.serving"},
    "spaces": {"gpt2.serving"},
}
WITHOUT_TORCH = {
    "gpt2.ui",
    "gpt2.tokenizer",
    "gpt2.config",
    "gpt2.sampling",
    "gpt2.precision",
    "gpt2.engine",
    "gpt2.interpret",
    "gpt2.scoring",
    "gpt2.cli",
    "app",
}

PYTHON = sorted([*ROOT.glob("gpt2/**/*.py"), *ROOT.glob("app.py")])


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def room(module: str) -> str:
    """The entry of LEVELS a module belongs to: `gpt2.model.attention` to `gpt2.model`."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 1, -1)]
    return next((name for name in names if name in LEVELS), ".".join(parts[:2]))


def among(room: str, rooms: set[str]) -> bool:
    """Whether it is one of `rooms`, or in one of them."""
    return any(room == each or room.startswith(f"{each}.") for each in rooms)


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def imports(file: Path) -> Iterator[str]:
    """Every module a file imports, wherever the import stands: at the top or inside a function."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} line {node.lineno}: imports are written in full"
            assert node.module
            if node.module == "gpt2":  # `from gpt2 import model` names a module, or the API
                modules = {f"gpt2.{alias.name}" for alias in node.names}
                yield from (modules & set(LEVELS)) or {"gpt2"}
            else:
                yield node.module


def imports_of_all() -> Iterator[tuple[Path, str]]:
    assert len(PYTHON) > 100, "the files are not where they were"
    for file in PYTHON:
        yield from ((file, module) for module in imports(file))


def test_every_module_has_a_level() -> None:
    assert [name_of(file) for file in PYTHON if room(module_of(file)) not in LEVELS] == []


def test_imports_point_strictly_down() -> None:
    wrong = []
    for file, module in imports_of_all():
        if module.split(".")[0] not in ("gpt2", "app"):
            continue
        here, there = room(module_of(file)), room(module)
        if there not in LEVELS:
            wrong.append(f"{name_of(file)}: {module} has no level")
        elif there != here and LEVELS[there] >= LEVELS[here]:
            wrong.append(f"{name_of(file)}: {here} imports {module}")
    assert wrong == []


def test_libraries_stay_in_their_rooms() -> None:
    wrong = []
    for file, module in imports_of_all():
        here, library = room(module_of(file)), module.split(".")[0]
        torch_where_none_is = library == "torch" and among(here, WITHOUT_TORCH)
        if not among(here, ONLY.get(library, {here})) or torch_where_none_is:
            wrong.append(f"{name_of(file)}: {here} imports {library}")
    assert wrong == []


def test_a_silenced_checker_gives_its_reason() -> None:
    silencer = re.compile(
        r"#\s*(?:type" + r":\s*ignore(?:\[[^]]*\])?|no" + r"qa(?::\s*[A-Z0-9, ]+)?)"
    )
    for file in [*PYTHON, *ROOT.glob("tests/**/*.py")]:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if match := silencer.search(line):
                reason = line[match.end() :].strip(" #-:")
                assert len(reason.split()) >= 2, f"{name_of(file)}:{number}: {line.strip()}"


def test_no_test_runs_a_loop_in_the_thread_that_playwright_has_one_in() -> None:
    """It would fail after any test with a browser, and pass before."""
    here = ROOT / "tests"
    wrong = "asyncio" + ".run("
    files = [f for f in here.glob("**/test_*.py") if wrong in f.read_text("utf-8")]
    assert [name_of(file) for file in files] == []


def test_no_property_has_settings_beside_the_profile_s() -> None:
    """`tests/examples.py` says how often and how; a deadline fails on a busy machine only."""
    wrong = re.compile(r"settings\(.*(?:deadline|max_examples)")
    files = [f for f in (ROOT / "tests").glob("**/test_*.py") if wrong.search(f.read_text("utf-8"))]
    assert [name_of(file) for file in files] == []


def test_no_test_waits_for_a_time() -> None:
    """It is too long on one machine and too short on another: wait for what you want to see.

    Stand-ins for what is slow lie beside the tests (`slowly` and `until` in tests/small.py).
    """
    found = []
    for file in [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("tests/**/conftest.py")]:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                lets_others_go_on = ast.unparse(node) == "asyncio.sleep(0)"
                if node.func.attr in ("sleep", "wait_for_timeout") and not lets_others_go_on:
                    found.append(f"{name_of(file)} line {node.lineno}")
    assert found == []


def test_no_file_names_a_place_on_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git tree")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    places = re.compile("(?<![\\w.])/(?:" + "wo" + "rk|ro" + "ot)/")
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file():
            text = file.read_bytes().decode("utf-8", "ignore")
            assert not places.search(text), name


def test_every_room_says_in_a_screen_what_it_is() -> None:
    """And how it is checked; what takes longer stands in a file beside it."""
    rooms = {file.parent for file in PYTHON if file.parent not in (ROOT, ROOT / "gpt2")}
    wrong = []
    for room in sorted(rooms):
        readme = room / "README.md"
        lines = readme.read_text("utf-8").splitlines() if readme.is_file() else []
        if not 10 <= len(lines) <= 40 or "pytest" not in "".join(lines):
            wrong.append(f"{name_of(readme)}: {len(lines)} lines")
    assert wrong == []
