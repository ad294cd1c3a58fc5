"""`GET /runs/{id}?from=i&view=...`: what a log holds and a reader has not, in binary frames.

    from=i                 tokens from this place on
    view=head.5.3          rows of this map (gpt2.ui.session.maps); without it none
    rows=j                 from this one on
    heads=k                all heads small, of which the reader has k rows; without it none
    hold=1                 go on until nobody writes; else answer what there is, and end

`GET /runs?ids=a,b&from=0,7&view=head.0.0,&...` reads several at once, its values in the order of
the ids: a browser opens six connections to one address, and a comparison has four columns. Held
open or asked again is the same code, since a log only grows. Nobody paces anything: a slow reader's
connection is full, so that less is read, later, and more at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from gpt2.interpret.atlas import bins_for, pack_nibbles, packed_rows, pooled_map
from gpt2.interpret.row_codec import Levels
from gpt2.ui.session.attention_requests import FORGOTTEN, AttentionRequests
from gpt2.ui.session.maps import MapView, map_rows, parsed_view
from gpt2.ui.session.run_log import RunLog, RunLogs, packed_json
from gpt2.ui.session.runner import SORRY, USER_ERRORS
from gpt2.ui.session.wire import Kind, frame, pack_rows

_ALIVE = 5.0  # seconds without news, after which the reader is told that somebody is there
_COALESCE = 0.02  # seconds: several passes may be told of at once, and nobody sees more than 50
_PIECE = 1_000_000  # bytes of rows in one frame
_MOST_RUNS = 8  # in one read
_AT_ONCE = 48  # rows of all heads; who has missed more gets the whole maps
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LogReader:
    """Where one reader is in one log: what he has, and which map he looks at, if any."""

    log: RunLog
    index: int
    tokens: int
    view: MapView | None
    rows: int
    heads: int | None
    version: int = -1
    behind: bool = True  # more is there than was delivered
    ended: bool = False  # nobody writes any more

    def next_frames(self) -> tuple[bytes, bool]:
        """What has come since, and whether rows are missing that must be made anew.

        May take some milliseconds: not for the event loop.
        """
        log, frames = self.log, list[bytes]()
        first = self.version < 0
        version, status = log.snapshot()
        stop, read = int(status["n"]), int(status["read"])
        self.ended = status["state"] != "running"
        if first:
            frames.append(self._frame(Kind.SHAPE, packed_json(self._shape())))
        if self.tokens < stop:
            packed = log.tokens(self.tokens, stop)
            frames.append(self._frame(Kind.TOKENS, packed, self.tokens, stop - self.tokens))
            self.tokens = stop
        # After the tokens: whoever hears that a text is done has all of it.
        if version != self.version:
            frames.append(self._frame(Kind.STATUS, packed_json(status)))
        self.version = version
        missing = self._add_rows(frames, read) or self._add_heads(frames, read)
        self.behind = (self.view is not None and self.rows < read) or (
            self.heads is not None and self.heads < read
        )
        return b"".join(frames), missing

    def add_rows(self, rows: list[Levels]) -> bytes:
        """The frame of these rows, the next ones of the map looked at."""
        start = self.rows
        self.rows += len(rows)
        return self._frame(Kind.ROWS, pack_rows(rows), start, len(rows))

    def _add_rows(self, frames: list[bytes], read: int) -> bool:
        if self.view is None or self.rows >= read:
            return False
        stop = _last_row(self.rows, read)
        if self.log.rows(self.rows, stop) is None:
            return True
        rows = map_rows(self.log.capture, self.view, self.rows, stop)
        if rows is None:
            return True
        frames.append(self.add_rows(rows))
        return False

    def _add_heads(self, frames: list[bytes], read: int) -> bool:
        if self.heads is None or self.heads >= read or (self.view and self.rows < read):
            return False
        whole = read - self.heads > _AT_ONCE
        start = 0 if whole else self.heads
        rows = self.log.rows(start, read)
        if rows is None:
            return True
        bins = bins_for(self.log.layers * self.log.heads)
        if whole:
            payload = pack_nibbles(pooled_map(rows, bins)[None])
            frames.append(self._frame(Kind.MAPS, payload, 0, read))
        else:
            packed = packed_rows(rows, bins)
            frames.append(self._frame(Kind.HEADS, packed, start, read - start))
        self.heads = read
        return False

    def _shape(self) -> dict[str, object]:
        view = self.view or MapView(self.log.layer)
        return self.log.shape() | {"run": self.log.id, "view": view.as_value()}

    def _frame(self, kind: Kind, payload: bytes = b"", start: int = 0, count: int = 0) -> bytes:
        return frame(kind, self.index, payload, start, count)


class LogRoute:
    """The route, and how many are reading (for the end of the server)."""

    def __init__(self, asked: AttentionRequests, logs: RunLogs) -> None:
        self._asked = asked
        self._logs = logs
        self.reading = 0

    def routes(self) -> list[BaseRoute]:
        """Of our own, beside Gradio's."""
        return [
            Route("/runs/{id}", self._one),
            Route("/runs/{id}/trace", self._trace),
            Route("/runs", self._several),
        ]

    async def _one(self, request: Request) -> Response:
        return self._answer([str(request.path_params["id"])], request.query_params)

    async def _trace(self, request: Request) -> Response:
        """The whole log as a file, to be computed again: `python -m gpt2 replay FILE`."""
        log = self._logs.get(str(request.path_params["id"]))
        if log is None:
            return JSONResponse({"error": FORGOTTEN}, 404, _HEADERS)
        try:
            made = await self._asked.trace(log)
        except USER_ERRORS as error:
            return JSONResponse({"error": str(error)}, 409, _HEADERS)
        return Response(made, media_type="application/octet-stream", headers=_HEADERS)

    async def _several(self, request: Request) -> Response:
        ids = [each for each in request.query_params.get("ids", "").split(",") if each]
        return self._answer(ids, request.query_params)

    def _answer(self, ids: list[str], query: QueryParams) -> Response:
        logs = [self._logs.get(each) for each in ids]
        if not any(logs) or len(ids) > _MOST_RUNS:
            return JSONResponse({"error": FORGOTTEN}, 404, _HEADERS)
        readers = [_reader_of(log, index, query) if log else None for index, log in enumerate(logs)]
        return StreamingResponse(
            self._frames(readers, query.get("hold") == "1"),
            media_type="application/octet-stream",
            headers=_HEADERS,
        )

    async def _frames(self, readers: list[LogReader | None], hold: bool) -> AsyncIterator[bytes]:
        """Until every log is at its end; without `hold`, at what it holds now."""
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:  # from the thread that writes
            loop.call_soon_threadsafe(news.set)

        for index, reader in enumerate(readers):
            if reader is None:
                yield frame(Kind.END, index, packed_json({"error": FORGOTTEN}))
        left = [reader for reader in readers if reader]
        self.reading += 1
        try:
            with ExitStack() as held:
                for reader in left:
                    held.enter_context(reader.log.reading(tell, rows=reader.view is not None))
                while left:
                    news.clear()
                    for reader in list(left):
                        async for piece in self._read(reader):
                            yield piece
                        if reader.ended or not hold:
                            left.remove(reader)
                            yield frame(Kind.END, reader.index, packed_json({}))
                    if left and (sign := await _wait(news, left[0])):
                        yield sign
        except USER_ERRORS as error:
            yield _end(left, str(error))
        except Exception:
            _log.exception("a read failed")
            yield _end(left, SORRY)
        finally:
            self.reading -= 1

    async def _read(self, reader: LogReader) -> AsyncIterator[bytes]:
        """All there is now."""
        reader.behind = True
        while reader.behind:
            piece, missing = await asyncio.to_thread(reader.next_frames)
            if piece:
                yield piece
            if missing:
                made = await self._asked.rows_again(reader.log, reader.view, reader.rows)
                if made:
                    yield reader.add_rows(made)


