"""The compiled pass as an executor: buffers, threads, and the table that the pass reads."""

from __future__ import annotations

import ctypes
import os
import queue
import sys
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gpt2.config import GPT2Config
from gpt2.cpu import layout as at
from gpt2.cpu.compiler import Compiled
from gpt2.cpu.formats import GROUP, OUTPUTS, TILE_KEYS, Floats, up
from gpt2.cpu.packed import Packed
from gpt2.inference.executor import NOTHING, Pass, Watch
from gpt2.inference.layer_stack import LayerStack

Ints = npt.NDArray[np.int64]
_FEW = 8  # rows whose logits have room of their own for good


class Helpers:
    """Threads that take part in passes, whoever's. One that comes late finds nothing to do."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[CompiledExecutor, int, int]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._process = os.getpid()

    def call(self, executor: CompiledExecutor, generation: int, count: int) -> None:
        """Have `count` threads join the executor's pass."""
        if self._count < count:
            self._start(count)
        for thread in range(1, count + 1):
            self._jobs.put((executor, generation, thread))

    def _start(self, count: int) -> None:
        with self._lock:
            while self._count < count:
                name = f"gpt2-pass-{self._count + 1}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
                self._count += 1

    def _work(self) -> None:
        while True:
            executor, generation, thread = self._jobs.get()
            executor.join_pass(thread, generation)
            del executor


_helpers = Helpers()


