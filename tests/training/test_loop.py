"""Training: the loss falls, and an interrupted run ends where an uninterrupted one does."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.tokenizer import Tokenizer
from gpt2.training.corpus import tokenize
from gpt2.training.evaluation import bits_per_byte
from gpt2.training.loop import Report, Trainer
from gpt2.training.optimizer import optimizers_for
from gpt2.training.plan import Plan, decay_starts, learning_rate

TOKENIZER = Tokenizer(300)
CONFIG = GPT2Config(300, 32, 2, 16, 2, 40, dropout_rate=0.1)
PLAN = Plan(steps=40, batch=4, peak_rate=2e-2, seed=1, warm_up=5, repeats=0.1)


def made_up_corpus() -> list[str]:
    """A few kilobytes of sentences with something to learn in them."""
    who = ["the cat", "a dog", "my friend", "the old man", "her sister", "a bird"]
    what = ["likes", "saw", "drew", "found", "lost", "cannot find"]
    documents = []
    for n in range(36):
        lines = [
            f"{who[(n + k) % 6]} {what[(n * k) % 6]} {who[n * (k + 2) % 6]}." for k in range(4)
        ]
        documents.append("\n".join(lines))
    return documents


DOCUMENTS = made_up_corpus()
IDS = tokenize(DOCUMENTS, TOKENIZER)


def trainer(state_file: Path, plan: Plan = PLAN, config: GPT2Config = CONFIG) -> Trainer:
    torch.manual_seed(plan.seed)
    return Trainer(GPT2Model.from_config(config), IDS, plan, state_file)


def run(state_file: Path, until: int) -> tuple[Trainer, list[Report]]:
    reports: list[Report] = []
    trained = trainer(state_file)
    trained.run(until, reports.append)
    return trained, reports


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, list[Report]]:
    return run(tmp_path_factory.mktemp("run") / "state.pt", PLAN.steps)


def test_the_loss_falls(uninterrupted: tuple[Trainer, list[Report]]) -> None:
    _, reports = uninterrupted
    assert [report.step for report in reports] == list(range(1, 41))
    assert reports[0].loss == pytest.approx(math.log(300), rel=0.05)
    assert sum(report.loss for report in reports[-5:]) / 5 < 0.5 * reports[0].loss
    assert all(report.speed > 0 for report in reports)
    assert [report.rate for report in reports] == [learning_rate(PLAN, step) for step in range(40)]


def test_what_was_learnt_shows_in_bits_per_byte(
    uninterrupted: tuple[Trainer, list[Report]],
) -> None:
    trained, _ = uninterrupted
    untrained = GPT2Model.from_config(CONFIG)
    learnt = bits_per_byte(trained.model, TOKENIZER, DOCUMENTS[:6])
    assert learnt < 0.6 * bits_per_byte(untrained, TOKENIZER, DOCUMENTS[:6])


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_bit(
    uninterrupted: tuple[Trainer, list[Report]], tmp_path: Path
) -> None:
    expected, expected_reports = uninterrupted
    losses = []
    for stop in (1, 23, PLAN.steps):
        torch.rand(stop)  # another process would not have our random state either
        resumed, reports = run(tmp_path / "state.pt", stop)
        losses += [report.loss for report in reports]
    assert losses == [report.loss for report in expected_reports]
    for name, weight in expected.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight), name
    for ours, theirs in zip(resumed.optimizers, expected.optimizers, strict=True):
        found = ours.state_dict()["state"]
        for index, moments in theirs.state_dict()["state"].items():
            for name, value in moments.items():
                assert torch.equal(found[index][name], value), name


def test_a_run_may_be_lengthened_until_its_rate_falls(tmp_path: Path) -> None:
    state_file = tmp_path / "state.pt"
    longer = dataclasses.replace(PLAN, steps=60)
    trainer(state_file).run(decay_starts(PLAN), lambda report: None)
    lengthened = trainer(state_file, longer)
    lengthened.run(35, lambda report: None)
    at_once = trainer(tmp_path / "other.pt", longer)
    at_once.run(35, lambda report: None)
    for name, weight in at_once.model.state_dict().items():
        assert torch.equal(lengthened.model.state_dict()[name], weight), name
    trainer(tmp_path / "late.pt").run(decay_starts(PLAN) + 1, lambda report: None)
    with pytest.raises(ValueError, match=r"'steps': 40.*'steps': 60"):
        trainer(tmp_path / "late.pt", longer)


def test_a_kill_between_saves_goes_on_from_the_last_one(tmp_path: Path) -> None:
    state_file = tmp_path / "state.pt"

    def killed_at_7(report: Report) -> None:
        if report.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(state_file).run(PLAN.steps, killed_at_7, save_seconds=0)
    assert trainer(state_file).step == 6
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize(
    ("plan", "config", "message"),
    [
        (dataclasses.replace(PLAN, batch=8), CONFIG, "made with plan .*'batch': 4.*'batch': 8"),
        (PLAN, dataclasses.replace(CONFIG, num_blocks=3), "with config .*: 2.*num_blocks': 3"),
    ],
    ids=["plan", "config"],
)
def test_a_state_of_another_run_is_refused(
    plan: Plan, config: GPT2Config, message: str, tmp_path: Path
) -> None:
    state_file = tmp_path / "state.pt"
    trainer(state_file).save()
    with pytest.raises(ValueError, match=message):
        trainer(state_file, plan, config)


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_state(tmp_path: Path) -> None:
    state_file = tmp_path / "state.pt"
    broken = trainer(state_file)
    broken.save()
    with torch.no_grad():
        broken.model.ln_f.weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        broken.run(PLAN.steps, lambda report: None)
    assert trainer(state_file).model.ln_f.weight.isfinite().all()


def test_the_rate_climbs_stays_and_falls_in_straight_lines() -> None:
    plan = Plan(steps=100, batch=1, peak_rate=2.0, seed=0, warm_up=10)
    rates = [learning_rate(plan, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[10:71] == [2.0] * 61
    assert rates[85] == pytest.approx(1.0)
    assert rates[100] == 0
    assert learning_rate(dataclasses.replace(plan, warm_up=0), 0) == 2.0


def test_every_parameter_is_trained_once_and_only_matrices_decay() -> None:
    model = GPT2Model.from_config(CONFIG)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decay = {
        names[id(parameter)]: group["weight_decay"]
        for optimizer in optimizers_for(model, PLAN)
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(decay) == len(names)
    for name, rate in decay.items():
        is_vector = name.endswith("bias") or ".ln_" in name or name.startswith("ln_")
        assert rate == (0.0 if is_vector else PLAN.weight_decay), name
