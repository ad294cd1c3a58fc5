"""pytest -m gpu: on an NVIDIA GPU, what holds on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gpt2 import SIZES, Engine, SamplingOptions, Tokenizer, load
from gpt2.bench.divergence import divergence
from gpt2.checkpoint import save_model
from gpt2.config import GPT2Config
from gpt2.engine import Event
from gpt2.model import GPT2Model
from gpt2.precision import AUTO, choose_precision
from gpt2.runtime.device import GPU, device_memory, wanted_device
from gpt2.sampling import GREEDY
from tests.bench.test_divergence import CHECKPOINTS, MODEL
from tests.small import together

pytestmark = pytest.mark.gpu

STANDIN = Path(__file__).parents[1] / "serving" / "standin"
PROMPT = "Once upon a time there was a little fox"
PRECISIONS = ["float32", "float16"]


def saved(model: GPT2Model, folder: Path, precision: str) -> Engine:
    """The model as it is loaded on the GPU."""
    save_model(model, folder, {}, torch.float32)
    return load(str(folder), precision, device=GPU)


@pytest.fixture(scope="module")
def random_small() -> GPT2Model:
    """124M parameters, with scores wide enough that no head looks everywhere alike."""
    torch.manual_seed(1)
    model = GPT2Model.from_config(SIZES["small"].config).eval().requires_grad_(False)
    for block in model.h:
        block.attn.c_attn.weight *= 3
    return model


def test_a_gpu_is_what_a_model_is_loaded_on() -> None:
    assert wanted_device() == GPU
    assert choose_precision(AUTO, SIZES["small"].config, GPU) == "float32"
    assert device_memory(GPU) > 2**30
    engine = load("tiny")
    assert engine.model.ln_f.weight.is_cuda


@pytest.mark.parametrize("length", [48, 1024])
def test_float32_is_the_cpus_float32(random_small: GPT2Model, length: int, tmp_path: Path) -> None:
    ids = torch.arange(length)[None] * 41 % SIZES["small"].config.vocab_size
    there = saved(random_small, tmp_path, "float32").model(ids.to(GPU)).cpu()
    largest = (there - random_small(ids)).abs().max().item()
    print(f"124M at {length} tokens: largest difference of logits {largest:.1e}")
    assert largest < 1e-4


def test_greedy_text_is_the_cpus() -> None:
    here, there = load("tiny", device="cpu"), load("tiny", device=GPU)
    for prompt in (PROMPT, "The sea", "", '"Oh, look!" cried Alice, and', "In the morning"):
        ids = here.encode(prompt)
        assert there.generate_ids(ids, 128) == here.generate_ids(ids, 128)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_predictions_stay_near(checkpoint: str, precision: str, tmp_path: Path) -> None:
    start = torch.full((4, 1), MODEL.config.vocab_size - 1)
    texts = MODEL.generate(start, 150, temperature=1.0, seed=5).tolist()
    reference = saved(MODEL, tmp_path / "reference", "float32")
    other = saved(CHECKPOINTS[checkpoint](), tmp_path / "other", precision)
    found = divergence(reference, other, texts)
    print(checkpoint, precision, found)
    assert found.mean < (1e-6 if precision == "float32" else 1e-4)
    assert abs(found.loss) < 0.003


def runs(engine: Engine, layers: range) -> Iterator[Callable[[], list[Event]]]:
    """Eight different requests, some watched."""
    for number in range(8):
        options = SamplingOptions(temperature=1.1, top_p=0.95, seed=number) if number else GREEDY
        text = " ".join([PROMPT] * (1 + 5 * number))
        watched = layers if number % 2 else range(0)
        yield lambda o=options, t=text, w=watched: list(engine.stream(t, o, 60, attention=w))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_text_is_the_same_in_any_company(precision: str) -> None:
    engine = load("mini", precision, device=GPU)
    tasks = list(runs(engine, range(engine.config.num_blocks)))
    alone = [task() for task in tasks]
    for one, other in zip(alone, together(*tasks), strict=True):
        assert isinstance(other, list), other
        assert [(e.token, e.fed, e.text) for e in one] == [(e.token, e.fed, e.text) for e in other]
        for a, b in zip(one, other, strict=True):
            for layer, rows in a.attention.items():
                assert np.array_equal(rows, b.attention[layer])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_live_rows_are_those_of_one_pass_over_the_text(precision: str) -> None:
    engine = load("tiny", precision, device=GPU)
    ids = engine.encode(PROMPT)
    events = list(engine.stream(ids, GREEDY, 40, attention=[3]))
    text = [*ids, *(e.token for e in events if e.token is not None)]
    whole = engine.attention_rows(text, 3)
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-5)
    read = 0
    for event in events:
        if event.fed:
            rows = event.attention[3]
            end = read + event.fed
            exact = 1e-5 if precision == "float32" else 2e-3  # a pass of one row sums otherwise
            np.testing.assert_allclose(rows, whole[:, read:end, : rows.shape[-1]], atol=exact)
            read = end
    assert read == len(text) - 1


def test_a_draft_changes_no_text() -> None:
    engine, draft = load("mini", device=GPU), load("tiny", device=GPU)
    ids = engine.encode(PROMPT)
    assert engine.generate_ids(ids, 100, draft=draft) == engine.generate_ids(ids, 100)


def test_a_full_gpu_is_told_and_the_next_run_goes_on() -> None:
    engine = load("tiny", device=GPU)
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(int(free) - 2**20, dtype=torch.uint8, device=GPU)
    wide = GPT2Config(400, 2048, 32, 64, 4, 1024)
    with pytest.raises(torch.OutOfMemoryError):
        model = GPT2Model.from_config(wide).to(GPU)
        Engine.from_model(model, Tokenizer(400)).complete("a", GREEDY, 2)
    del hog
    torch.cuda.empty_cache()
    assert engine.complete(PROMPT, GREEDY, 5)


ZERO_GPU = """
import json, sys
sys.path.insert(0, sys.argv[1])
import spaces
from gpt2.sampling import SamplingOptions
from gpt2.serving import zero_gpu
engine = zero_gpu.loader()("tiny", lambda: False)
where = spaces.GPU(lambda: iter([str(zero_gpu._engine("tiny").model.ln_f.weight.device)]),
                   duration=lambda: 1)
events = list(engine.stream("Once upon a time", SamplingOptions(0.8, seed=3), 30, attention=[2]))
import torch
print(json.dumps({"far": list(where()), "here": str(engine.model.ln_f.weight.device),
                  "initialised": torch.cuda.is_initialized(),
                  "text": "".join(e.text for e in events), "rows": sum(e.fed for e in events)}))
"""


def test_a_lent_gpu_is_used_by_the_other_process_alone() -> None:
    command = [sys.executable, "-c", ZERO_GPU, str(STANDIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["far"] == ["cuda:0"]
    assert said["here"] == "cpu"
    assert not said["initialised"]
    alone = load("tiny", device=GPU).complete("Once upon a time", SamplingOptions(0.8, seed=3), 30)
    assert said["text"] == alone
