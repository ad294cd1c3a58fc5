"""From the source of the pass to machine code, and back from a file the next time.

Numba turns `gpt2.cpu.forward` into LLVM's language, `gpt2.cpu.tiles` writes the inner loops in it,
and LLVM makes an object file of each: one of the pass, which serves all models, and one of the
loops of a precision. Nothing in them needs Python or Numba, so the next start loads them in
milliseconds. A file is named by all that decides what it holds (the sources, the versions, the
processor) and ends with its own sha256: a stale or damaged one is made again.

Compiling happens in a process of its own, at a low priority: a server goes on answering meanwhile,
and never holds Numba in memory.
"""

from __future__ import annotations

import gc
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from llvmlite import ir

from gpt2.cpu.formats import FORMATS, up
from gpt2.cpu.layout import (
    LOOP_EXPONENTIALS,
    LOOP_HALVES,
    LOOP_MIX,
    LOOP_PRODUCT,
    LOOP_SCORES,
    LOOPS,
)
from gpt2.cpu.tiles import (
    Target,
    build_exponentials,
    build_halves,
    build_mix,
    build_product,
    build_scores,
)
from gpt2.runtime import settings
from gpt2.runtime.files import remove_leftovers, written_whole

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

_ENTRY = "gpt2_forward"
_DIGEST = hashlib.sha256().digest_size
_PATIENCE = 300.0  # seconds for a compilation, on a machine that is very busy
_SOURCES = ("compiler", "formats", "forward", "layout", "pointers", "tiles")
# One compilation at a time: LLVM's and Numba's tables are shared by the process.
_lock = threading.RLock()


class Unavailable(Exception):
    """There is no compiled pass here; the message says why, in a sentence for people."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Addresses of machine code, which is loaded for good."""

    forward: int
    loops: npt.NDArray[np.int64]  # by place: see LOOP_PRODUCT and the others in `gpt2.cpu.forward`
    target: Target


@cache
def host() -> Target:
    """This processor. GPT2_CPU_FEATURES=portable leaves out all that not every one has."""
    _initialise()
    if settings.CPU_FEATURES.get() == "portable":
        return Target("", "")
    return Target(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def compiled(precision: str, head_width: int, target: Target | None = None) -> Compiled:
    """The pass for models in `precision` with heads of `head_width` channels.

    From the cache folder where it is there and whole; else it is made, which takes seconds, and
    kept. Raises Unavailable.
    """
    with _lock:
        return _compiled(precision, up(head_width, 16), target or host())


@cache
def _compiled(precision: str, head_width: int, target: Target) -> Compiled:
    forward = _loaded(("forward",), target)
    loops = _loaded(("loops", precision, str(head_width)), target)
    table = np.zeros(LOOPS, np.int64)
    for place, name in loop_names(target).items():
        table[place] = loops.get_function_address(name)
    return Compiled(forward.get_function_address(_ENTRY), table, target)


def loop_names(target: Target) -> dict[int, str]:
    """Every loop by its place in the table."""
    names = {LOOP_EXPONENTIALS: "exponentials", LOOP_HALVES: "halves"}
    names |= {LOOP_PRODUCT + n: f"product_{n}" for n in range(1, target.most_rows + 1)}
    for n in range(1, target.most_queries + 1):
        names |= {LOOP_SCORES + n: f"scores_{n}", LOOP_MIX + n: f"mix_{n}"}
    return names


# ---- making


@cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _machine(target: Target) -> Any:
    _initialise()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="jitdefault"
    )


def object_code(what: tuple[str, ...], target: Target) -> bytes:
    """The object file of the pass, ("forward",), or of the loops of ("loops", precision, width)."""
    machine = _machine(target)
    text = _forward_text() if what[0] == "forward" else loops_text(what[1], int(what[2]), target)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    if what[0] == "forward":
        _hide_all_but_entry(module)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = what[0] == "forward"  # the loops are made of vectors already
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def loops_text(precision: str, head_width: int, target: Target) -> str:
    """All inner loops of a precision, in LLVM's language."""
    module = ir.Module("loops")
    kind = FORMATS[precision]
    build_exponentials(module, "exponentials", target)
    build_halves(module, "halves", target)
    for rows in range(1, target.most_rows + 1):
        build_product(module, f"product_{rows}", kind, rows, target)
    for queries in range(1, target.most_queries + 1):
        build_scores(module, f"scores_{queries}", head_width, queries, kind.cache_bytes, target)
        build_mix(module, f"mix_{queries}", head_width, queries, kind.cache_bytes, target)
    return str(module)


