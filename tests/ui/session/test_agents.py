"""Agents over MCP, with the protocol's own client against the running program."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gpt2 import load
from gpt2.sampling import USUAL
from gpt2.ui.session.agents import Callers
from tests.asynchronous import run as run_async
from tests.browser.server import App, serve
from tests.small import until

TOOLS = {"generate", "attention", "compare", "score", "tokens", "lens", "effects"}
CANARY = "Rumpelstiltskin's gold"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """With one text for each visitor, and no proxy that is believed."""
    where = tmp_path_factory.mktemp("agents")
    with serve(
        where, GPT2_MCP="1", GPT2_PER_VISITOR="1", FORWARDED_ALLOW_IPS="192.0.2.1"
    ) as served:
        yield served


def session(app: App, use: Any, address: str = "127.0.0.1") -> Any:
    """What `use` returns, which is given a session of the protocol's client at `address`."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> Any:
        path = f"{app.url}gradio_api/mcp/"
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with (
            httpx.AsyncClient(transport=transport, timeout=60) as sent,
            streamable_http_client(path, http_client=sent) as (read, write, _),
            ClientSession(read, write) as connected,
        ):
            await connected.initialize()
            return await use(connected)

    return run_async(talk())


def call(app: App, tool: str, arguments: dict[str, Any], address: str = "127.0.0.1") -> Any:
    """The answer of one tool."""

    async def use(connected: Any) -> Any:
        return await connected.call_tool(tool, arguments)

    return session(app, use, address)


@pytest.mark.mcp
def test_the_tools_are_the_calls_for_scripts_with_every_parameter_described(app: App) -> None:
    async def use(connected: Any) -> Any:
        return (await connected.list_tools()).tools

    tools = {tool.name: tool for tool in session(app, use)}
    assert set(tools) == TOOLS
    for tool in tools.values():
        assert len(tool.description) > 60
        for name, schema in tool.inputSchema["properties"].items():
            assert len(schema["description"]) > 30, f"{tool.name}: {name}"
    assert tools["generate"].inputSchema["required"] == ["prompt"]


@pytest.mark.mcp
def test_an_agent_gets_what_a_script_gets(app: App) -> None:
    written = call(app, "generate", {"prompt": "Once upon a time", "new_tokens": 20, "seed": 1})
    engine = load("tiny")
    assert written.content[0].text == engine.complete(
        "Once upon a time", replace(USUAL, seed=1), 20
    )

    seen = call(app, "attention", {"size": "tiny", "text": "The old bear", "layer": 2, "head": 1})
    # Gradio writes values as Python does.
    tokens = literal_eval(seen.content[0].text)["tokens"]
    assert tokens == engine.attention("The old bear", 2, 1).tokens

    wanted = {"prompt": "Once upon", "sizes": ["tiny", "mini"], "new_tokens": 5}
    compared = literal_eval(call(app, "compare", wanted).content[0].text)["sizes"]
    assert set(compared) == {"tiny", "mini"}
    for found in compared.values():
        assert found["written"] and found["bits_per_byte"] > 0
    scored = call(app, "score", {"text": "Once upon a time", "sizes": ["tiny"]})
    assert literal_eval(scored.content[0].text)[0]["total_bits"] > 0


@pytest.mark.mcp
def test_a_wish_that_cannot_be_gets_its_sentence_and_no_text_reaches_the_log(app: App) -> None:
    refused = call(app, "generate", {"prompt": CANARY, "temperature": 9})
    assert refused.isError
    assert "Temperature must be from 0 to 2, not 9.0." in refused.content[0].text
    assert call(app, "generate", {"prompt": CANARY, "new_tokens": "many"}).isError
    assert call(app, CANARY, {"prompt": CANARY}).isError
    for body in ({"jsonrpc": "2.0", "id": 1, "method": CANARY, "params": {"a": CANARY}}, [CANARY]):
        answer = httpx.post(
            f"{app.url}gradio_api/mcp/",
            json=body,
            headers={"Accept": "application/json, text/event-stream"},
        )
        assert answer.status_code < 500
    assert CANARY not in app.log.read_text("utf-8")
    assert "Traceback" not in app.log.read_text("utf-8")


@pytest.mark.mcp
def test_each_agent_counts_as_himself_though_this_server_calls_for_him(app: App) -> None:
    def writing() -> int:
        return int(httpx.get(f"{app.url}health").json()["requests"]["running"])

    wanted = {"prompt": "Once", "new_tokens": 500, "seed": 1, "size": "mini"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, app, "generate", wanted, "127.0.0.2")
        assert until(lambda: writing() == 1, 60)
        few = {"prompt": "Once", "new_tokens": 3}
        assert not call(app, "generate", few, "127.0.0.3").isError
        mine = call(app, "generate", few, "127.0.0.2")
        assert mine.isError and "You have 1 texts in line" in mine.content[0].text
        assert not first.result(60).isError


@pytest.mark.mcp
@pytest.mark.parametrize("path", ["sse", "messages/", "http", "http/", "schema/x", "../upload"])
def test_only_the_newer_protocol_is_open(app: App, path: str) -> None:
    assert httpx.post(f"{app.url}gradio_api/mcp/{path}", json={}).status_code == 404


@pytest.mark.mcp
def test_the_schema_that_the_hub_reads_is_there(app: App) -> None:
    names = {tool["name"] for tool in httpx.get(f"{app.url}gradio_api/mcp/schema").json()}
    assert names == TOOLS


def test_by_itself_the_way_is_closed(url: str) -> None:
    for path in ("gradio_api/mcp", "gradio_api/mcp/", "gradio_api/mcp/schema"):
        assert httpx.get(f"{url}{path}").status_code == 404


def request(path: str, **headers: str) -> dict[str, Any]:
    listed = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return {"type": "http", "path": path, "headers": listed, "client": ("192.0.2.9", 5)}


def test_a_caller_is_believed_with_the_secret_alone() -> None:
    callers = Callers()
    asked = request("/gradio_api/mcp/", x_gpt2_caller="guess 203.0.113.1")
    callers.settle(asked)
    (mark,) = [text for name, text in asked["headers"] if name == b"x-gpt2-caller"]
    assert mark.endswith(b" 192.0.2.9")

    looped = request("/gradio_api/queue/join", x_gpt2_caller=mark.decode())
    looped["client"] = ("127.0.0.1", 5)
    callers.settle(looped)
    assert looped["client"][0] == "192.0.2.9"
    assert not looped["headers"], "nobody further in is shown the secret"

    invented = request("/gradio_api/queue/join", x_gpt2_caller="guess 203.0.113.1")
    callers.settle(invented)
    assert invented["client"][0] == "192.0.2.9"
    Callers().settle(other := request("/gradio_api/queue/join", x_gpt2_caller=mark.decode()))
    assert other["client"] == ("192.0.2.9", 5), "another server's secret"
