"""The page as scripts see it: two typed calls, readable refusals, and no other file served."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urlsplit

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from gpt2 import Engine, load
from gpt2.config import SIZES
from gpt2.sampling import USUAL
from gpt2.ui.page.assets import panel_files, panel_text
from gpt2.ui.page.panel_bundle import bundle, bundled, stub
from gpt2.ui.session.api import Api

PROMPT = "Once upon a time"
SECONDS = 60


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    connection = Client(url, verbose=False, analytics_enabled=False)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load("tiny")


def generate(client: Client, **fields: object) -> list[str]:
    job = client.submit(**{"prompt": PROMPT, **fields}, api_name="/generate")
    job.result(SECONDS)
    return job.outputs()


def test_only_these_calls_are_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")
    named = {"/generate", "/attention", "/compare", "/score", "/tokens", "/lens", "/effects"}
    assert set(endpoints["named_endpoints"]) == named
    assert endpoints["unnamed_endpoints"] == {}


def test_the_calls_are_typed_with_their_defaults(client: Client) -> None:
    described = client.view_api(return_format="dict")["named_endpoints"]
    parameters = {
        call: [
            (p["parameter_name"], p["python_type"]["type"], p["parameter_default"]) for p in info
        ]
        for call, info in ((call, entry["parameters"]) for call, entry in described.items())
    }
    assert parameters["/generate"] == [
        ("prompt", "str", None),
        ("size", "str", "tiny"),
        ("temperature", "float", USUAL.temperature),
        ("new_tokens", "int", 120),
        ("top_k", "int", 0),
        ("top_p", "float", USUAL.top_p),
        ("seed", "int", 0),
        ("draft_with", "str", "off"),
        ("off", "list[list[int]]", []),
    ]
    assert [name for name, _, _ in parameters["/attention"]] == ["size", "text", "layer", "head"]


def test_every_parameter_of_every_call_is_described(client: Client, url: str) -> None:
    """On the API page and by clients; in openapi.json, for programs; each with its default."""
    described = client.view_api(return_format="dict")["named_endpoints"]
    with urllib.request.urlopen(f"{url}gradio_api/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    for call, entry in described.items():
        assert entry["description"].endswith(".") and ":" not in entry["description"]
        body = paths[f"/gradio_api/call/v2{call}"]["post"]["requestBody"]["content"]
        properties = body["application/json"]["schema"]["properties"]
        for parameter in entry["parameters"]:
            words = parameter["python_type"]["description"]
            name = parameter["parameter_name"]
            assert len(words) > 30 and words.endswith("."), f"{call}: {name}: {words!r}"
            assert properties[name]["description"] == words
            assert parameter["label"] == name
            if parameter["parameter_has_default"]:
                # Agents are not told of a default that is 0.
                default = parameter["parameter_default"]
                assert words.endswith(f"Default: {'empty' if default == '' else default}."), name
        (answered,) = entry["returns"]
        assert len(answered["python_type"]["description"]) > 30, call


def test_what_is_said_of_the_sizes_is_so() -> None:
    words = " ".join(f"{call.__doc__}" for call in (Api.generate, Api.attention))
    size, heads = words.split("up to 5 for tiny, mini and distil", 1)[1], words
    assert "512 tokens for tiny and mini, else 1,024" in words
    for name, known in SIZES.items():
        config, short = known.config, name in ("tiny", "mini")
        assert config.max_seq_len == (512 if short else 1024)
        assert f"{config.num_blocks - 1}" in ("5" if short or name == "distil" else size)
        assert f"{config.num_heads - 1}" in heads.split("head: ", 1)[1]


def test_the_text_streams_and_grows_to_the_engine_s_own(client: Client, engine: Engine) -> None:
    texts = generate(client, new_tokens=60, seed=1)
    assert texts[-1] == engine.complete(PROMPT, replace(USUAL, seed=1), 60)
    assert len(texts) > 2
    assert all(later.startswith(text) for text, later in pairwise(texts))


def test_the_same_seed_gives_the_same_text_whatever_others_do(client: Client) -> None:
    def text(seed: int) -> str:
        return generate(client, new_tokens=30, seed=seed)[-1]

    alone = [text(seed) for seed in range(4)]
    assert len(set(alone)) == 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(text, range(4))) == alone


def test_heads_that_are_off_are_off_in_text_and_probabilities(
    client: Client, engine: Engine
) -> None:
    off = [[5, 2], [0, 1], [5, 2]]
    heads = [(0, 1), (5, 2)]
    (*_, text) = generate(client, new_tokens=30, seed=1, off=off)
    ids = engine.encode(PROMPT)
    options = replace(USUAL, seed=1)
    assert text == engine.tokenizer.decode(engine.generate_ids(ids, 30, options, off=heads))
    assert text != engine.complete(PROMPT, options, 30)
    found = client.predict(PROMPT, off=off, api_name="/tokens")
    choices = engine.probabilities(PROMPT, off=heads).choices
    assert [each["probability"] for each in found["tokens"]] == [
        round(choice.probability, 6) for choice in choices if choice
    ]


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (5, 3)])
def test_attention_is_the_engine_s_and_sums_to_1(
    client: Client, engine: Engine, layer: int, head: int
) -> None:
    seen = client.predict("tiny", "The old bear 🦊", layer, head, api_name="/attention")
    expected = engine.attention("The old bear 🦊", layer, head)
    assert seen["tokens"] == expected.tokens
    assert [len(row) for row in seen["weights"]] == list(range(1, len(seen["tokens"]) + 1))
    for i, row in enumerate(seen["weights"]):
        np.testing.assert_allclose(row, expected.weights[i, : i + 1], atol=1e-6)
        assert sum(row) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"prompt": None}, "Prompt must be text."),
        ({"prompt": "x" * 200_000}, "Prompt has 200,000 characters; at most 100,000 can be read."),
        ({"prompt": "a b c " * 300}, "this model reads at most 511. Shorten it by"),
        ({"size": "../tiny"}, "Model size must be one of tiny, mini, distil, small"),
        ({"size": None}, "Model size must be one of tiny, mini, distil, small"),
        ({"temperature": 3}, "Temperature must be from 0 to 2, not 3.0."),
        ({"temperature": "hot"}, "Temperature must be a number from 0 to 2, not 'hot'."),
        ({"temperature": 10**400}, "Temperature must be a number from 0 to 2"),
        ({"new_tokens": 0}, "New tokens must be from 1 to 511, not 0."),
        ({"new_tokens": 512}, "New tokens must be from 1 to 511, not 512."),
        ({"new_tokens": None}, "New tokens must be a whole number from 1 to 511"),
        ({"top_k": -1}, "Top-k must be a whole number from 0 (off) up"),
        ({"top_p": 0}, "Top-p must be above 0 and at most 1"),
        ({"seed": -1}, "Seed must be a whole number from 0 to 2^63 - 1"),
        ({"seed": [1]}, "Seed must be a whole number from 0 to 2^63 - 1"),
        ({"off": [[9]]}, "Off must be pairs of layer and head, both counted from 0"),
        ({"off": "9.9"}, "such as [[9, 9]], not '9.9'."),
        ({"off": [[0, 0.5]]}, "counted from 0, such as [[9, 9]], not 0.5."),
        ({"off": [[6, 0]]}, "There is no head 6.0: layers count from 0 to 5"),
    ],
)
def test_a_wish_that_cannot_be_gets_a_sentence(
    client: Client, fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError) as error:
        generate(client, **fields)
    assert sentence in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (("huge", "x", 0, 0), "Model size must be one of tiny"),
        (("tiny", "x", 6, 0), "Layer must be from 0 to 5, not 6"),
        (("tiny", "x", 0, -1), "Head must be from 0 to 3, not -1"),
        (("tiny", "x", 0.5, 0), "Layer must be a whole number from 0 up, not 0.5."),
        (("tiny", "x", 0, True), "Head must be a whole number from 0 up, not True."),
        (("tiny", "x", "0", 0), "Layer must be a whole number from 0 up, not '0'."),
        (("tiny", None, 0, 0), "Text must be text."),
        (("tiny", "x" * 200_000, 0, 0), "Text has 200,000 characters"),
        (("tiny", "a b c " * 300, 0, 0), "this model reads at most 512"),
    ],
)
def test_a_map_that_cannot_be_gets_a_sentence(
    client: Client, fields: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(AppError) as error:
        client.predict(*fields, api_name="/attention")
    assert sentence in str(error.value)


def get(url: str, path: str) -> tuple[int, bytes]:
    """The path as it stands: other clients would tidy it up first."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_panel_s_files_are_served(url: str) -> None:
    """Modules of the bundle under their names as stubs of it, and as they are below source/."""
    together = bundled()
    assert len(together) > 40
    for path in panel_files().values():
        whole = panel_text(path.name).encode()
        if path.name in together:
            assert get(url, f"/panel/{path.name}") == (200, stub(path.name).encode())
            assert get(url, f"/panel/source/{path.name}") == (200, whole)
        else:
            assert get(url, f"/panel/{path.name}") == (200, whole)
    assert get(url, "/panel/all.js") == (200, bundle().encode())


