"""python -m tests.load [--model tiny] [--visitors 50] [--minutes 10]: a crowd at the real page.

Starts `app.py` and sends visitors through the same HTTP calls as `gradio_client`: they read to the
end, stop half-way, close the line in the middle or before the first word, or send rubbish, by
chance. Fails when a request ends in an unfriendly way, a slot stays taken, the server's memory at
the end is more than 5 % from that at the start, or a completed text is not the one its wish gets
alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gpt2 import SIZES, SamplingOptions, load
from tests.browser.server import App, serve

WORDS = "the old fox saw a small house and went in to ask who lived there by the river"
FATES = ("read", "read", "read", "stop", "leave", "leave at once", "rubbish")
FULL = ("The house is full", "You have")
REMEMBERED = 2000  # sessions whose messages Gradio keeps (its queueing.py)
WARM_UP = 30.0  # seconds of the same load before memory is looked at first
MOST_GROWTH = 0.05
THREADS = os.environ.setdefault("OMP_NUM_THREADS", "2")


@dataclass(frozen=True)
class Query:
    """What one visitor asks for; two equal wishes must get the same text."""

    prompt: str
    temperature: float
    new_tokens: int
    top_k: int
    top_p: float
    seed: int


@dataclass
class Tally:
    """What happened."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    texts: dict[Query, set[str]] = field(default_factory=dict)


def queries(count: int, most: int) -> list[Query]:
    """Short and long prompts, greedy and sampled; few, to be written alone as well."""
    dice = random.Random(1)
    return [
        Query(
            " ".join(dice.choices(WORDS.split(), k=dice.choice((1, 8, 20, 60, 150)))),
            dice.choice((0.0, 0.7, 1.0, 1.3)),
            dice.randint(5, most),
            dice.choice((0, 0, 40)),
            dice.choice((1.0, 1.0, 0.9)),
            number,
        )
        for number in range(count)
    ]


class Page:
    """The calls that `gradio_client` makes, without its threads."""

    def __init__(self, client: httpx.AsyncClient, size: str, call: int) -> None:
        self.client = client
        self.size = size
        self.call = call

    async def visit(self, query: Query, fate: str, dice: random.Random, tally: Tally) -> None:
        """One request to its end, whatever that is."""
        temperature = 99.0 if fate == "rubbish" else query.temperature
        fields = [query.prompt, self.size, temperature, query.new_tokens]
        body = {
            "data": [*fields, query.top_k, query.top_p, query.seed, "off"],
            "fn_index": self.call,
            "session_hash": secrets.token_hex(8),
        }
        joined = await self.client.post("gradio_api/queue/join", json=body)
        joined.raise_for_status()
        body["event_id"] = joined.json()["event_id"]
        patience = {"stop": dice.uniform(0.1, 6), "leave": dice.uniform(0.1, 6), "leave at once": 0}
        await self._read(query, fate, body, time.monotonic() + patience.get(fate, 1e9), tally)

    async def _read(
        self, query: Query, fate: str, body: dict[str, Any], end: float, tally: Tally
    ) -> None:
        where = {"session_hash": body["session_hash"]}
        async with self.client.stream("GET", "gradio_api/queue/data", params=where) as answer:
            async for line in answer.aiter_lines():
                if time.monotonic() > end:
                    if fate == "stop":
                        names = ("session_hash", "fn_index", "event_id")
                        cancel = {name: body[name] for name in names}
                        await self.client.post("gradio_api/cancel", json=cancel)
                    tally.ended[fate] += 1
                    return
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    note(query, fate, message, tally)
                    return
        tally.wrong.append(f"{fate}: the line ended without an answer")


def note(query: Query, fate: str, message: dict[str, Any], tally: Tally) -> None:
    """A request that came to its own end."""
    if message["success"] and "data" not in message["output"]:
        tally.wrong.append(f"{fate}: {json.dumps(message)[:300]}")
    elif message["success"]:
        tally.texts.setdefault(query, set()).add(message["output"]["data"][0])
        tally.ended["read to the end"] += 1
    else:
        refused(fate, str(message["output"].get("error")), tally)


def refused(fate: str, sentence: str, tally: Tally) -> None:
    """What the visitor was told instead of a text."""
    if fate == "rubbish" and sentence.startswith("Temperature must be"):
        tally.ended["rubbish, told so"] += 1
    elif sentence.startswith(FULL):
        tally.ended["told that the house is full"] += 1
    else:
        tally.wrong.append(f"{fate}: {sentence}")


