"""Machine code: kept, checked, made again, and what happens where it cannot be made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gpt2.cpu import compiler
from gpt2.cpu.compiler import Target, Unavailable, cache_folder, host, object_code

LOOPS = ("loops", "float32", "16")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder in which nothing is yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


own = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is compiled, in this process so that it can be counted."""
    calls: list[tuple[str, ...]] = []

    def count(what: tuple[str, ...], target: Target) -> bytes:
        calls.append(what)
        return object_code(what, target)

    monkeypatch.setattr(compiler, "_make", count)
    return calls


@own
def test_code_is_made_once_and_read_afterwards(made: list[tuple[str, ...]]) -> None:
    for _ in range(3):
        assert compiler._loaded(LOOPS, host()).get_function_address("product_1")
    assert made == [LOOPS]


@own
def test_who_comes_while_it_is_made_waits_for_it(tmp_path: Path) -> None:
    """Two processes that start together, as test workers and servers do: one compiles."""
    code = f"""
import sys
from gpt2.cpu import compiler
make = compiler._make
def slowly(what, target):
    print("makes", flush=True)
    sys.stdin.readline()
    return make(what, target)
compiler._make = slowly
print("begins", flush=True)
compiler._loaded({LOOPS!r}, compiler.host())
print("has it", flush=True)
"""
    begin = partial(
        subprocess.Popen,
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with begin() as first:
        assert first.stdout and first.stdout.readline() == "begins\n"
        assert first.stdout.readline() == "makes\n"
        with begin() as other:
            assert other.stdout and other.stdout.readline() == "begins\n"
            said, _ = first.communicate("go on\n", timeout=250)
            assert said == "has it\n"
            said, _ = other.communicate("go on\n", timeout=250)
            assert said == "has it\n"


@own
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_code_is_made_again(damage: str, made: list[tuple[str, ...]]) -> None:
    compiler._loaded(LOOPS, host())
    file = cache_folder() / compiler._file_name(LOOPS, host())
    content = file.read_bytes()
    flipped = content[:99] + bytes([content[99] ^ 1]) + content[100:]
    file.write_bytes({"cut": content[:-9], "flipped": flipped, "empty": b""}[damage])
    compiler._loaded(LOOPS, host())
    assert made == [LOOPS, LOOPS] and file.read_bytes() == content


def test_another_processor_or_source_has_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    here = compiler._file_name(LOOPS, host())
    assert here != compiler._file_name(LOOPS, Target("generic", ""))
    assert here != compiler._file_name(("loops", "int8", "16"), host())
    monkeypatch.setattr(compiler, "_SOURCES", ("compiler", "formats"))
    assert here != compiler._file_name(LOOPS, host())


def test_all_sources_of_the_code_name_its_file() -> None:
    """Whatever the compiled modules import from here decides what the code is."""
    folder = Path(compiler.__file__).parent
    seen, left = set(), ["forward", "tiles", "compiler"]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        text = (folder / f"{name}.py").read_text()
        left += [n.stem for n in folder.glob("*.py") if f"from gpt2.cpu.{n.stem} import" in text]
    assert seen == set(compiler._SOURCES)


@own
@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_cache_folder_is_the_user_s_alone(tmp_path: Path) -> None:
    folder = cache_folder()
    assert folder.parent == tmp_path and not folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    folder.chmod(0o777)  # others might put code there
    assert cache_folder() != folder


@own
def test_without_a_place_to_write_a_temporary_folder_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder().is_dir()
    assert tmp_path not in cache_folder().parents


@own
def test_without_numba_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('no numba here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unavailable, match="no numba here"):
        compiler._loaded(("forward",), host())


@own
def test_a_compiler_that_dies_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="could not be run"):
        compiler._loaded(LOOPS, host())


def test_what_is_compiled_calls_nothing_of_python() -> None:
    """An object file with a call of Python's could not be loaded without it."""
    compiler.compiled("float32", 16)
    code = (cache_folder() / compiler._file_name(("forward",), host())).read_bytes()
    assert b"Py" not in code and b"numba" not in code and b"NRT" not in code


def test_loading_needs_no_numba() -> None:
    code = (
        "import sys; from gpt2.cpu import CompiledExecutor; from gpt2.cpu.compiler import compiled;"
        "compiled('float32', 16); compiled('float32', 16); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
