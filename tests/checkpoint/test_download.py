"""Every fault of a line or a hub ends in the right file, or in a message and nothing half-made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt2.checkpoint import Source, find_source, load_model, read_tokenizer
from tests.checkpoint.conftest import TINY, Fetcher
from tests.hub_standin import HubStandin, shard, write_gpt2_folder
from tests.small import until
from tests.tokenizer.test_files import byte_level, train

NIGHTLY = pytest.mark.nightly  # the same fault at other places of a file or of a talk
MAIN = {"revision": "main", "sha256": None}


def check_right(reply: dict[str, Any], source: Source, fetcher: Fetcher) -> Path:
    assert reply["error"] is None
    folder = Path(reply["folder"])
    data = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == source.sha256
    assert (folder / "config.json").is_file()
    assert fetcher.partials() == []
    return folder


def check_refused(reply: dict[str, Any], fetcher: Fetcher, *words: str) -> None:
    assert reply["folder"] is None and reply["kind"] == "CheckpointError"
    for word in words:
        assert word in reply["error"]
    assert fetcher.partials() == []


def check_in_vain(reply: dict[str, Any], fetcher: Fetcher, *words: str) -> None:
    check_refused(reply, fetcher, *words, "Try again", "Tiny works", "No partial file")


def test_downloads_once_then_asks_nobody(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    reply = fetcher.fetch(big)
    folder = check_right(reply, big, fetcher)
    assert not reply["cached_before"] and folder.is_relative_to(fetcher.home)
    size = (folder / "model.safetensors").stat().st_size
    assert reply["progress"][-1][:2] == [size, size]
    assert len(hub.bodies(big.name)) == 1
    hub.heal()
    again = fetcher.fetch(big)
    assert again["cached_before"] and again["folder"] == reply["folder"]
    assert hub.requests == []


def test_progress_tells_speed_and_time_left(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=40_000_000)
    progress = fetcher.fetch(big)["progress"]
    done, total, speed, left = next(p for p in progress if 0 < p[0] < p[1])
    assert 1e6 < speed < 60e6
    assert left == pytest.approx((total - done) / speed)


@pytest.mark.parametrize(
    "at", [pytest.param(1, marks=NIGHTLY), pytest.param(9_000_001, marks=NIGHTLY), 25_000_003]
)
def test_cut(hub: HubStandin, fetcher: Fetcher, big: Source, at: int) -> None:
    hub.fail("cut", at=at)
    check_right(fetcher.fetch(big), big, fetcher)
    resumed = hub.bodies(big.name)[1].range
    block = 1 << 18  # what the client is told to read at a time
    assert resumed == (f"bytes={at // block * block}-" if at > block else None)


@pytest.mark.parametrize("at", [pytest.param(0, marks=NIGHTLY), 25_000_003])
def test_reset(hub: HubStandin, fetcher: Fetcher, big: Source, at: int) -> None:
    hub.fail("reset", at=at, times=2)
    check_right(fetcher.fetch(big), big, fetcher)


def test_stall(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("stall", at=11_111_111)
    check_right(fetcher.fetch(big), big, fetcher)


def test_short_body(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("short", at=1001)
    check_right(fetcher.fetch(small), small, fetcher)


def test_short_body_every_time(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("short", at=1001, times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "wrong number of bytes", "Tried 5 times")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_503(hub: HubStandin, fetcher: Fetcher, small: Source, method: str) -> None:
    hub.fail("status", method=method, status=503, times=2)
    reply = fetcher.fetch(small)
    check_right(reply, small, fetcher)
    assert {1, 2, 3} >= set(reply["attempts"]) >= {2, 3}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_503_every_time(hub: HubStandin, fetcher: Fetcher, small: Source, method: str) -> None:
    hub.fail("status", method=method, status=503, times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "error 503", "Tried 5 times")


def test_flipped_bit_is_fetched_once_more(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("flip", at=7_001)
    check_right(fetcher.fetch(small), small, fetcher)
    assert len(hub.bodies(small.name)) == 2


@pytest.mark.parametrize("pinned", [True, False])
def test_flipped_bit_twice(hub: HubStandin, fetcher: Fetcher, small: Source, pinned: bool) -> None:
    hub.fail("flip", at=7_001, times=2)
    source = small if pinned else dataclasses.replace(small, sha256=None)
    check_refused(
        fetcher.fetch(source), fetcher, "model.safetensors", "damaged twice", "Tiny works"
    )
    assert len(hub.bodies(small.name)) == 2
    check_right(fetcher.fetch(source), small, fetcher)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_file_damaged_in_the_cache(
    hub: HubStandin, fetcher: Fetcher, small: Source, file: str
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    right = (folder / file).read_bytes()
    (folder / file).resolve().write_bytes(right[:-2] + b"!!")
    check_right(fetcher.fetch(small), small, fetcher)
    assert (folder / file).read_bytes() == right


def test_file_damaged_in_the_cache_while_the_hub_is_away(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    (folder / "model.safetensors").resolve().write_bytes(b"nothing of use")
    hub.fail("status", method="HEAD", times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "was damaged and is removed", "error 503")


def test_a_verified_file_is_not_read_again(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    weights = (folder / "model.safetensors").resolve()
    before = weights.stat()
    weights.write_bytes(b"?" * before.st_size)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetcher.fetch(small)["error"] is None  # proof that only the stamp was looked at
    os.utime(weights)
    check_right(fetcher.fetch(small), small, fetcher)


def test_other_weights_than_the_pinned_ones(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    pinned = dataclasses.replace(small, sha256="0" * 64)
    check_refused(fetcher.fetch(pinned), fetcher, "other weights", "000000000000", "HF_ENDPOINT")
    assert hub.bodies(small.name) == []


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_missing_file(hub: HubStandin, fetcher: Fetcher, small: Source, file: str) -> None:
    for method in ("HEAD", "GET"):
        hub.fail("hide", file, method=method, times=99)
    check_refused(fetcher.fetch(small), fetcher, f"has no {file}", "safetensors")


def test_unknown_repository_and_revision(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    nowhere = dataclasses.replace(small, repo="owner/nothing")
    check_refused(fetcher.fetch(nowhere), fetcher, "no repository owner/nothing", "HF_TOKEN")
    never = dataclasses.replace(small, revision="v9")
    check_refused(fetcher.fetch(never), fetcher, "no revision v9")


def test_something_else_answers(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("blank", method="HEAD")
    check_refused(fetcher.fetch(small), fetcher, hub.endpoint, "not a hub", "HF_ENDPOINT")


def test_no_space(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("huge", method="HEAD")
    check_refused(fetcher.fetch(small), fetcher, "needs 10000000.00 GB", "free", "HF_HOME")
    assert hub.bodies(small.name) == []


def test_space_runs_out_on_the_way(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    reply = fetcher.fetch(big, file_limit=15_000_000)
    check_refused(reply, fetcher, "disk became full", "HF_HOME")
    check_right(fetcher.fetch(big), big, fetcher)


def test_a_cache_that_cannot_be_written(
    new_fetcher: Callable[..., Fetcher], small: Source, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    fetcher = new_fetcher(HF_HOME=str(tmp_path / "file" / "home"))
    check_refused(fetcher.fetch(small), fetcher, "cannot be kept in", "Not a directory", "HF_HOME")


def test_callers_share_one_download(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=40_000_000)
    fetcher.start(big, quit_at=(None, None, None))
    for reply in fetcher.replies():
        check_right(reply, big, fetcher)
        assert any(0 < p[0] < p[1] for p in reply["progress"])
    assert len(hub.bodies(big.name)) == 1


def test_one_cancels_and_the_other_goes_on(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=30_000_000)
    fetcher.start(big, quit_at=(None, 1))
    quitter, stayer = sorted(fetcher.replies(), key=lambda reply: reply["folder"] or "")
    assert quitter["kind"] == "Cancelled"
    check_right(stayer, big, fetcher)
    assert len(hub.bodies(big.name)) == 1


def test_a_config_without_end_is_not_kept(
    hub: HubStandin, fetcher: Fetcher, tmp_path: Path
) -> None:
    write_gpt2_folder(tmp_path / "vast", TINY)
    with (tmp_path / "vast" / "config.json").open("r+b") as file:
        file.truncate(130_000_000)
    hub.add("owner/vast", tmp_path / "vast")
    reply = fetcher.fetch(find_source("owner/vast"))
    check_refused(reply, fetcher, "config.json of owner/vast has more than 100 MB")
    kept = [path for path in fetcher.home.glob("hub/*--vast/**/*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 1_000_000


def test_all_cancel(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=30_000_000)
    fetcher.start(big, quit_at=(1, 0))
    assert [reply["kind"] for reply in fetcher.replies()] == ["Cancelled"] * 2
    assert until(lambda: not fetcher.partials())  # the thread sees it at its next block
    check_right(fetcher.fetch(big), big, fetcher)


def test_interrupted_at_the_keyboard(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("slow", at=9_000_000)
    # What was started in the background of a shell would not hear the keyboard.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    fetched = f"from gpt2.checkpoint import *; fetch(find_source('{big.name}@{big.revision}'))"
    program = f"{hear}; {fetched}"
    fetcher = new_fetcher(command=("-c", program))
    fetcher.wait_for_bytes()
    fetcher.process.send_signal(signal.SIGINT)
    assert fetcher.process.wait(30) != 0
    assert fetcher.partials() == []


def test_cancelled_while_waiting_for_another_try(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    hub.fail("status", times=99)
    reply = fetcher.fetch(small, quit_at=(0,))
    assert reply["kind"] == "Cancelled" and reply["seconds"] < 1
    hub.heal()
    check_right(fetcher.fetch(small), small, fetcher)


def test_two_processes_share_one_download(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("slow", at=40_000_000)
    both = new_fetcher(), new_fetcher()
    for fetcher in both:
        fetcher.start(big)
    for fetcher in both:
        check_right(fetcher.replies()[0], big, fetcher)
    assert len(hub.bodies(big.name)) == 1


def test_what_a_killed_download_leaves_is_removed(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("stall", at=15_000_000)
    killed = new_fetcher(HF_HUB_DOWNLOAD_TIMEOUT="30")
    killed.start(big)
    killed.wait_for_bytes()
    killed.close()
    assert len(killed.partials()) == 1
    fetcher = new_fetcher()
    check_right(fetcher.fetch(big), big, fetcher)


def test_offline_before_and_after(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], small: Source
) -> None:
    branch = dataclasses.replace(small, **MAIN)
    offline, online = new_fetcher(HF_HUB_OFFLINE="1"), new_fetcher()
    for source in (small, branch):
        check_refused(offline.fetch(source), offline, "HF_HUB_OFFLINE", "not in this computer")
    assert hub.requests == []
    for source in (small, branch):
        check_right(online.fetch(source), small, online)
    hub.heal()
    for source in (small, branch):
        check_right(offline.fetch(source), small, offline)
    assert hub.requests == []


def test_hub_away(tmp_path: Path, small: Source) -> None:
    """Nobody listens: the visitor is told soon, and what is in the cache still works."""
    branch = dataclasses.replace(small, **MAIN)
    with HubStandin({small.name: tmp_path / "small"}) as hub:
        fetcher = Fetcher(tmp_path / "home", hub.endpoint)
        check_right(fetcher.fetch(branch), small, fetcher)
    try:
        check_right(fetcher.fetch(branch), small, fetcher)
        check_right(fetcher.fetch(small), small, fetcher)
        reply = fetcher.fetch(dataclasses.replace(small, repo="owner/other"))
        check_in_vain(reply, fetcher, "cannot be reached", hub.endpoint)
        assert reply["seconds"] < 8
    finally:
        fetcher.close()


def test_a_branch_that_moved_is_fetched_anew(
    hub: HubStandin, fetcher: Fetcher, small: Source, tmp_path: Path
) -> None:
    branch = dataclasses.replace(small, **MAIN)
    old = check_right(fetcher.fetch(branch), small, fetcher)
    longer = dataclasses.replace(TINY, max_seq_len=18)
    sha256 = write_gpt2_folder(tmp_path / "small", longer, seed=1)
    moved = dataclasses.replace(branch, sha256=sha256)
    new = check_right(fetcher.fetch(branch), moved, fetcher)
    assert new != old


def test_the_token_goes_to_the_hub_only(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], fetcher: Fetcher, small: Source
) -> None:
    hub.tokens[small.name] = "hf_secret"
    check_refused(fetcher.fetch(small), fetcher, "no repository", "HF_TOKEN")
    hub.heal()
    holder = new_fetcher(HF_TOKEN="hf_secret")
    check_right(holder.fetch(small), small, holder)
    assert all(r.authorization is None for r in hub.requests if r.cdn)
    assert all(r.authorization == "Bearer hf_secret" for r in hub.requests if not r.cdn)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


FORGERIES = [
    "../../../../../planted",
    "{outside}/planted",
    "",
    ".",
    "x" * 40,
    "ABCDEF" * 10 + "ABCD",
]


@pytest.mark.parametrize(
    ("file", "header"),
    [
        ("model.safetensors", "X-Linked-Etag"),
        ("model.safetensors", "X-Repo-Commit"),
        ("config.json", "X-Linked-Etag"),
        ("config.json", "ETag"),
        ("config.json", "X-Repo-Commit"),
    ],
)
@pytest.mark.parametrize("value", FORGERIES)
@pytest.mark.parametrize("pinned", [True, False])
def test_a_forged_header_touches_nothing_outside_the_cache(
    hub: HubStandin,
    fetcher: Fetcher,
    small: Source,
    tmp_path: Path,
    file: str,
    header: str,
    value: str,
    pinned: bool,
) -> None:
    """The client would write where the header says, and we would remove the "damaged" file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "planted").write_bytes(b"somebody's letters")
    (outside / "planted.lock").write_bytes(b"")
    hub.forge(header, f'"{value.format(outside=outside)}"' if value else "", file)
    before = everything(tmp_path), everything(fetcher.home.parent) - everything(fetcher.home)
    source = small if pinned else dataclasses.replace(small, **MAIN)
    check_refused(fetcher.fetch(source), fetcher, "not to be trusted", header)
    assert (outside / "planted").read_bytes() == b"somebody's letters"
    assert everything(tmp_path) == before[0]
    assert not list(fetcher.home.rglob("planted*"))
    assert not any(path.is_dir() for path in fetcher.home.rglob("*.safetensors"))
    hub.heal()
    check_right(fetcher.fetch(small), small, fetcher)


