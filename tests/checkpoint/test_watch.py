"""Answers of a hub that are not to be trusted, and waits that are too long."""

from __future__ import annotations

import hashlib
import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.watch import Unavailable, Watch, wait_of

SHA = hashlib.sha256(b"").hexdigest()
COMMIT = "c" * 40


def answer(fields: dict[str, str], method: str = "HEAD", status: int = 302) -> SimpleNamespace:
    request = SimpleNamespace(method=method)
    return SimpleNamespace(status_code=status, headers=fields, request=request, close=list)


def watch(pin: str | None = None) -> Watch:
    return Watch(lambda: None, pin)


FORGED = ["", "../../../x", "/etc/x", "a/../b", SHA.upper(), SHA[:-1], SHA + "0", SHA + "\n", "."]


@pytest.mark.parametrize("header", ["X-Linked-Etag", "ETag"])
@pytest.mark.parametrize("value", [*FORGED, f'"{SHA}/../x"', f'W/"../{SHA}"'])
def test_a_name_that_is_no_digest_is_refused(header: str, value: str) -> None:
    with pytest.raises(CheckpointError, match=f"its {header} is"):
        watch().answered(answer({header: value, "X-Repo-Commit": COMMIT}))


@pytest.mark.parametrize("value", ["", "../..", COMMIT + "/..", SHA])
def test_a_commit_that_is_none_is_refused(value: str) -> None:
    for method in ("HEAD", "GET"):
        with pytest.raises(CheckpointError, match="its X-Repo-Commit is"):
            watch().answered(answer({"X-Repo-Commit": value}, method))


@pytest.mark.parametrize("value", [f'"{SHA}"', f'W/"{SHA[:40]}"', SHA])
def test_a_digest_is_remembered(value: str) -> None:
    seen = watch()
    seen.answered(answer({"X-Linked-Etag": value}))
    assert seen.digest in value


def test_for_a_pinned_file_only_the_pin_will_do() -> None:
    watch(SHA).answered(answer({"X-Linked-Etag": f'"{SHA}"'}))
    for other in ("0" * 64, SHA[:40]):
        with pytest.raises(CheckpointError, match="other weights"):
            watch(SHA).answered(answer({"X-Linked-Etag": f'"{other}"'}))


def test_a_redirect_within_the_hub_needs_no_name() -> None:
    seen = watch()
    seen.answered(answer({"X-Repo-Commit": COMMIT}, status=307))
    assert seen.digest is None


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
def test_not_now_is_told_to_us_before_the_client_sleeps(status: int) -> None:
    with pytest.raises(Unavailable) as caught:
        watch().answered(answer({"Retry-After": "3600"}, "GET", status))
    assert (caught.value.status, caught.value.seconds) == (status, 3600)


def test_what_the_hub_asks_to_wait() -> None:
    assert wait_of({}) is None
    assert wait_of({"Retry-After": "soon"}) is None
    assert wait_of({"Retry-After": "9" * 400}) == 10**6
    assert wait_of({"Retry-After": " 20 "}) == 20
    date = formatdate(time.time() + 100, usegmt=True)
    assert 90 < (wait_of({"Retry-After": date}) or 0) <= 100
    assert wait_of({"Retry-After": formatdate(0, usegmt=True)}) == 0
    assert wait_of({"RateLimit": '"api";r=0;t=55'}) == 55
