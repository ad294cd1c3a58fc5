"""A hub on two loopback ports, with the real one's headers and any fault on request.

The second port is the CDN that large files are redirected to. Serves folders; knows no xet.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import load_file, save_file

from gpt2.checkpoint.config_file import config_text
from gpt2.checkpoint.layout import file_shapes
from gpt2.config import GPT2Config

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]  # name -> dtype, shape, data
Fault = Literal[
    "cut", "reset", "stall", "trickle", "short", "flip", "slow", "status", "hide", "huge", "blank"
]

_ENDS = ("cut", "reset", "stall", "trickle", "short")
_LARGE = ".safetensors"
_BLOCK = 1 << 16
_TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass
class Request:
    """What a client asked for, kept in `HubStandin.requests`."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    cdn: bool


@dataclass
class _Plan:
    kind: Fault
    file: str
    method: str
    at: int
    status: int
    times: int
    fields: dict[str, str]


class HubStandin:
    """`with HubStandin({"owner/name": folder}) as hub:` and set HF_ENDPOINT to `hub.endpoint`.

    Repositories may be added later with `add`. One with a token answers only to that token.
    """

    def __init__(self, repositories: dict[str, Path] | None = None) -> None:
        self.repositories = dict(repositories or {})
        self.tokens: dict[str, str] = {}
        self.requests: list[Request] = []
        self.branches: dict[str, str] = {}  # other names of `main`, by repository
        self.forged: dict[tuple[str, str], str] = {}  # (file, header) of answers to HEAD
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()
        self._servers: list[ThreadingHTTPServer] = []
        self.connections: set[socket.socket] = set()

    def __enter__(self) -> HubStandin:
        for cdn in (False, True):
            handler = type("Handler", (_Handler,), {"hub": self, "cdn": cdn})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for connection in list(self.connections):  # those kept alive would still be answered
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def add(self, repository: str, folder: Path, token: str | None = None) -> None:
        self.repositories[repository] = folder
        for file in folder.glob(f"*{_LARGE}"):
            _sha256_of(file)  # of gigabytes it takes longer than a client waits for an answer
        if token is not None:
            self.tokens[repository] = token

    def commit(self, repository: str) -> str:
        """The 40 digits of `main`: they change with config.json."""
        config = (self.repositories[repository] / "config.json").read_bytes()
        return hashlib.sha1(repository.encode() + config).hexdigest()

    def fail(
        self,
        kind: Fault,
        file: str = "model.safetensors",
        *,
        method: str = "GET",
        at: int = 0,
        status: int = 503,
        times: int = 1,
        fields: dict[str, str] | None = None,
    ) -> None:
        """Let the next `times` answers for `file` go wrong; faults asked for first come first.

        While sending a body: cut (the line closes after `at` bytes), reset, stall (nothing more
        comes), trickle (then a byte now and then), short (whole by its own account), flip (one bit
        of byte `at` of the file), slow (`at` bytes a second). Instead of an answer: status (with
        the header `fields`), hide (no such file), blank (an answer without the hub's headers).
        huge: the hub announces 10 PB.
        """
        self._plans.append(_Plan(kind, file, method, at, status, times, fields or {}))

    def forge(self, header: str, value: str, file: str = "model.safetensors") -> None:
        """Answer the question for `file` with this value in one of the hub's headers."""
        self.forged[file, header] = value

    def heal(self) -> None:
        """Forget every fault and request."""
        with self._lock:
            self._plans.clear()
            self.forged.clear()
            self.requests.clear()

    def bodies(self, repository: str) -> list[Request]:
        """The requests for the bytes of the weights."""
        return [r for r in self.requests if r.cdn and r.method == "GET" and repository in r.path]

    def take(self, method: str, file: str) -> _Plan | None:
        with self._lock:
            for plan in self._plans:
                if (plan.method, plan.file) == (method, file) and plan.times > 0:
                    plan.times -= 1
                    return plan
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandin
    cdn: bool
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self) -> None:
        self.hub.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        fields = self.headers
        self.hub.requests.append(
            Request(self.command, path, fields["Range"], fields["Authorization"], self.cdn)
        )
        try:
            self._route(path.removeprefix("/api/resolve-cache/models").strip("/").split("/"), path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, parts: list[str], path: str) -> None:
        parts = [part for part in parts if part != "resolve"]
        if len(parts) != 4:
            return self._refuse(404, "")
        repository, revision, file = "/".join(parts[:2]), parts[2], parts[3]
        folder = self.hub.repositories.get(repository)
        token = self.hub.tokens.get(repository)
        allowed = token is None or self.cdn or self.headers["Authorization"] == f"Bearer {token}"
        if folder is None or not allowed:
            return self._refuse(401, "RepoNotFound")
        commit = self.hub.commit(repository)
        if revision not in ("main", commit, self.hub.branches.get(repository)):
            return self._refuse(404, "RevisionNotFound")
        direct = self.cdn or path.startswith("/api/resolve-cache") or file.endswith(_LARGE)
        plan = self.hub.take(self.command, file) if direct else None
        if not (folder / file).is_file() or (plan and plan.kind == "hide"):
            return self._refuse(404, "EntryNotFound", commit)
        if plan and plan.kind == "status":
            return self._refuse(plan.status, "", fields=plan.fields)
        if self.cdn:
            return self._send_body(folder / file, plan)
        self._resolve(folder / file, f"{repository}/{commit}/{file}", commit, direct, plan)

    def _resolve(
        self, file: Path, address: str, commit: str, direct: bool, plan: _Plan | None
    ) -> None:
        if plan and plan.kind == "blank":
            return self._head(200, {"Content-Length": "0"})
        forged = {header: v for (name, header), v in self.hub.forged.items() if name == file.name}
        if file.name.endswith(_LARGE):
            self._head(
                302,
                {
                    "Location": f"{self.hub.cdn}/{address}",
                    "X-Repo-Commit": commit,
                    "X-Linked-Size": str(
                        10**16 if plan and plan.kind == "huge" else file.stat().st_size
                    ),
                    "X-Linked-Etag": f'"{_sha256_of(file)}"',
                    "Content-Length": "0",
                }
                | forged,
            )
        elif not direct:
            where = f"/api/resolve-cache/models/{address}"
            fields = {"Location": where, "X-Repo-Commit": commit, "Content-Length": "0"}
            self._head(307, fields)
        else:
            data = file.read_bytes()
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            fields = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, **forged}
            self._head(200, {**fields, "Content-Length": str(len(data))})
            if self.command == "GET":
                self._write(io.BytesIO(data), plan)

    def _send_body(self, file: Path, plan: _Plan | None) -> None:
        start = int((self.headers["Range"] or "bytes=0-").split("=")[1].rstrip("-"))
        size = file.stat().st_size
        fields = {"Content-Length": str(size - start), "Accept-Ranges": "bytes"}
        if start:
            fields["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if plan and plan.kind == "short":
            fields = {"Connection": "close"}
        self._head(206 if start else 200, fields)
        with file.open("rb") as body:
            body.seek(start)
            self._write(body, plan)

    def _write(self, body: BinaryIO, plan: _Plan | None) -> None:
        ends = plan is not None and plan.kind in _ENDS
        last = plan.at if plan and ends else sys.maxsize
        while block := body.read(max(0, min(_BLOCK, last - body.tell()))):
            at = plan.at - body.tell() if plan and plan.kind == "flip" else 0  # from its end
            if -len(block) <= at < 0:
                block = block[:at] + bytes([block[at] ^ 1]) + block[len(block) + at + 1 :]
            self.wfile.write(block)
            if plan and plan.kind == "slow":
                time.sleep(_BLOCK / plan.at)
        if not plan or not ends:
            return
        self.close_connection = True
        if plan.kind == "stall":
            time.sleep(60)
        while plan.kind == "trickle":
            self.wfile.write(body.read(1))
            time.sleep(0.3)
        if plan.kind == "reset":  # lingering for 0 s turns the close into a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _refuse(
        self, status: int, code: str, commit: str = "", fields: dict[str, str] | None = None
    ) -> None:
        fields = {"Content-Length": "0", **(fields or {})}
        if code:
            fields["X-Error-Code"] = code
        if commit:
            fields["X-Repo-Commit"] = commit
        self._head(status, fields)

    def _head(self, status: int, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()


def _sha256_of(file: Path) -> str:
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_gpt2_folder(
    folder: Path,
    config: GPT2Config,
    *,
    prefix: str = "",
    dtype: str = "F32",
    seed: int = 0,
    edit: Callable[[Tensors], object] = lambda _: None,
) -> str:
    """Random weights laid out as the hub's files: masks among them, data at an odd address.

    `edit` may break the tensors before they are written. Returns the sha256 of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors: Tensors = {}
    for name, shape in file_shapes(config).items():
        values = torch.randn(shape, generator=generator) * 0.02
        tensors[prefix + name] = (dtype, shape, raw(values.to(_TORCH[dtype])))
    side = config.max_seq_len
    mask = raw(torch.ones(side, side).tril())
    for block in range(config.num_blocks):
        tensors[f"{prefix}h.{block}.attn.bias"] = ("F32", (1, 1, side, side), mask)
    edit(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    data = container(tensors)
    (folder / "model.safetensors").write_bytes(data)
    (folder / "config.json").write_text(config_text(config))
    return hashlib.sha256(data).hexdigest()


def shard(folder: Path, files: int = 2) -> None:
    """Cut the weights in `folder` into several files with an index, as `transformers` does."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    for number in range(files):
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        part = dict(list(state.items())[number::files])
        save_file(part, folder / name)
        places |= dict.fromkeys(part, name)
    total = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def raw(tensor: torch.Tensor) -> bytes:
    """The bytes of a tensor as a file holds them."""
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def container(tensors: Tensors) -> bytes:
    """A safetensors file whose data start at 3 mod 4, as in openai-community/gpt2."""
    header: dict[str, object] = {}
    end = 0
    for name, (dtype, shape, data) in tensors.items():
        offsets = [end, end := end + len(data)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    note = ""
    while True:
        header["__metadata__"] = {"format": "pt", "note": note}
        text = json.dumps(header, separators=(",", ":")).encode()
        if (8 + len(text)) % 4 == 3:
            return struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values())
        note += "-"