@pytest.mark.parametrize(
    "path",
    [
        "../vocab.bpe",
        "..%2fvocab.bpe",
        "%2e%2e/vocab.bpe",
        "%2e%2e%2fvocab.bpe",
        "..%5cvocab.bpe",
        "./../vocab.bpe",
        "../../gpt2/config.py",
        "../panel/../vocab.bpe",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "..%252fvocab.bpe",
        "wire.js/../../vocab.bpe",
        "wire.js%00",
        "",
        ".",
        "none.js",
    ],
)
def test_no_other_file_is_served(url: str, path: str) -> None:
    status, body = get(url, f"/panel/{path}")
    assert status in (400, 404, 405, 307)
    assert len(body) < 1000
    assert b"root:" not in body


def test_the_panel_names_only_modules_that_are_there() -> None:
    for file in panel_files().values():
        for module in re.findall(
            r'^(?:import|\}).*"(\.\.?/[\w./]+)";$', file.read_text("utf-8"), re.M
        ):
            assert (file.parent / module).is_file(), f"{file.name} wants {module}"


def test_tokens_are_the_engine_s(client: Client, engine: Engine) -> None:
    found = client.predict("Once upon a time", top_k=1, count=3, api_name="/tokens")
    expected = engine.probabilities("Once upon a time", count=3)
    assert found["start_token"] is True
    for mine, theirs in zip(found["tokens"], expected.choices, strict=True):
        assert mine["probability"] == pytest.approx(theirs.probability, abs=1e-6)
        assert mine["rank"] == theirs.rank
    assert found["tokens"][0]["likeliest"][-1]["cut"] == "removed by top-k"
    alone = client.predict("Once upon a time", start_token=False, api_name="/tokens")
    assert alone["tokens"][0]["probability"] is None