@pytest.mark.parametrize(
    ("method", "file"),
    [
        ("HEAD", "model.safetensors"),
        ("GET", "config.json"),
        pytest.param("GET", "model.safetensors", marks=NIGHTLY),
        pytest.param("HEAD", "config.json", marks=NIGHTLY),
    ],
)
def test_a_long_wait_is_told_and_not_waited_for(
    hub: HubStandin, fetcher: Fetcher, small: Source, method: str, file: str
) -> None:
    hub.fail("status", file, method=method, status=429, times=99, fields={"Retry-After": "3600"})
    reply = fetcher.fetch(small)
    check_in_vain(reply, fetcher, "error 429", "asks to wait 60 min", "Tried 1 time")
    assert reply["seconds"] < 5
    hub.heal()
    check_right(fetcher.fetch(small), small, fetcher)  # the next one finds no sleeper


def test_a_short_wait_is_waited_for_and_told(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    hub.fail("status", status=429, fields={"Retry-After": "1"})
    reply = fetcher.fetch(small)
    check_right(reply, small, fetcher)
    assert reply["seconds"] > 1
    assert any("error 429 and asks to wait 1 s. Trying again" in note for note in reply["notes"])


def test_a_wait_ends_when_nobody_wants_it(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("status", status=429, fields={"Retry-After": "30"})
    reply = fetcher.fetch(small, quit_at=(0,))
    assert reply["kind"] == "Cancelled"
    hub.heal()
    reply = fetcher.fetch(small)
    check_right(reply, small, fetcher)
    assert reply["seconds"] < 5


def test_an_address_that_has_expired_is_asked_for_anew(
    hub: HubStandin, fetcher: Fetcher, big: Source
) -> None:
    hub.fail("cut", at=25_000_003)
    hub.fail("status", status=403)
    check_right(fetcher.fetch(big), big, fetcher)
    assert len(hub.bodies(big.name)) == 3


def test_an_address_that_is_never_accepted(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    hub.fail("status", status=403, times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "no longer accepted (error 403)", "Tried 5 times")


def test_the_hub_itself_refuses(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("status", method="HEAD", status=403, times=99)
    check_refused(fetcher.fetch(small), fetcher, "error 403", "HF_TOKEN")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_config_that_is_never_answered(
    hub: HubStandin, fetcher: Fetcher, small: Source, method: str
) -> None:
    hub.fail("status", "config.json", method=method, status=503, times=99)
    reply = fetcher.fetch(small)
    check_in_vain(reply, fetcher, "error 503", "Tried 5 times")
    assert reply["seconds"] < 5
    assert any("error 503. Trying again" in note for note in reply["notes"])


@pytest.mark.parametrize(
    ("fault", "file"),
    [
        ("stall", "model.safetensors"),
        ("trickle", "config.json"),
        pytest.param("trickle", "model.safetensors", marks=NIGHTLY),
        pytest.param("stall", "config.json", marks=NIGHTLY),
    ],
)
def test_a_line_that_says_nothing_is_given_up(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], small: Source, fault: Any, file: str
) -> None:
    """Whatever comes now and then keeps the client happy for ever."""
    fetcher = new_fetcher(TEST_SILENCE="3")
    hub.fail(fault, file, at=20, times=99)
    reply = fetcher.fetch(small)
    assert reply["kind"] == "CheckpointError"
    assert "could not be downloaded" in reply["error"] and "Try again" in reply["error"]
    assert reply["seconds"] < 8
    hub.heal()
    check_right(fetcher.fetch(small), small, fetcher)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_flipped_bit_where_links_are_refused(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], small: Source, pinned: bool
) -> None:
    fetcher = new_fetcher(TEST_NO_LINKS="1")
    source = small if pinned else dataclasses.replace(small, **MAIN)
    hub.fail("flip", at=7_001)
    folder = check_right(fetcher.fetch(source), small, fetcher)
    assert len(hub.bodies(small.name)) == 2
    assert not (folder / "model.safetensors").is_symlink()
    right = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(right[:-1] + b"!")
    check_right(fetcher.fetch(source), small, fetcher)


def test_waiting_for_another_process_says_so(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    """As long as the other one loads, however long that is."""
    first, second = new_fetcher(), new_fetcher(TEST_SILENCE="1.5")
    hub.fail("slow", at=5_000_000)
    first.start(big)
    first.wait_for_bytes()
    second.start(big)
    reply = second.replies()[0]
    check_right(first.replies()[0], big, first)
    check_right(reply, big, second)
    assert any("Another program on this computer" in note for note in reply["notes"])
    assert len(hub.bodies(big.name)) == 1


def test_interrupted_while_the_line_stalls(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    """The thread hangs in a read then; what it was writing is removed all the same."""
    hub.fail("stall", at=9_000_000, times=99)
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    fetched = f"from gpt2.checkpoint import *; fetch(find_source('{big.name}@{big.revision}'))"
    fetcher = new_fetcher(command=("-c", f"{hear}; {fetched}"), HF_HUB_DOWNLOAD_TIMEOUT="100")
    fetcher.wait_for_bytes()
    fetcher.process.send_signal(signal.SIGINT)
    assert fetcher.process.wait(30) != 0
    assert fetcher.partials() == []


SHAPES: list[tuple[str, Any, str]] = [
    ("model_type", "llama", "model_type 'llama'"),
    ("n_layer", 10**9, "n_layer"),
    ("vocab_size", 65, "65 tokens and brings no tokenizer"),
    ("vocab_size", 128_256, "128,256 tokens and brings no tokenizer"),
]


@pytest.mark.parametrize(("key", "value", "words"), SHAPES)
def test_what_cannot_be_run_is_told_before_the_weights_come(
    hub: HubStandin,
    fetcher: Fetcher,
    small: Source,
    tmp_path: Path,
    key: str,
    value: Any,
    words: str,
) -> None:
    config = tmp_path / "small" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: value}))
    branch = dataclasses.replace(small, **MAIN)
    check_refused(fetcher.fetch(branch), fetcher, words, "Its weights were not downloaded")
    assert hub.bodies(small.name) == []


def test_a_branch_or_tag_after_an_at(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.branches[small.name] = "step-400000"
    source = find_source(f"{small.name}@step-400000")
    assert source.address == (small.name, "step-400000")
    check_right(fetcher.fetch(source), small, fetcher)


def test_weights_in_several_files(hub: HubStandin, fetcher: Fetcher, tmp_path: Path) -> None:
    folder = tmp_path / "sharded"
    write_gpt2_folder(folder, TINY)
    whole = load_model(folder)
    shard(folder)
    hub.add("owner/sharded", folder)
    hub.fail("flip", "model-00002-of-00002.safetensors", at=7_001)
    source = Source("owner/sharded", None, "owner/sharded", "main", None)
    reply = fetcher.fetch(source)
    assert reply["error"] is None
    found = load_model(Path(reply["folder"]))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name])
    done, total = reply["progress"][-1][:2]
    assert done == total == sum(f.stat().st_size for f in folder.glob("*.safetensors"))
    hub.heal()
    again = fetcher.fetch(dataclasses.replace(source, revision=hub.commit("owner/sharded")))
    assert again["folder"] == reply["folder"] and hub.requests == []