def _forward_text() -> str:
    """The pass as Numba writes it, not optimised: that is done once, for all its functions."""
    # Read when Numba is imported, which only this process does.
    settings.tell_library("NUMBA_OPT", "0")
    from numba import cfunc

    from gpt2.cpu.forward import SIGNATURE, forward

    entry = cfunc(SIGNATURE, error_model="numpy")(forward.py_func)
    return str(entry.inspect_llvm()).replace(entry.native_name, _ENTRY)


def _hide_all_but_entry(module: Any) -> None:
    """Let LLVM drop what only Python would call, the handling of its errors included."""
    for function in module.functions:
        if not function.is_declaration and function.name != _ENTRY:
            function.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"


def _make(what: tuple[str, ...], target: Target) -> bytes:
    """`object_code`, by another process. Raises Unavailable."""
    command = [sys.executable, "-m", "gpt2.cpu.compiler", target.cpu, target.features, *what]
    paths = os.pathsep.join(filter(None, sys.path))
    environment = settings.child_environment(PYTHONPATH=paths)
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"The compiler could not be run ({type(error).__name__}).") from error
    if done.returncode or not done.stdout:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise Unavailable(f"Compiling failed: {last[-1][:200]}")
    return done.stdout


# ---- keeping and loading


def _loaded(what: tuple[str, ...], target: Target) -> Any:
    """An execution engine with the code in it."""
    file = cache_folder() / _file_name(what, target)
    code = _read(file) or _made(what, target, file)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(target))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


def _made(what: tuple[str, ...], target: Target, file: Path) -> bytes:
    """One process at a time makes it: those that start meanwhile wait and read what it has kept."""
    with ExitStack() as held:
        if fcntl is not None:
            with suppress(OSError):  # no place to write, or one without locks: each makes its own
                lock = held.enter_context(open(file.with_name(f"{'-'.join(what)}.lock"), "wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        code = _read(file)
        if code is None:
            code = _make(what, target)
            _write(file, code)
        return code


# Code goes with its engine; somebody may be running it.
_engines: list[Any] = []


def _file_name(what: tuple[str, ...], target: Target) -> str:
    """Names everything that decides what the code is."""
    sources = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in _SOURCES]
    parts = [llvmlite.__version__, llvm.get_process_triple(), target.cpu, target.features, *what]
    digest = hashlib.sha256("\0".join(parts).encode())
    for source in sources:
        digest.update(hashlib.sha256(source).digest())
    return f"{'-'.join(what)}-{digest.hexdigest()[:32]}.o"


def cache_folder() -> Path:
    """For code of this user alone. Who can write there can run code as this user, so nobody may."""
    return _cache_folder(settings.XDG_CACHE_HOME.get())


@cache
def _temporary_folder() -> Path:
    """Where no folder is this user's alone: one for as long as the process runs."""
    return Path(tempfile.mkdtemp(prefix="gpt2-from-scratch-"))


def _cache_folder(chosen: str) -> Path:
    user = getattr(os, "getuid", lambda: "user")()
    folders = [Path(tempfile.gettempdir()) / f"gpt2-from-scratch-{user}"]
    with suppress(RuntimeError):  # a user without a home
        folders.insert(0, Path(chosen or Path.home() / ".cache") / "gpt2-from-scratch")
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = folder.lstat()
            ours = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
            private = not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if stat.S_ISDIR(facts.st_mode) and ours and private and os.access(folder, os.W_OK):
                return folder
    return _temporary_folder()


def _read(file: Path) -> bytes | None:
    """The code in `file`; None where it is not there or not whole."""
    with suppress(OSError):
        content = file.read_bytes()
        code, digest = content[:-_DIGEST], content[-_DIGEST:]
        if code and hashlib.sha256(code).digest() == digest:
            return code
    return None


def _write(file: Path, code: bytes) -> None:
    """Whole or not at all; where it cannot be kept it is made again next time."""
    remove_leftovers(file)
    with suppress(OSError), written_whole(file) as out:
        out.write(code + hashlib.sha256(code).digest())


def main(arguments: list[str]) -> None:
    """CPU FEATURES WHAT...: the object file to standard output."""
    with suppress(AttributeError, OSError):
        os.nice(10)
    gc.disable()  # nothing is let go before the end, and looking for it takes a tenth of the time
    cpu, features, *what = arguments
    code = object_code(tuple(what), Target(cpu, features))
    sys.stdout.buffer.write(code)


if __name__ == "__main__":
    main(sys.argv[1:])
