"""A draft that is told what to say is right as often as it was told, and its ceiling is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpt2 import SamplingOptions
from gpt2.bench.drafting import Foreseeing, ceiling, gain, kept
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.sampling import GREEDY
from tests.small import small_engine

ENGINE = small_engine()
IDS = [5, 6, 7]


@pytest.mark.parametrize(
    ("acceptance", "best"),
    [(0.6, 1.54), (0.7, 1.80), (0.8, 2.16)],
)
def test_ceilings_are_those_of_the_paper_with_growing_passes(
    acceptance: float, best: float
) -> None:
    assert ceiling(acceptance, draft_cost=0.10, row_cost=0.042) == pytest.approx(best, abs=0.03)


@pytest.mark.parametrize("acceptance", [0.0, 0.6, 1.0])
def test_a_told_draft_is_right_as_often_as_it_was_told(acceptance: float) -> None:
    text = [*IDS, *ENGINE.generate_ids(IDS, 200), 1]
    told = Scheduler(Foreseeing(TorchExecutor(ENGINE.model), text, acceptance))
    found = gain(ENGINE.source, told, IDS, 200, GREEDY, rounds=1)
    assert found.alone > 0
    assert abs(found.acceptance - acceptance) < 0.25


def test_a_model_keeps_all_of_its_own_guesses_by_both_rules() -> None:
    found = kept(ENGINE, ENGINE, list(range(60)), SamplingOptions(seed=1))
    assert found.shared_noise == 1
    assert found.rejection == pytest.approx(1, abs=1e-5)


def test_rejection_keeps_at_least_as_many_guesses_of_another() -> None:
    other = small_engine()
    other.model.wte.weight.data.mul_(0.8)
    found = kept(ENGINE, other, list(range(300)), SamplingOptions(seed=1))
    assert 0 < found.shared_noise < 1
    assert found.shared_noise < found.rejection + 0.06  # one draw a place against its expectation


def test_the_command_says_what_was_kept_and_gained(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The old bear saw the little bear.")
    command = [sys.executable, "-m", "gpt2", "bench-drafting", "--size", "tiny"]
    few = ["--draft-with", "tiny", "--new-tokens", "12", "--rounds", "1"]
    run = subprocess.run(
        [*command, *few, "--text", str(text)], capture_output=True, text=True, check=True
    )
    assert "kept by shared noise 1.000, by rejection 1.000" in run.stdout
    assert run.stdout.count("1.00 of the guesses right") == 4
    refused = subprocess.run([*command, *few, "--acceptance", "2"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--acceptance must be from 0 to 1" in refused.stderr
