"""GPT2Model from outside: how it is called, what it holds, how it starts and what it refuses."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gpt2 import GPT2Model
from gpt2.config import SIZES, GPT2Config
from gpt2.model import causal_attention
from tests.reference import MASK, loss_of, ours, random_checkpoint, random_ids

CONFIG = GPT2Config(61, 21, 3, 7, 3, 19, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))


def seed_call(num_blocks: int) -> None:
    """The call of the first README, word for word but for the number of blocks."""
    model = GPT2Model(
        vocab_size=50257,
        embedding_dimension=1600,
        num_heads=25,
        hidden_dimension=64,
        num_blocks=num_blocks,
        max_seq_len=1024,
        hidden_dimension_factor=4,
        dropout_rate=0.1,
    )
    input_ids = torch.tensor([[464, 3290]])
    with torch.no_grad():
        assert model(input_ids).shape == (1, 2, 50257)
    ids = model.generate(input_ids=input_ids, max_new_tokens=100, temperature=0.8)
    assert ids.shape == (1, 102)
    assert torch.equal(ids[:, :2], input_ids)
    assert all(0 <= id_ < 50257 for id_ in ids.flatten().tolist())


def test_the_first_readme_s_call_works() -> None:
    seed_call(num_blocks=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_readme_s_call_works_at_its_full_48_blocks() -> None:
    seed_call(num_blocks=48)


def test_the_state_is_the_hub_s_without_masks() -> None:
    expected = {name for name in random_checkpoint(CONFIG) if not name.endswith(MASK)}
    assert set(GPT2Model.from_config(CONFIG).state_dict()) == expected
    assert not list(GPT2Model.from_config(CONFIG).buffers())


@pytest.mark.parametrize("size", list(SIZES))
def test_the_parameter_count_is_what_the_model_holds(size: str) -> None:
    with torch.device("meta"):
        model = GPT2Model.from_config(SIZES[size].config)
    assert sum(p.numel() for p in model.parameters()) == SIZES[size].config.num_parameters


def test_one_matrix_reads_and_writes_tokens() -> None:
    ids = random_ids(CONFIG, batch=1, length=5)
    with torch.no_grad():
        hidden = MODEL.hidden(ids)
        torch.testing.assert_close(MODEL(ids), hidden @ MODEL.wte.weight.T)
        torch.testing.assert_close(MODEL.wte(ids)[0, 3], MODEL.wte.weight[ids[0, 3]])


@torch.no_grad()
def test_a_batch_is_its_texts_one_by_one() -> None:
    ids = random_ids(CONFIG, batch=5, length=11)
    alone = torch.cat([MODEL(row[None]) for row in ids])
    torch.testing.assert_close(MODEL(ids), alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_later_token_changes_nothing_before_it() -> None:
    ids = random_ids(CONFIG, batch=1, length=11)
    changed = ids.clone()
    changed[0, 7] = (changed[0, 7] + 1) % CONFIG.vocab_size
    before, after = MODEL(ids)[0], MODEL(changed)[0]
    torch.testing.assert_close(before[:7], after[:7], atol=1e-6, rtol=0)
    assert ((before[7:] - after[7:]).abs().amax(-1) > 1e-3).all()


def test_weights_start_where_gpt2_s_did() -> None:
    torch.manual_seed(0)
    blocks = 8
    model = GPT2Model(4001, 128, 4, 32, blocks, 512)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "ln_" in name:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        else:
            std = 0.02 / math.sqrt(2 * blocks) if name.endswith("c_proj.weight") else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.03), name
            assert abs(parameter.mean().item()) < 0.05 * std, name


def test_an_untrained_model_finds_every_token_about_as_likely() -> None:
    torch.manual_seed(0)
    model = GPT2Model(4001, 128, 4, 32, 4, 64).eval()
    ids = random_ids(model.config, batch=4, length=64)
    with torch.no_grad():
        loss = loss_of(model, ids)
    assert loss.item() == pytest.approx(math.log(4001), rel=0.02)


@pytest.mark.parametrize("place", ["embedding", "attention weights", "attention", "mlp"])
@torch.no_grad()
def test_dropout_acts_in_training_only(place: str) -> None:
    """Each of the four places on its own, the other three switched off."""
    model = ours(CONFIG, random_checkpoint(CONFIG))
    places = {
        "embedding": [model.dropout],
        "attention": [block.attn.dropout for block in model.h],
        "mlp": [block.mlp.dropout for block in model.h],
    }
    for name, modules in places.items():
        for module in modules:
            assert module.p == CONFIG.dropout_rate
            module.p = 0.5 if name == place else 0.0
    attend = None if place == "attention weights" else causal_attention
    ids = random_ids(CONFIG, batch=1, length=19)
    exact = model(ids, attend=attend)
    assert torch.equal(model(ids, attend=attend), exact)
    torch.manual_seed(0)
    model.train()
    one, other = model(ids, attend=attend), model(ids, attend=attend)
    assert (one - other).abs().max() > 1e-2
    assert (one - exact).abs().max() > 1e-2
    model.eval()
    assert torch.equal(model(ids, attend=attend), exact)


def test_no_dropout_rate_means_no_dropout() -> None:
    model = GPT2Model(61, 21, 3, 7, 3, 19, dropout_rate=0).train()
    ids = random_ids(CONFIG, batch=1, length=19)
    with torch.no_grad():
        assert torch.equal(model(ids), model(ids))


def test_generating_is_repeatable_and_the_seed_matters() -> None:
    ids = random_ids(CONFIG, batch=1, length=3)
    first = MODEL.generate(ids, 16)
    assert torch.equal(MODEL.generate(ids, 16), first)
    assert not torch.equal(MODEL.generate(ids, 16, seed=1), first)


def test_a_generated_row_is_what_its_seed_gives_alone() -> None:
    ids = random_ids(CONFIG, batch=4, length=3)
    together = MODEL.generate(ids, 16, temperature=0.9, seed=7)
    for b, row in enumerate(ids):
        alone = MODEL.generate(row[None], 16, temperature=0.9, seed=7 + b)
        assert torch.equal(together[b], alone[0])


def test_going_on_gives_what_one_longer_run_gives() -> None:
    ids = random_ids(CONFIG, batch=1, length=3)
    assert torch.equal(MODEL.generate(MODEL.generate(ids, 6), 10), MODEL.generate(ids, 16))


def test_requests_at_once_get_what_they_get_alone() -> None:
    prompts = [random_ids(CONFIG, batch=1, length=2 + n, seed=n) for n in range(6)]

    def request(n: int) -> torch.Tensor:
        return MODEL.generate(prompts[n], 19 - prompts[n].size(1), temperature=1.2, seed=n)

    alone = [request(n) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for n, ids in enumerate(pool.map(request, [*range(6)] * 5)):
            assert torch.equal(ids, alone[n % 6])


@pytest.mark.parametrize("training", [True, False])
def test_generating_leaves_the_model_as_it_was(training: bool) -> None:
    model = ours(CONFIG, random_checkpoint(CONFIG)).train(training)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = {name: set(vars(module)) for name, module in model.named_modules()}
    model.generate(random_ids(CONFIG, batch=2, length=3), 5)
    assert all(module.training is training for module in model.modules())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == state
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_a_text_may_fill_the_context_but_not_exceed_it() -> None:
    ids = random_ids(CONFIG, batch=1, length=4)
    assert MODEL.generate(ids, 15).shape == (1, 19)
    with pytest.raises(ValueError, match="20 tokens do not fit a context of 19"):
        MODEL.generate(ids, 16)
    with pytest.raises(ValueError, match="20 tokens do not fit a context of 19"):
        MODEL(random_ids(CONFIG, batch=1, length=20))
