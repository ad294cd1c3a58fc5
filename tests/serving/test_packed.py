"""What is sent of a text: what the browser reads, nothing it has, and in the end less."""

from __future__ import annotations

import brotli
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from gpt2.serving.packed import Packed

TEXT = "".join(f"const x{n} = {n * n % 97};\n" for n in range(2000))


@pytest.fixture
def packed() -> Packed:
    return Packed(TEXT, "text/javascript")


@pytest.fixture
def client(packed: Packed) -> TestClient:
    return TestClient(Starlette(routes=[Route("/x.js", packed.answer)]))


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br", "br"), ("gzip", "gzip"), ("identity", None)]
)
def test_it_is_sent_as_the_browser_reads_it(
    client: TestClient, accepted: str, encoding: str | None
) -> None:
    answer = client.get("/x.js", headers={"Accept-Encoding": accepted})
    assert answer.text == TEXT
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (int(answer.headers["content-length"]) < len(TEXT) / 2) == (encoding is not None)


def test_what_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/x.js").headers["etag"]
    again = client.get("/x.js", headers={"If-None-Match": f"W/{tag}"})
    assert (again.status_code, again.content) == (304, b"")


def test_packed_well_it_is_smaller_and_the_same(packed: Packed, client: TestClient) -> None:
    packed.pack_well()
    answer = client.get("/x.js", headers={"Accept-Encoding": "br"})
    assert answer.text == TEXT
    assert int(answer.headers["content-length"]) < len(brotli.compress(TEXT.encode(), quality=5))


def test_what_has_an_address_of_its_own_is_kept(client: TestClient) -> None:
    assert client.get("/x.js").headers["cache-control"] == "no-cache"
    forever = Packed(TEXT, "text/css", forever=True)
    answer = TestClient(Starlette(routes=[Route("/x.css", forever.answer)])).get("/x.css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
