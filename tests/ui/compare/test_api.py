"""/compare and /score as scripts see them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from gpt2 import Engine, load
from gpt2.sampling import USUAL
from gpt2.scoring import score
from tests.hub_standin import write_gpt2_folder
from tests.small import CONFIG
from tests.ui.conftest import served_page

PROMPT = "Once upon a time"
SECONDS = 60


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "second"
    write_gpt2_folder(folder, CONFIG)
    return folder


@pytest.fixture(scope="module")
def client(second: Path) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPT2_MODEL", str(second))
        with served_page() as url:
            connection = Client(url, verbose=False, analytics_enabled=False)
            yield connection
            connection.close()


@pytest.fixture(scope="module")
def engines(second: Path) -> dict[str, Engine]:
    return {"tiny": load("tiny"), "second": load(str(second))}


def records(client: Client, **fields: object) -> list[dict]:
    wanted = {"prompt": PROMPT, "sizes": ["tiny", "second"], **fields}
    job = client.submit(**wanted, api_name="/compare")
    job.result(SECONDS)
    return [record for record in job.outputs() if record["sizes"]]


def test_the_calls_are_typed_with_their_defaults(client: Client) -> None:
    described = client.view_api(return_format="dict")["named_endpoints"]
    fields = {
        call: [
            (p["parameter_name"], p["python_type"]["type"], p["parameter_default"])
            for p in described[call]["parameters"]
        ]
        for call in ("/compare", "/score")
    }
    assert fields["/compare"] == [
        ("prompt", "str", None),
        ("sizes", "list[str]", None),
        ("temperature", "float", 0.85),
        ("new_tokens", "int", 120),
        ("top_k", "int", 0),
        ("top_p", "float", 0.98),
        ("seed", "int", 0),
    ]
    assert fields["/score"] == [("text", "str", None), ("sizes", "list[str]", None)]
    answers = {
        call: [r["python_type"]["type"] for r in described[call]["returns"]]
        for call in ("/compare", "/score", "/generate", "/attention")
    }
    assert answers == {
        "/compare": [
            "dict(step: int, sizes: dict(str, dict(token: None | int, text: str, seconds: float, "
            "tokens_per_second: None | float, finish: None | str, error: str, "
            "bits_per_byte: float, written: str)))"
        ],
        "/score": [
            "list[dict(size: str, tokens: list[str], bits: list[float], total_bits: float, "
            "bytes: int, bits_per_byte: float, error: str)]"
        ],
        "/generate": ["str"],
        "/attention": ["dict(tokens: list[str], weights: list[list[float]])"],
    }


def test_every_step_brings_each_size_its_own_next_token(
    client: Client, engines: dict[str, Engine]
) -> None:
    found = records(client, new_tokens=12, seed=3)
    steps = [r for r in found if any("token" in news for news in r["sizes"].values())]
    assert [r["step"] for r in steps] == list(range(1, 14))
    for name, engine in engines.items():
        text = "".join(r["sizes"][name]["text"] for r in steps if name in r["sizes"])
        assert text == engine.complete(PROMPT, replace(USUAL, seed=3), 12)
        assert steps[-1]["sizes"][name]["finish"] in ("tokens", "end of text")
        expected = score(engine, PROMPT).bits_per_byte
        assert found[-1]["sizes"][name]["bits_per_byte"] == pytest.approx(expected, abs=1e-6)
        assert found[-1]["sizes"][name]["written"] == text


def test_a_size_that_fails_says_so_and_the_other_goes_on(client: Client) -> None:
    """The second model reads 320 tokens, Tiny 512."""
    found = records(client, prompt="a b " * 200, new_tokens=3)
    errors = [r["sizes"]["second"] for r in found if "second" in r["sizes"]]
    assert len(errors) == 2 and errors[0] == errors[1], "when it fails, and at the end"
    assert "this model reads at most" in errors[0]["error"]
    assert [r["sizes"]["tiny"]["finish"] for r in found if "finish" in r["sizes"].get("tiny", {})][
        -1
    ] == "tokens"


def test_scores_are_the_engines_and_cover_the_text(
    client: Client, engines: dict[str, Engine]
) -> None:
    text = "The old bear 🦊 ran."
    for found in client.predict(text, ["tiny", "second"], api_name="/score"):
        expected = score(engines[found["size"]], text)
        assert found["bits"] == pytest.approx(expected.bits.tolist(), abs=1e-6)
        assert math.fsum(found["bits"]) == pytest.approx(found["total_bits"], abs=1e-6)
        assert found["bits_per_byte"] == found["total_bits"] / found["bytes"]
        assert len(found["tokens"]) == len(found["bits"])
    [alone] = client.predict("x y " * 200, ["second"], api_name="/score")
    assert "The text has" in alone["error"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sizes": ["tiny"]}, "Choose 2 to 4 different sizes under Sizes, not tiny."),
        ({"sizes": ["tiny", "tiny"]}, "Choose 2 to 4 different sizes under Sizes"),
        ({"sizes": ["tiny", "../x"]}, "Model size must be one of tiny"),
        ({"sizes": "tiny"}, "Choose 2 to 4 different sizes under Sizes, from tiny"),
        ({"sizes": [{}, None]}, "Model size must be one of tiny"),
        ({"temperature": 3}, "Temperature must be from 0 to 2, not 3.0."),
        ({"new_tokens": 0}, "New tokens must be from 1 to"),
        ({"prompt": None}, "Prompt must be text."),
        ({"seed": -1}, "Seed must be a whole number from 0 to 2^63 - 1"),
    ],
)
def test_a_wish_that_cannot_be_gets_a_sentence(
    client: Client, fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError) as error:
        records(client, **fields)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "sizes", "sentence"),
    [
        ("", ["tiny"], "There is no text to score."),
        (None, ["tiny"], "Text must be text."),
        ("x", [], "Choose 1 to 4 different sizes under Sizes, not none."),
    ],
)
def test_a_score_that_cannot_be_gets_a_sentence(
    client: Client, text: object, sizes: object, sentence: str
) -> None:
    with pytest.raises(AppError) as error:
        client.predict(text, sizes, api_name="/score")
    assert sentence in str(error.value)