def test_the_lens_is_the_engine_s(client: Client, engine: Engine) -> None:
    found = client.predict("Once upon a time", api_name="/lens")
    assert found["done"] == found["of"] == 1
    ids = engine.encode("Once upon a time", start_token=True)
    expected = engine.lens(ids, [len(ids) - 1])
    (row,) = found["result"]["positions"]
    assert row["position"] == len(ids) - 1
    assert [each["id"] for each in row["guess"]] == expected.guess[0].tolist()
    every = client.predict("Once upon a time", whole_text=True, api_name="/lens")
    assert len(every["result"]["positions"]) == len(ids)


def test_effects_tell_how_far_they_are_and_then_what_they_found(
    client: Client, engine: Engine
) -> None:
    job = client.submit("Once upon a time", against=" a", api_name="/effects")
    found = job.result(SECONDS)["result"]
    assert job.outputs()[0]["done"] == 0
    ids = engine.encode("Once upon a time", start_token=True)
    expected = engine.effects(ids, against=engine.tokenizer.encode(" a")[0])
    assert found["control"] == 0
    np.testing.assert_allclose(found["logits"], expected.logits, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "fields", "sentence"),
    [
        ("/tokens", {"text": None}, "Text must be text."),
        ("/tokens", {"text": "a b c " * 300}, "more than the 512"),
        ("/tokens", {"text": "a", "count": 0}, "Count must be a whole number from 1 to 20"),
        ("/tokens", {"text": "a", "temperature": "hot"}, "Temperature must be a number"),
        ("/tokens", {"text": "a", "size": "../tiny"}, "Model size must be one of"),
        ("/lens", {"text": "a", "position": 9}, "Position must be from 0 to 1, not 9."),
        ("/lens", {"text": "a", "position": "x"}, "Position must be a whole number"),
        ("/effects", {"text": "a", "token": "zebra"}, "A token is wanted here"),
        ("/effects", {"text": "a", "instead": "none"}, "Instead must be zero, mean, bias."),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    client: Client, call: str, fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)):
        client.predict(**fields, api_name=call)
