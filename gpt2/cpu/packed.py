"""The packed file: a checkpoint's weights as the pass reads them, made once and mapped afterwards.

It lies beside the weights it was made from, or in the cache folder where nothing may be written
there, and is a safetensors file like any other. Its header says what it was made from: the sha256
of the source (which the hub's cache has in the file's name) and the config. A file that is stale,
cut off, or made from another source or shape is made again; it appears whole or not at all.

It is mapped where nobody can cut it short or write over it meanwhile (`gpt2.cpu.mapped`), which is
quicker than reading and takes no memory of its own; elsewhere it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpt2.checkpoint import CheckpointError, open_weights, read_stored, weights_files, weights_stamp
from gpt2.config import GPT2Config
from gpt2.cpu.compiler import cache_folder
from gpt2.cpu.formats import FORMATS, GROUP, OUTPUTS, Bytes, Floats, Format, pack, unpack, up
from gpt2.cpu.mapped import mapped
from gpt2.model.gpt2 import sinusoidal_table
from gpt2.runtime.files import remove_leftovers, written_whole
from gpt2.runtime.threads import thread_count

VERSION = 1  # another number makes every kept file stale
_ALIGNED = 64
_PIECE = 2**24  # bytes of a file that a thread reads at a time
_ROWS = 128  # outputs packed at a time: what a processor's second cache holds
# Outlier inputs are kept where that takes away so much of a matrix' error.
_WORTH = 0.4

MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
VECTORS = (
    "ln_1.weight",
    "ln_1.bias",
    "attn.c_attn.bias",
    "attn.c_proj.bias",
    "ln_2.weight",
    "ln_2.bias",
    "mlp.c_fc.bias",
    "mlp.c_proj.bias",
)

# Reads the float32 weights whose names begin with a prefix, without the prefix.
State = Callable[[str], dict[str, Floats]]


@dataclass(frozen=True, slots=True)
class Packed:
    """The weights of one model in one precision, usually mapped from a file.

    `blocks` are all matrices one after the other, layer by layer, the head last. `matrices` (4 L +
    1, 4) says of each where it begins, its groups of 32 inputs, its blocks of 16 outputs, and how
    many groups more hold the 32 inputs of `columns` (4 L + 1, 32) once more. `vectors` are norms
    and biases, beginning at `offsets` (8 L + 3).
    """

    config: GPT2Config
    kind: Format
    blocks: Bytes
    matrices: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    vectors: Floats
    offsets: npt.NDArray[np.int64]
    embedding: npt.NDArray[Any]  # (V, C) float16 or float32
    positions: Floats  # (context, C)

    @property
    def weight_bytes(self) -> int:
        """Bytes that a pass reads; of the embedding only the rows of its tokens."""
        return self.blocks.nbytes + self.vectors.nbytes + self.positions.nbytes

    def matrix(self, number: int) -> Floats:
        """What the blocks of a matrix stand for: (outputs, inputs)."""
        offset, groups, blocks, outliers = (int(n) for n in self.matrices[number])
        size = blocks * (groups + outliers) * self.kind.block_bytes
        wide = (groups + outliers) * GROUP
        packed = self.blocks[offset : offset + size]
        whole = unpack(packed, self.kind, blocks * OUTPUTS, wide)
        weights, extra = whole[:, : groups * GROUP].copy(), whole[:, groups * GROUP :]
        for n in range(outliers):
            for i, column in enumerate(self.columns[number]):
                weights[:, column] += extra[:, n * GROUP + i]
        return weights

    def vector(self, number: int, size: int) -> Floats:
        start = int(self.offsets[number])
        return self.vectors[start : start + size]


# ---- packing


def pack_matrix(weights: Floats, kind: Format, importance: Floats) -> tuple[Bytes, int, list[int]]:
    """Blocks of a matrix (outputs, inputs), groups of outliers, and the inputs that stand in them.

    `importance` (inputs,) is how large each input is expected to be. GPT-2 has a few that are a
    hundred times larger than the others, and weights that are: a group with such a weight has no
    steps left for its neighbours. Where 32 inputs cause most of the error, they are stored once
    more as outliers, and
    what eight (four) bits leave of them is stored once more in a second group.
    """
    if not kind.quantised:
        return _packed_rows(weights, kind), 0, []
    outputs, inputs = weights.shape
    sample = np.ascontiguousarray(weights[:: max(1, outputs // 512)])
    columns = _outlier_columns(sample, kind, importance)
    if not columns:
        return _packed_rows(weights, kind), 0, []
    wide = up(inputs, GROUP)
    extended = np.zeros((outputs, wide + 2 * GROUP), np.float32)
    extended[:, :inputs] = weights
    extended[:, columns] = 0
    first = np.ascontiguousarray(weights[:, columns])
    extended[:, wide : wide + len(columns)] = first
    extended[:, wide + GROUP : wide + GROUP + len(columns)] = first - _rounded(first, kind)
    return _packed_rows(extended, kind), 2, columns


def _outlier_columns(sample: Floats, kind: Format, importance: Floats) -> list[int]:
    """The inputs that are better stored as outliers, by the error measured on some outputs; or
    none.

    Tried are those that do most themselves, being rounded badly, and those that are largest, whose
    neighbours are.
    """
    errors = _errors(sample, kind, importance)
    plain = float(errors.sum())
    best: list[int] = []
    # What 32 inputs like all others would take away does not count.
    least = (1 - _WORTH - GROUP / sample.shape[1]) * plain
    for size in (errors, importance * np.abs(sample).max(0)):
        columns = sorted(int(c) for c in np.argsort(-size, kind="stable")[:GROUP])
        reduced = sample.copy()
        reduced[:, columns] = 0
        left = float(_errors(reduced, kind, importance).sum())
        if left < least:
            best, least = columns, left
    return best


def _errors(weights: Floats, kind: Format, importance: Floats) -> npt.NDArray[np.float64]:
    """What each input adds to the squared error of all outputs, if inputs are independent."""
    error = (weights - _rounded(weights, kind)) * importance
    result: npt.NDArray[np.float64] = (error.astype(np.float64) ** 2).sum(0)
    return result


def _packed_rows(weights: Floats, kind: Format) -> Bytes:
    starts = range(0, len(weights), _ROWS)
    with ThreadPoolExecutor(thread_count()) as threads:  # NumPy lets others run meanwhile
        parts = list(threads.map(lambda i: pack(weights[i : i + _ROWS], kind), starts))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _rounded(weights: Floats, kind: Format) -> Floats:
    """The weights (outputs, inputs) that the blocks stand for."""
    return unpack(pack(weights, kind), kind, *weights.shape)


class _Expected:
    """How large the inputs of a layer's matrices are expected to be, told from weights alone.

    The stream is taken for what the embeddings put there, inputs for independent.
    """

    def __init__(self, table: Floats, places: Floats) -> None:
        common = table.mean(0) + places.mean(0)
        stream = np.sqrt(table.var(0) + places.var(0) + common**2)
        self._stream = stream / max(float(np.sqrt((stream**2).mean())), 1e-30)  # (C,)

    def normed(self, weight: Floats, bias: Floats) -> Floats:
        """After a layer norm."""
        return _size(weight * self._stream, bias)

    def inputs(self, block: dict[str, Floats]) -> dict[str, Floats]:
        """Of all matrices of a block."""
        attention = self.normed(block["ln_1.weight"], block["ln_1.bias"])
        expand = self.normed(block["ln_2.weight"], block["ln_2.bias"])
        width = len(attention)
        values = _spread(block["attn.c_attn.weight"][2 * width :], attention)
        before = _spread(block["mlp.c_fc.weight"], expand)
        bias = block["mlp.c_fc.bias"]
        # The mean square of GELU over a normal distribution, by Gauss-Hermite quadrature.
        points, shares = np.polynomial.hermite_e.hermegauss(9)
        inner = bias + before * points[:, None].astype(np.float32)
        curve = inner / (1 + np.exp(-1.702 * inner.clip(-40, 40)))
        hidden = np.sqrt((shares[:, None] * curve**2).sum(0) / shares.sum())
        return {
            "attn.c_attn": attention,
            "attn.c_proj": _size(values, block["attn.c_attn.bias"][2 * width :]),
            "mlp.c_fc": expand,
            "mlp.c_proj": hidden.astype(np.float32),
        }


def _size(spread: Floats, mean: Floats) -> Floats:
    size: Floats = np.sqrt(spread**2 + mean**2)
    return size


def _spread(weights: Floats, inputs: Floats) -> Floats:
    """Of outputs, for independent inputs of these sizes."""
    spread: Floats = np.sqrt((weights**2) @ (inputs**2))
    return spread


def pieces(
    config: GPT2Config, kind: Format, state: State
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Everything in a packed file, name by name, one matrix in memory at a time."""
    table, places = _embeddings(config, state)
    expected = _Expected(table, places)
    # What all tokens have in common would cost float16 the digits in which they differ: it goes to
    # the positions instead, and of the head, where softmax does not see it, to a row of its own.
    rounds = kind.name != "float32"
    mean = table.mean(0) if rounds else np.zeros(table.shape[1], np.float32)
    table, places = table - mean, places + mean
    halves = rounds and float(np.abs(table).max(initial=0)) < 65504
    yield "embedding", table.astype(np.float16 if halves else np.float32)
    yield "positions", places
    del table
    records, columns, vectors, offsets = [], [], [], []
    start = filled = 0

    def add_vector(vector: Floats) -> None:
        nonlocal filled
        padded = np.zeros(up(len(vector), 64), np.float32)
        padded[: len(vector)] = vector
        offsets.append(filled)
        vectors.append(padded)
        filled += len(padded)

    def add_matrix(weights: Floats, importance: Floats) -> Bytes:
        nonlocal start
        packed, outliers, chosen = pack_matrix(weights, kind, importance)
        outputs, inputs = weights.shape
        records.append(
            (start, up(inputs, GROUP) // GROUP, up(outputs, OUTPUTS) // OUTPUTS, outliers)
        )
        columns.append(chosen + [0] * (GROUP - len(chosen)))
        start += packed.nbytes
        return packed

    for layer in range(config.num_blocks):
        block = state(f"h.{layer}.")
        importance = expected.inputs(block)
        for name in MATRICES:
            packed = add_matrix(block[f"{name}.weight"], importance[name])
            yield f"blocks.{layer}.{name}", packed
        for name in VECTORS:
            add_vector(block[name])
    final = state("ln_f.")
    head = state("wte.")["weight"] - mean
    yield "blocks.head", add_matrix(head, expected.normed(final["weight"], final["bias"]))
    for vector in (final["weight"], final["bias"], mean):
        add_vector(vector)
    yield "matrices", np.array(records, np.int64)
    yield "columns", np.array(columns, np.int32)
    yield "vectors", np.concatenate(vectors)
    yield "offsets", np.array(offsets, np.int64)


def _embeddings(config: GPT2Config, state: State) -> tuple[Floats, Floats]:
    table = state("wte.")["weight"]
    if config.positions == "learned":
        return table, state("wpe.")["weight"]
    places = sinusoidal_table(config.max_seq_len, config.embedding_dimension).numpy()
    return table, places


def in_memory(config: GPT2Config, precision: str, state: State) -> Packed:
    """Packed weights of a model that has no file."""
    kind = FORMATS[precision]
    found = dict(pieces(config, kind, state))
    blocks = np.concatenate([array for name, array in found.items() if name.startswith("blocks.")])
    return _assembled(config, kind, aligned(blocks), found)


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that begins at a multiple of 64, as cache lines do."""
    room = np.empty(array.nbytes + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _assembled(
    config: GPT2Config, kind: Format, blocks: Bytes, found: dict[str, npt.NDArray[Any]]
) -> Packed:
    names = ("matrices", "columns", "vectors", "offsets", "embedding", "positions")
    return Packed(config, kind, blocks, *(np.ascontiguousarray(found[name]) for name in names))


# ---- the file


def open_packed(folder: Path, precision: str) -> Packed:
    """The packed weights of the checkpoint in `folder`, made first where they are not there yet.

    Raises CheckpointError for a checkpoint that is no good.
    """
    stored = read_stored(folder)
    config = stored.config
    kind = FORMATS[precision]
    name = f"model.{precision}.packed.safetensors"
    try:
        stamp = weights_stamp(folder)
        digest = source_digest(weights_files(folder))
    except OSError as error:  # a disk that fails, or a folder that is moved at this moment
        raise CheckpointError(f"The weights cannot be read: {error.strerror}.") from error
    wanted = {
        "version": str(VERSION),
        "precision": precision,
        "source": digest,
        "config": json.dumps(asdict(stored), sort_keys=True),
    }
    beside, elsewhere = folder / name, cache_folder() / f"{digest[:32]}.{name}"
    for path in (beside, elsewhere):
        remove_leftovers(path)
        packed = _read(path, wanted, config, kind)
        if packed is not None:
            return packed
    with open_weights(folder) as weights:

        def state(prefix: str) -> dict[str, Floats]:
            return {n: t.numpy() for n, t in weights.state(prefix).items()}

        def parts() -> Iterator[tuple[str, npt.NDArray[Any]]]:
            yield from pieces(config, kind, state)
            if weights_stamp(folder) != stamp:  # then `digest` is that of another file
                raise CheckpointError(
                    "The weights were written anew while they were read. Try again."
                )

        for path in (beside, elsewhere):
            with suppress(OSError):
                _write(path, wanted, parts())
                packed = _read(path, wanted, config, kind)
                if packed is not None:
                    return packed
        return in_memory(config, precision, state)


def source_digest(files: Sequence[Path]) -> str:
    """sha256 of the content of one file, in hexadecimal; of several, of their digests in a row."""
    digests = [_digest(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    """sha256 of a file's content.

    The hub's cache names a file by it. Of other files it is computed once and kept, and believed as
    long as the file is the same one (device, inode), as long, and untouched since: its change time
    is set by the system, so a copy that keeps its modification time is still noticed.
    """
    real = path.resolve()
    if real.parent.name == "blobs" and len(real.name) == 64:
        return real.name
    facts = real.stat()
    same = f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
    key = hashlib.sha256(str(real).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    note = cache_folder() / f"{key}.sha256"
    with suppress(OSError, ValueError):
        seen, digest = note.read_text("ascii").split("\n")
        if seen == same and len(digest) == 64:
            return digest
    content = hashlib.sha256()
    with real.open("rb") as file:
        while piece := file.read(2**20):
            content.update(piece)
    digest = content.hexdigest()
    with suppress(OSError), written_whole(note) as file:
        file.write(f"{same}\n{digest}".encode())
    return digest


def _write(
    path: Path, metadata: dict[str, str], arrays: Iterator[tuple[str, npt.NDArray[Any]]]
) -> None:
    """A safetensors file, array by array: data first, to a file that nobody sees yet.

    The header stands in front and names all arrays, so room is left for it and it is written last.
    """
    with written_whole(path, 0o644) as file:
        header: dict[str, Any] = {"__metadata__": metadata}
        room = 2**16 + 2**10 * len(metadata["config"])
        file.seek(room)
        at = 0
        for name, array in arrays:
            gap = -at % _ALIGNED  # the format knows no gaps: padding belongs to an array
            if gap:
                header[f"gap.{at}"] = _entry("U8", (gap,), at, at + gap)
                file.write(bytes(gap))
                at += gap
            kind = _KINDS[array.dtype.str[1:]]
            header[name] = _entry(kind, array.shape, at, at + array.nbytes)
            file.write(np.ascontiguousarray(array).data)
            at += array.nbytes
        text = json.dumps(header).encode()
        text += b" " * (room - 8 - len(text))
        file.seek(0)
        file.write(len(text).to_bytes(8, "little") + text)


_KINDS = {"u1": "U8", "f2": "F16", "f4": "F32", "i4": "I32", "i8": "I64"}
_DTYPES = {"U8": np.uint8, "F16": np.float16, "F32": np.float32, "I32": np.int32, "I64": np.int64}


def _entry(kind: str, shape: tuple[int, ...], start: int, end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


def _read(path: Path, wanted: dict[str, str], config: GPT2Config, kind: Format) -> Packed | None:
    """What is in the file; None where it is not there, not whole, or made of something else."""
    try:
        if not path.is_file():  # nor a pipe, of which nobody may write the other end
            return None
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= min(before.st_size - 8, 2**24):
                return None
            header = json.loads(file.read(size))
            if header.pop("__metadata__", None) != wanted:
                return None
            data = max(entry["data_offsets"][1] for entry in header.values())
            if before.st_size != 8 + size + data:
                return None
            whole = mapped(file)
            whole = _read_whole(file, 8 + size, data) if whole is None else whole[8 + size :]
            after = os.fstat(file.fileno())
        # Who wrote over it meanwhile has left half of one and half of another.
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return None
        packed = _unpacked_header(whole, header, config, kind)
        _check(packed)
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    return packed


def _read_whole(file: FileIO, start: int, size: int) -> Bytes:
    """`size` bytes of a file from `start` on. Raises ValueError where it ends before."""
    memory = np.empty(size, np.uint8)

    def read(first: int) -> None:
        end = min(first + _PIECE, size)
        while first < end:
            count = os.preadv(file.fileno(), [memory[first:end].data], start + first)
            if not count:
                raise ValueError("the file ends before its data")
            first += count

    with ThreadPoolExecutor(thread_count()) as threads:
        for _ in threads.map(read, range(0, size, _PIECE)):
            pass
    memory.flags.writeable = False
    return memory


def _unpacked_header(
    whole: Bytes, header: dict[str, Any], config: GPT2Config, kind: Format
) -> Packed:
    found = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        found[name] = whole[first:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    begins = [header[n]["data_offsets"][0] for n in header if n.startswith("blocks.")]
    found["matrices"] = found["matrices"].copy()
    found["matrices"][:, 0] = [begin - min(begins) for begin in begins]
    blocks = whole[min(begins) : header["blocks.head"]["data_offsets"][1]]
    return _assembled(config, kind, blocks, found)


def _check(packed: Packed) -> None:
    """Raises ValueError unless compiled code, which looks at nothing, stays inside the arrays."""
    config, kind = packed.config, packed.kind
    width, layers = config.embedding_dimension, config.num_blocks
    inner = config.hidden_dimension_factor * width
    shapes = [(3 * width, width), (width, width), (inner, width), (width, inner)] * layers
    shapes.append((config.vocab_size, width))
    ends = [0]
    for (outputs, inputs), (begin, groups, blocks, outliers) in zip(
        shapes, packed.matrices.tolist(), strict=True
    ):
        if (groups, blocks) != (up(inputs, GROUP) // GROUP, up(outputs, OUTPUTS) // OUTPUTS):
            raise ValueError("a matrix of another shape")
        if outliers not in (0, 2) or not ends[-1] <= begin < ends[-1] + _ALIGNED:
            raise ValueError("a matrix that lies elsewhere")
        ends.append(begin + blocks * (groups + outliers) * kind.block_bytes)
    sizes = [width, width, 3 * width, width, width, width, inner, width] * layers
    sizes += [width, width, width]
    vectors = zip(packed.offsets.tolist(), sizes, strict=True)
    inside = all(at >= 0 and at + up(size, 64) <= packed.vectors.size for at, size in vectors)
    if not inside or ends[-1] > packed.blocks.nbytes:
        raise ValueError("something that lies outside")
    columns, inputs_of = packed.columns, [inputs for _, inputs in shapes]
    if columns.shape != (len(shapes), GROUP) or (columns < 0).any():
        raise ValueError("no such columns")
    if (columns.max(1) >= inputs_of).any():
        raise ValueError("no such columns")
    if packed.embedding.shape != (config.vocab_size, width):
        raise ValueError("an embedding of another shape")
    if packed.positions.shape != (config.max_seq_len, width):
        raise ValueError("positions of another shape")