def _forked() -> None:
    """A forked process has none of its parent's threads."""
    global _helpers
    _helpers = Helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class CompiledExecutor:
    """A packed model with room for `slots` texts of `capacity` tokens. One caller at a time."""

    def __init__(
        self,
        packed: Packed,
        compiled: Compiled,
        threads: int,
        slots: int,
        capacity: int | None = None,
    ) -> None:
        self.packed = packed
        self.config: GPT2Config = packed.config
        self.precision: str = packed.kind.name
        self.slots = slots
        self.threads = max(1, threads)
        self._compiled = compiled
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._forward = kind(compiled.forward)
        self._generation = 0
        self._held: dict[str, npt.NDArray[Any]] = {}
        self._plan = np.zeros(at.PLAN_SIZE, np.int64)
        self._rows = 0
        self._capacity = up(capacity or self.config.max_seq_len, TILE_KEYS)
        self._describe_model()
        self._describe_room()
        self.forget()
        self._make_room(1)
        self._plan_address = self._plan.ctypes.data

    # ---- what the pass reads

    def _hold(self, place: int, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Tell the pass where an array is, and keep it there."""
        self._held[str(place)] = array
        self._plan[place] = array.ctypes.data
        return array

    def _describe_model(self) -> None:
        config, packed, plan = self.config, self.packed, self._plan
        width, layers = config.embedding_dimension, config.num_blocks
        plan[at.LAYERS], plan[at.HEADS], plan[at.WIDTH] = layers, config.num_heads, width
        plan[at.PADDED_WIDTH] = up(width, GROUP)
        plan[at.QKV_WIDTH] = up(3 * width, OUTPUTS)
        plan[at.HEAD_WIDTH] = config.hidden_dimension
        plan[at.PADDED_HEAD_WIDTH] = up(config.hidden_dimension, 16)
        plan[at.INNER] = up(config.hidden_dimension_factor * width, GROUP)
        plan[at.VOCABULARY] = config.vocab_size
        plan[at.QUANTISED] = packed.kind.quantised
        plan[at.CENTRED] = packed.kind.name != "float32"
        plan[at.BLOCK_BYTES] = packed.kind.block_bytes
        plan[at.WEIGHTS] = packed.blocks.ctypes.data
        matrices = packed.matrices.copy()
        matrices[:, 0] += packed.blocks.ctypes.data
        self._hold(at.MATRICES, matrices)
        self._hold(at.COLUMNS, np.ascontiguousarray(packed.columns, np.int32))
        self._hold(at.VECTORS, packed.vectors.ctypes.data + 4 * packed.offsets)
        plan[at.EMBEDDING] = packed.embedding.ctypes.data
        plan[at.EMBEDDING_HALVES] = packed.embedding.dtype == np.float16
        plan[at.POSITIONS] = packed.positions.ctypes.data
        scale = np.float32(1 / np.sqrt(config.hidden_dimension))
        self._hold(at.SCALE, np.array([scale]))
        self._hold(at.EPSILON, np.array([config.layer_norm_epsilon], np.float32))
        self._hold(at.NO_BIAS, np.zeros(up(config.vocab_size, OUTPUTS), np.float32))

    def _describe_room(self) -> None:
        """What does not depend on how many rows there are."""
        config, plan = self.config, self._plan
        plan[at.CAPACITY], plan[at.SLOTS] = self._capacity, self.slots
        plan[at.CACHE_BYTES] = self.packed.kind.cache_bytes
        scores = 4 * max(self._capacity, 2 * int(plan[at.PADDED_HEAD_WIDTH]))
        plan[at.SCORES_STRIDE] = at.SCORE_ROWS * scores
        self._hold(at.SCORES, _zeros(self.threads * at.SCORE_ROWS * scores // 4))
        # Each stage of a pass has two counters with a cache line each; 64 stages at the ends.
        stages = config.num_blocks * 16 + 64
        self._counters = _aligned_zeros((2 + 2 * stages) * at.LINE)
        plan[at.COUNTERS] = self._counters.ctypes.data
        self._hold(at.TILES, self._compiled.loops)
        plan[at.MOST_ROWS] = self._compiled.target.most_rows
        plan[at.MOST_QUERIES] = self._compiled.target.most_queries
        plan[at.YIELD_THREAD] = _yield_address()

    def _make_room(self, rows: int) -> None:
        """For passes over `rows` rows. A single row is worked out by each thread for itself."""
        if rows <= self._rows:
            return
        self._rows = 0  # where memory runs out in between, the next pass makes all of it anew
        plan = self._plan
        padded, inner = int(plan[at.PADDED_WIDTH]), int(plan[at.INNER])
        self._hold(at.STREAM, _zeros(rows * padded))
        self._hold(at.QKV, _zeros(max(rows, self.threads) * int(plan[at.QKV_WIDTH])))
        self._hold(at.MIXED, _zeros(rows * padded))
        self._hold(at.HIDDEN, _zeros(rows * inner))
        most = max(padded, inner) + 2 * GROUP
        for place, stride, size, dtype in (
            (at.NORMED, at.NORMED_STRIDE, padded, np.float32),
            (at.WHOLE, at.WHOLE_STRIDE, most, np.int16),
            (at.ROW_SCALES, at.ROW_SCALES_STRIDE, 16, np.float32),
            (at.SUMS, at.SUMS_STRIDE, most // GROUP + 16, np.int32),
        ):
            # The first stretch serves all rows together, the others one row each.
            stretch = up(size * rows, 64) if rows > 1 else up(size, 64)
            own = up(size, 64)
            plan[stride] = (own if rows == 1 else stretch) * np.dtype(dtype).itemsize
            self._hold(place, np.zeros(stretch * self.threads, dtype))
        self._hold(at.SHIFTS, _zeros(rows + self.threads))
        self._hold(at.IDS, np.zeros(rows, np.int64))
        self._hold(at.ROW_POSITIONS, np.zeros(rows, np.int64))
        self._hold(at.SLOT_OF, np.zeros(rows, np.int64))
        self._hold(at.STAND_INS, np.zeros(rows, np.int64))
        self._hold(at.WANTED_ROWS, np.zeros(rows, np.int64))
        self._rows = rows

    def forget(self) -> None:
        """No slot holds a text any more: the memory of keys and values is given back."""
        config, plan = self.config, self._plan
        heads = config.num_blocks * config.num_heads * self._capacity
        size = self.slots * heads * int(plan[at.PADDED_HEAD_WIDTH])
        # Zeros that the system hands out page by page, as texts grow into them.
        dtype = np.float32 if self.packed.kind.cache_bytes == 4 else np.uint16
        self._hold(at.KEYS, np.zeros(size, dtype))
        self._hold(at.VALUES, np.zeros(size, dtype))

    # ---- running

    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        """`gpt2.inference.executor.Executor.run`."""
        rows, count = len(ids), len(wanted)
        self._make_room(max(rows, count))
        plan, held = self._plan, self._held
        plan[at.ROWS], plan[at.WANTED] = rows, count
        held[str(at.IDS)][:rows] = ids
        held[str(at.ROW_POSITIONS)][:rows] = positions
        held[str(at.STAND_INS)][:rows] = positions
        held[str(at.SLOT_OF)][:rows] = slots
        held[str(at.WANTED_ROWS)][:count] = wanted
        logits = self._logits(count)
        seen = _Seen(self, np.asarray(positions), np.asarray(slots), watch)
        self._pass()
        seen.done()
        return Pass(
            logits[:, : self.config.vocab_size].copy() if count <= _FEW else logits,
            seen.attention,
            seen.values,
            seen.residual,
            seen.heads,
        )

    def _logits(self, count: int) -> Floats:
        stride = up(self.config.vocab_size, OUTPUTS)
        self._plan[at.LOGITS_STRIDE] = 4 * stride
        if count > _FEW:
            return self._hold(at.LOGITS, np.empty((count, stride), np.float32))[
                :, : self.config.vocab_size
            ]
        room = self._held.get("few logits")
        if room is None:
            room = self._held["few logits"] = np.zeros((_FEW, stride), np.float32)
        self._plan[at.LOGITS] = room.ctypes.data
        return room[:count]

    def _pass(self) -> None:
        self._counters[2:] = 0
        self._generation += 1
        self._counters[0] = self._generation
        if self.threads > 1:
            _helpers.call(self, self._generation, self.threads - 1)
        self._forward(self._plan_address, 0, self._generation)

    def join_pass(self, thread: int, generation: int) -> None:
        """Take part in a pass that the caller of `run` makes, if it still is being made."""
        self._forward(self._plan_address, thread, generation)

    @cached_property
    def value_grams(self) -> Floats:
        """`gpt2.inference.executor.Executor.value_grams`."""
        config = self.config
        found = []
        for layer in range(config.num_blocks):
            weight = self.packed.matrix(4 * layer + 1)  # (C, H * D)
            weight = weight[: config.embedding_dimension, : config.embedding_dimension]
            parts = weight.reshape(len(weight), config.num_heads, -1).transpose(1, 0, 2)
            found.append(parts.transpose(0, 2, 1) @ parts)
        return np.stack(found)

    def close(self) -> None:
        """Let go of the memory. A pass must not be running."""
        self._held.clear()


class _Seen:
    """What a pass leaves for those who watch, and what it changes for those who try things out."""

    def __init__(
        self, executor: CompiledExecutor, positions: Ints, slots: Ints, watch: Watch
    ) -> None:
        self.attention: dict[int, Mapping[int, Floats]] = {}
        self.values: dict[int, Mapping[int, Floats]] = {}
        self.residual: Floats | None = None
        self.heads: Floats | None = None
        self._kept: list[Any] = []
        self._plan = executor._plan
        plan, config = executor._plan, executor.config
        for place in (at.SEEN, at.RESIDUAL, at.FOUND, at.REPLACED, at.REPLACED_STREAM):
            plan[place] = 0
        if watch is NOTHING:
            return
        if watch.residual:
            shape = (len(positions), 2 * config.num_blocks + 1, config.embedding_dimension)
            self.residual = np.empty(shape, np.float32)
            plan[at.RESIDUAL] = self.residual.ctypes.data
        if watch.heads:
            found = (config.num_blocks, config.num_heads, config.hidden_dimension)
            self.heads = np.empty((len(positions), *found), np.float32)
            plan[at.FOUND] = self.heads.ctypes.data
        if any(watch.stream.values()):
            self._stream(config, positions, slots, watch)
        if any(watch.attention.values()):
            self._attention(config, positions, slots, watch)
        if any(watch.heads_off.values()):
            self._heads_off(config, positions, slots, watch)
        for slot, swapped in watch.positions.items():
            stand_ins = executor._held[str(at.STAND_INS)]
            for row in np.flatnonzero(slots == slot):
                stand_ins[row] = swapped.get(int(positions[row]), int(positions[row]))

    def _attention(self, config: GPT2Config, positions: Ints, slots: Ints, watch: Watch) -> None:
        """For each row and layer: where weights go and how far apart heads are, and for values."""
        heads, width = config.num_heads, config.hidden_dimension
        table = np.zeros((len(positions), config.num_blocks, 4), np.int64)
        for slot, wanted in watch.attention.items():
            rows = np.flatnonzero(slots == slot)
            layers = sorted(wanted)
            if not len(rows) or not layers:
                continue
            length = int(positions[rows[-1]]) + 1
            weights = np.zeros((len(layers), heads, len(rows), length), np.float32)
            values = np.empty((len(layers), heads, len(rows), width), np.float32)
            layer = np.arange(len(layers))[None, :] * heads * len(rows)
            row = np.arange(len(rows))[:, None]
            where = np.empty((len(rows), len(layers), 4), np.int64)
            where[..., 0] = weights.ctypes.data + (layer + row) * length * 4
            where[..., 1] = len(rows) * length * 4
            where[..., 2] = values.ctypes.data + (layer + row) * width * 4
            where[..., 3] = len(rows) * width * 4
            table[rows[0] : rows[-1] + 1, layers] = where
            self.attention[slot] = LayerStack(layers, weights)
            self.values[slot] = LayerStack(layers, values)
        self._kept.append(table)
        self._plan[at.SEEN] = table.ctypes.data

    def _stream(self, config: GPT2Config, positions: Ints, slots: Ints, watch: Watch) -> None:
        table = np.zeros((len(slots), config.num_blocks), np.int64)
        self._kept.append(table)
        for slot, replaced in watch.stream.items():
            for (layer, position), instead in replaced.items():
                vector = np.ascontiguousarray(instead, np.float32)
                self._kept.append(vector)
                table[(slots == slot) & (positions == position), layer] = vector.ctypes.data
        self._plan[at.REPLACED_STREAM] = table.ctypes.data

    def _heads_off(self, config: GPT2Config, positions: Ints, slots: Ints, watch: Watch) -> None:
        table = np.zeros((len(slots), config.num_blocks, config.num_heads), np.int64)
        nothing = np.zeros(config.hidden_dimension, np.float32)
        self._kept += [table, nothing]
        for slot, off in watch.heads_off.items():
            rows = slots == slot
            for (layer, head), instead in off.items():
                vector = nothing if instead is None else np.ascontiguousarray(instead, np.float32)
                self._kept.append(vector)
                step = vector.strides[0] if vector.ndim == 2 else 0  # a row for each position
                table[rows, layer, head] = vector.ctypes.data + step * positions[rows]
        self._plan[at.REPLACED] = table.ctypes.data

    def done(self) -> None:
        """The pass is over."""
        self._kept.clear()


def _zeros(count: int) -> Floats:
    return np.zeros(count + 16, np.float32)


def _aligned_zeros(count: int) -> Ints:
    room = np.zeros(count + 8, np.int64)
    start = (-room.ctypes.data % 64) // 8
    return room[start : start + count]


def _yield_address() -> int:
    """Of the system's function that lets another thread run."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0