async def _wait(news: asyncio.Event, reader: LogReader) -> bytes:
    """Until there is news; a sign of life where none comes."""
    try:
        await asyncio.wait_for(news.wait(), _ALIVE)
    except asyncio.TimeoutError:
        return frame(Kind.ALIVE, reader.index)
    await asyncio.sleep(_COALESCE)
    return b""


def _end(left: list[LogReader], sentence: str) -> bytes:
    said = packed_json({"error": sentence})
    return b"".join(frame(Kind.END, reader.index, said) for reader in left)


def _reader_of(log: RunLog, index: int, query: QueryParams) -> LogReader:
    """Whatever the browser sent, clamped to what there is."""
    value: Callable[[str], str] = partial(_value, query, index)
    view = value("view")
    heads = value("heads")
    return LogReader(
        log,
        index,
        _number(value("from"), len(log.ids)),
        parsed_view(view, MapView(log.layer), log.layers, log.heads) if view else None,
        _number(value("rows"), log.read),
        _number(heads, log.read) if heads else None,
    )


def _value(query: QueryParams, index: int, name: str) -> str:
    values = query.get(name, "").split(",")
    return values[index] if index < len(values) else ""


def _number(text: str, most: int) -> int:
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else 0


def _last_row(start: int, read: int) -> int:
    """Where the rows from `start` on that one frame may carry end: at least one row."""
    size, stop = 0, start
    while stop < read and (stop == start or size + stop + 1 <= _PIECE):
        size += stop + 1
        stop += 1
    return stop
