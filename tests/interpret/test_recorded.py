"""The real GPT-2 measured as others measured it: `pytest -m hub` downloads it.

`tests/golden/inside_gpt2.json` says where each number was recorded. TransformerLens moves value
biases into the output bias, so what it calls zero is our "bias", and its heads are ours without
their constants.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gpt2 import Engine, load
from gpt2.inference.steps import Request
from gpt2.interpret.attribution import Attribution, Changes, attribution
from gpt2.sampling import softmax

pytestmark = [pytest.mark.hub, pytest.mark.timeout(7200)]

RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "inside_gpt2.json").read_text())
IOI = RECORDED["ioi8"]
SINGLE = RECORDED["single"]
NEAR = 5e-3


@cache
def small() -> Engine:
    return load("small", "float32")


def ids_of(prompt: str) -> list[int]:
    return small().encode(prompt, new_tokens=0, start_token=True)


def token(text: str) -> int:
    (found,) = small().tokenizer.encode(text)
    return found


def prompts() -> list[tuple[list[int], int, int]]:
    """Each prompt with its answer and the other name."""
    pairs = zip(IOI["prompts"], IOI["answers"], strict=True)
    return [(ids_of(prompt), token(right), token(wrong)) for prompt, (right, wrong) in pairs]


@cache
def attributions() -> list[Attribution]:
    return [small().attribution(ids, -1, right, wrong) for ids, right, wrong in prompts()]


def test_the_likeliest_next_tokens() -> None:
    recorded = SINGLE["after_john_mary_top10"]
    following = small().probabilities(recorded["prompt"]).following
    assert following is not None
    found = {each.token: 100 * each.before for each in following.likeliest}
    assert list(found) == [token(text) for text, _ in recorded["top"]]
    for text, percent in recorded["top"]:
        assert found[token(text)] == pytest.approx(percent, abs=0.05)
    the = token(" The")
    after_mat = softmax(small().logits(ids_of(SINGLE["cat_mat"]["prompt"]))[-1])
    assert after_mat[the] == pytest.approx(SINGLE["cat_mat"]["p(' The')"], abs=1e-3)


def test_the_start_token_changes_the_answer() -> None:
    recorded = SINGLE["claire"]
    claire, mary = token(" Claire"), token(" Mary")
    for start, lead in (
        (True, recorded["logit Claire-Mary with BOS"]),
        (False, recorded["without BOS"]),
    ):
        ids = small().encode(recorded["prompt"], new_tokens=0, start_token=start)
        logits = small().logits(ids)[-1]
        assert logits[claire] - logits[mary] == pytest.approx(lead, abs=NEAR)


def test_the_logit_differences_of_eight_prompts() -> None:
    found = [each.true for each in attributions()]
    assert found == pytest.approx(IOI["logit_diff_per_prompt"], abs=NEAR)
    assert all(abs(each.error) < 1e-4 for each in attributions())


def test_what_each_head_and_layer_adds() -> None:
    heads = np.mean([each.heads - each.constants for each in attributions()], axis=0)
    np.testing.assert_allclose(heads, IOI["per_head_dla"], atol=NEAR)
    stages = np.mean([each.accumulated for each in attributions()], axis=0)
    np.testing.assert_allclose(stages, list(IOI["accumulated_frozen_ln"].values()), atol=NEAR)
    mlps = np.mean([each.mlps for each in attributions()], axis=0)
    recorded = [IOI["per_layer_dla"][f"{layer}_mlp_out"] for layer in range(12)]
    np.testing.assert_allclose(mlps, recorded, atol=NEAR)


def test_what_each_head_adds_to_one_prompt() -> None:
    recorded = RECORDED["dla_one_prompt"]
    found = small().attribution(ids_of(recorded["prompt"]), -1, token(" Mary"), token(" John"))
    for name, share in recorded["top"].items():
        head = tuple(map(int, name.split(".")))
        assert (found.heads - found.constants)[head] == pytest.approx(share, abs=NEAR)


def test_the_last_norm_s_bias_prefers_frequent_tokens() -> None:
    readout = small().readout
    bias = readout.embedding @ readout.bias
    bias -= bias.mean()
    for text in (" John", " Mary"):
        assert bias[token(text)] == pytest.approx(SINGLE["unembed_bias"][text], abs=NEAR)


def test_later_heads_make_up_for_one_that_is_off() -> None:
    recorded = IOI["ablate_9.9_last_position"]
    head = (9, 9)
    left = []
    for ids, right, wrong in prompts():
        found = small().effects(ids, right, wrong, "bias", [head], everywhere=False)
        assert found.control == 0
        left.append(found.logit + found.logits[head])
    assert np.mean(left) == pytest.approx(recorded["post"], abs=0.01)
    off = {head: small().readout.value_biases[head]}
    after = [
        attribution(
            small().source,
            small().readout,
            ids,
            -1,
            right,
            wrong,
            Changes(off, len(ids) - 1),
            lambda: False,
        )
        for ids, right, wrong in prompts()
    ]
    heads = np.mean([each.heads - each.constants for each in after], axis=0)
    np.testing.assert_allclose(
        heads, IOI["per_head_dla_after_zeroing_9.9_last_position"], atol=0.01
    )
    scales = [each.scale for each in after]
    assert scales == pytest.approx(recorded["ln_f_scale_ablated"], abs=0.02)


def test_a_sentence_without_one_head() -> None:
    recorded = SINGLE["gpt2_paper_sentence"]
    ids = ids_of(recorded["text"])

    def loss(off: dict[tuple[int, int], np.ndarray | None]) -> float:
        steps = small().source.steps(Request(ids[:-1], logits_from=0, heads_off=off))
        logits = np.concatenate([step.logits for step in steps if step.logits is not None])
        likely = softmax(logits.astype(np.float64))[np.arange(len(ids) - 1), ids[1:]]
        return float(-np.log(likely).mean())

    assert loss({}) == pytest.approx(recorded["loss"], abs=NEAR)
    without = loss({(0, 8): small().readout.value_biases[0, 8]})
    assert without == pytest.approx(
        recorded["loss_with_v_of_0.8_zeroed_everywhere_bias_kept"], abs=0.01
    )


def test_the_answer_moves_from_the_name_to_the_end_between_layers_7_and_9() -> None:
    leads = []
    every = prompts()
    for number, (ids, right, wrong) in enumerate(every):
        corrupted = every[number ^ 1][0]
        found = small().patching(ids, corrupted, right, wrong)
        assert found.control == 0
        span = found.clean_lead - found.corrupted_lead
        leads.append(found.restored * span + found.corrupted_lead)
    mean = IOI["mean"]
    restored = (np.mean(leads, axis=0) + mean) / (2 * mean)
    np.testing.assert_allclose(restored, IOI["patched_residual_layer_by_position"], atol=0.01)


@pytest.mark.slow
def test_the_sink_of_xl_moves_with_the_first_position() -> None:
    """Gu et al. 2024, table 7: one token repeated 64 times; the share of heads whose mean weight on
    a token is above 0.3, for the first and for the t-th, when their positions trade places."""
    engine = load("xl", "float32")
    recorded = RECORDED["sinks_2410.10781_gpt2_xl"]["swap_p1_with_p_t_on_repeat"]["5"]
    shares = []
    layers = range(engine.config.num_blocks)
    for repeated in (464, 1169, 3290, 11241):
        on = {}
        request = Request([repeated] * 64, watched=lambda: layers, positions={0: 4, 4: 0})
        (step,) = engine.source.steps(request)
        weights = np.stack([step.attention[layer] for layer in layers])  # (L, H, T, T)
        for place in (0, 4):
            on[place] = 100 * (weights[:, :, place:, place].mean(-1) > 0.3).mean()
        shares.append([on[0], on[4]])
    np.testing.assert_allclose(np.mean(shares, axis=0), recorded, atol=6)
