"""A built-in model for the hub: what `transformers` and this program make of the folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from gpt2 import Tokenizer, load
from gpt2.cli import main as command_line
from gpt2.sampling import USUAL, SamplingOptions
from gpt2.tokenizer import OwnTokenizer
from tests.tokenizer.test_files import SCRIPTS, TEXTS

SIZES = ("tiny", "mini")
STORY = "Once upon a time there was a little fox who lived in the wood. "


def publish(monkeypatch: pytest.MonkeyPatch, size: str, folder: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["gpt2", "publish", "--size", size, str(folder)])
    return command_line.main()


@pytest.fixture(scope="module", params=SIZES)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / str(request.param)
    with pytest.MonkeyPatch.context() as patch:
        assert publish(patch, request.param, folder) == 0
    return folder


def test_transformers_computes_our_logits(published: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(published).eval()
    assert model.dtype == torch.float32, "the weights are stored in 16 bits"
    engine = load(published.name, "float32")
    ids = engine.encode(STORY * 8)
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(theirs, np.asarray(engine.logits(ids)), atol=1e-4)


def test_transformers_computes_the_same_from_the_assets(published: Path) -> None:
    folder = Path(__file__).parents[2] / "assets" / published.name
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float32


def test_transformers_counts_our_ids(published: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(published)
    ours = Tokenizer(8192)
    assert len(theirs) == 8192 and theirs.model_max_length == 512
    assert theirs.eos_token_id == theirs.bos_token_id == 8191
    for text in (*TEXTS, *SCRIPTS.values(), STORY):
        if "<|endoftext|>" not in text:  # there it ends a text, though it is typed
            assert theirs(text)["input_ids"] == ours.encode(text), text
    assert theirs.decode(ours.encode(STORY)) == STORY


def test_transformers_samples_as_the_page_does(published: Path) -> None:
    said = GenerationConfig.from_pretrained(published)
    assert (said.temperature, said.top_k, said.top_p) == (USUAL.temperature, 0, USUAL.top_p)
    assert said.do_sample and said.eos_token_id == 8191


def test_this_program_writes_the_same_from_the_folder(published: Path) -> None:
    built_in, folder = load(published.name), load(str(published))
    options = SamplingOptions(0.8, seed=1)
    assert folder.complete(STORY, options, 40) == built_in.complete(STORY, options, 40)
    assert folder.tokenizer.name == built_in.tokenizer.name, "so one can draft for the other"


def test_a_vocabulary_cut_short_is_read_as_fast_as_our_own(published: Path) -> None:
    ours, own = Tokenizer(8192), Tokenizer.for_folder(published, 8192, [8191])
    assert isinstance(own, OwnTokenizer)
    text = STORY * 2000 + "".join(SCRIPTS.values())

    def seconds(tokenizer: Tokenizer) -> float:
        began = time.perf_counter()
        tokenizer.encode(text)
        return time.perf_counter() - began

    assert own.encode(text) == ours.encode(text) and own.cuts(text) == ours.cuts(text)
    # Merging in Python takes twenty times as long.
    assert min(seconds(own) for _ in range(5)) < 3 * min(seconds(ours) for _ in range(5))


def test_the_card_has_what_the_hub_asks(published: Path) -> None:
    _, front, card = (published / "README.md").read_text("utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["library_name"] == "transformers" and front["pipeline_tag"] == "text-generation"
    assert front["license"] == "mit" and front["language"] == "en" and front["tags"]
    assert "](../" not in card and "## Data" in card
    here = {
        path.name for path in published.iterdir() if "packed" not in path.name
    }  # our own copies
    assert sorted(here) == [
        "README.md", "config.json", "curve.csv", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json", "vocab.bpe.LICENSE",
    ]  # fmt: skip


def test_a_folder_that_is_not_empty_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("here")
    assert publish(monkeypatch, "tiny", tmp_path) == 2
    assert "is not empty" in capsys.readouterr().err
    assert publish(monkeypatch, "tiny", tmp_path / "mine") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "here"