async def crowd(page: Page, asked: list[Query], visitors: int, seconds: float) -> Tally:
    """`visitors` come again and again for so many seconds; then the last ones finish."""
    tally = Tally()
    end = time.monotonic() + seconds

    async def come(number: int) -> None:
        dice = random.Random(number)
        await asyncio.sleep(dice.uniform(0, 0.5))
        while time.monotonic() < end:
            fate = dice.choice(FATES)
            try:
                await page.visit(dice.choice(asked), fate, dice, tally)
            except httpx.HTTPError as error:
                tally.wrong.append(f"{fate}: {error!r}")
            await asyncio.sleep(dice.uniform(0, 1))

    await asyncio.gather(*map(come, range(visitors)))
    return tally


async def earlier(page: Page, query: Query) -> None:
    """As many as are remembered have been here before: a page that has been up for a while."""
    left = iter(range(REMEMBERED))

    async def come() -> None:
        for _ in left:
            await page.visit(query, "rubbish", random.Random(), Tally())

    await asyncio.gather(*(come() for _ in range(20)))


async def at_rest(client: httpx.AsyncClient) -> dict[str, int]:
    """What /health counts once nobody is there any more, or after 20 seconds."""
    for _ in range(200):
        requests: dict[str, int] = (await client.get("health")).json()["requests"]
        if not any(requests.values()):
            break
        await asyncio.sleep(0.1)
    return requests


def memory_of(app: App) -> int:
    """Resident bytes of the server, all its threads and what it has mapped."""
    status = Path(f"/proc/{app.process.pid}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


async def besiege(app: App, options: argparse.Namespace, size: str, asked: list[Query]) -> Tally:
    """Warm up, look at the memory, let them come, look again."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=app.url, timeout=600, limits=limits) as client:
        calls = (await client.get("config")).json()["dependencies"]
        page = Page(client, size, next(c["id"] for c in calls if c["api_name"] == "generate"))
        empty = memory_of(app)
        await earlier(page, asked[0])
        await crowd(page, asked, options.visitors, WARM_UP)
        await at_rest(client)
        before = memory_of(app)
        tally = await crowd(page, asked, options.visitors, 60 * options.minutes)
        stuck = await at_rest(client)
        after = memory_of(app)
    print(
        f"memory: {empty / 1e6:.0f} MB before anybody came, {before / 1e6:.0f} MB after "
        f"{REMEMBERED:,} sessions and {WARM_UP:.0f} s, {after / 1e6:.0f} MB at the end "
        f"({after / before - 1:+.1%})"
    )
    if any(stuck.values()):
        tally.wrong.append(f"still there after the last one left: {stuck}")
    if abs(after / before - 1) > MOST_GROWTH:
        tally.wrong.append("memory")
    return tally


def replayed(tally: Tally, name: str, precision: str) -> int:
    """How many wishes got another text than alone."""
    engine = load(name, precision)
    different = 0
    for query, texts in tally.texts.items():
        options = SamplingOptions(query.temperature, query.top_k, query.top_p, query.seed)
        different += texts != {engine.complete(query.prompt, options, query.new_tokens)}
    return different


def main() -> None:
    """Exit with 1 when anything was not as it should be."""
    ask = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    ask.add_argument("--model", default="tiny", help="a built-in size, or a folder")
    ask.add_argument("--precision", default="auto")
    ask.add_argument("--visitors", type=int, default=50)
    ask.add_argument("--minutes", type=float, default=10)
    ask.add_argument("--wishes", type=int, default=60)
    ask.add_argument("--new-tokens", type=int, default=120, help="of the longest wish")
    options = ask.parse_args()
    own = {} if options.model in SIZES else {"GPT2_MODEL": options.model}
    size = Path(options.model).name if own else options.model
    size = f"own {size}" if own and size in SIZES else size
    asked = queries(options.queries, options.new_tokens)
    # All come from one address, which would be one visitor's share.
    settings = {"GPT2_PER_VISITOR": "1000", "GPT2_PRECISION": options.precision}
    with (
        tempfile.TemporaryDirectory() as name,
        serve(Path(name), OMP_NUM_THREADS=THREADS, **settings, **own) as app,
    ):
        tally = asyncio.run(besiege(app, options, size, asked))
        said = app.log.read_text()
    completed = tally.ended["read to the end"]
    different = replayed(tally, options.model, options.precision)
    print(f"{options.visitors} visitors for {options.minutes:g} minutes: {dict(tally.ended)}")
    print(f"{completed} texts of {len(tally.texts)} wishes, {different} other than alone")
    problems = [*tally.wrong, *(["texts"] if different else [])]
    if "Traceback" in said:
        problems.append(said[said.index("Traceback") :][:2000])
    for problem in Counter(problems).most_common(20):
        print("WRONG:", *problem)
    sys.exit(bool(problems or not completed))


if __name__ == "__main__":
    main()