def test_a_tokenizer_of_its_own_comes_before_the_weights(
    hub: HubStandin, fetcher: Fetcher, tmp_path: Path
) -> None:
    folder = tmp_path / "spanish"
    made = train(folder, byte_level())
    write_gpt2_folder(folder, dataclasses.replace(TINY, vocab_size=768))
    hub.add("owner/spanish", folder)
    source = Source("owner/spanish", None, "owner/spanish", "main", None)
    hub.fail("flip", "tokenizer.json", at=700)
    reply = fetcher.fetch(source)
    assert reply["error"] is None
    text = "El niño comió piñas mañana"
    assert read_tokenizer(Path(reply["folder"])).encode(text) == made.encode(text).ids
    got = [r.path.rsplit("/", 1)[-1] for r in hub.requests if r.method == "GET"]
    assert got.index("config.json") < got.index("tokenizer.json") < got.index("model.safetensors")
    tokenizer = Path(reply["folder"]) / "tokenizer.json"
    right = tokenizer.read_bytes()
    tokenizer.resolve().write_bytes(right.replace(b"a", b"b", 1))
    assert fetcher.fetch(source)["error"] is None and tokenizer.read_bytes() == right


def test_another_kind_of_tokenizer_is_refused_before_the_weights_come(
    hub: HubStandin, fetcher: Fetcher, small: Source, tmp_path: Path
) -> None:
    (tmp_path / "small" / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    reply = fetcher.fetch(dataclasses.replace(small, **MAIN))
    check_refused(reply, fetcher, "WordPiece, not byte-level BPE", "were not downloaded")
    assert hub.bodies(small.name) == []


def test_a_copy_of_which_nobody_knows_the_tokenizer_is_not_whole(
    hub: HubStandin, fetcher: Fetcher, tmp_path: Path
) -> None:
    """As an earlier version of this program left it: GPT-2's merges would be garbage there."""
    folder = tmp_path / "german"
    train(folder, byte_level())
    write_gpt2_folder(folder, dataclasses.replace(TINY, vocab_size=768))
    hub.add("owner/german", folder)
    source = Source("owner/german", None, "owner/german", hub.commit("owner/german"), None)
    here = Path(fetcher.fetch(source)["folder"])
    (here / "tokenizer.json").unlink()
    reply = fetcher.fetch(source)
    assert not reply["cached_before"] and (here / "tokenizer.json").is_file()
    (here / "tokenizer.json").unlink()
    hub.fail("status", method="HEAD", times=99)
    check_refused(fetcher.fetch(source), fetcher, "nobody knows what cuts its text", "error 503")
