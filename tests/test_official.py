"""The authors' public models: same logits from their weights, exact counts, clear refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from looprate.approx.models.parts import scalars_of
from looprate.approx.official.layout import PAIRINGS, OfficialConfig
from looprate.approx.official.model import OfficialModel, from_official, official_model

CASES = Path(__file__).parent / "cases" / "official"
FILES = sorted(CASES.glob("*.npz"))
FLOAT32 = 1e-4
FLOAT64 = 1e-12
FLOAT32_TABLES = 1e-6  # sinusoids of t or of the positions stay float32 in the authors' code
WIKITEXT = {
    "block_size": 1024,
    "vocab_size": 50304,
    "n_head": 12,
    "n_embd": 768,
    "n_loop": 24,
    "bias": False,
}
DISTANCE = {"maxlen": 127, "head": 4, "dmodel": 256, "num_loop": 100, "num_layer": 12}


def case(name):
    """A reference: state dict, configuration, and what the authors' code made of the ids."""
    config = json.loads((CASES / f"{name}.json").read_text())
    with np.load(CASES / f"{name}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    weights = {key[4:]: value for key, value in arrays.items() if key.startswith("sd::")}
    return weights, config, arrays


def distance(model, arrays, dtype, key):
    with torch.no_grad():
        found = model.to(dtype)(torch.tensor(arrays["idx"]))
    return np.abs(found.numpy() - arrays[key]).max()


def tolerance(config):
    """What float64 must reach."""
    exact = config["cls"] == "model.LoopedGPT" or (config["cls"] == "LoopedGPT" and config["rpe"])
    return FLOAT64 if exact else FLOAT32_TABLES


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_logits_are_those_of_the_authors_code(name):
    weights, config, arrays = case(name)
    model = from_official(weights, config)
    assert not model.training
    assert distance(model, arrays, torch.float32, "logits_f32") < FLOAT32
    assert distance(model, arrays, torch.float64, "logits_f64") < tolerance(config)


def test_every_variant_has_a_reference():
    found = {json.loads(path.with_suffix(".json").read_text())["cls"] for path in FILES}
    known = {"model.LoopedGPT", "model.TMLT", "LoopedGPT", "TimeDependentLoopedGPT", "GPT"}
    assert found == known


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_a_weight_out_of_place_is_seen(name):
    weights, config, arrays = case(name)
    for key, value in weights.items():
        if key.endswith((".pe", "attn.bias", ".RPE", "lm_head.weight")):
            continue
        changed = {**weights, key: 1.1 * np.roll(value, 1, axis=0)}
        if key == "transformer.wte.weight":
            del changed["lm_head.weight"]
        model = from_official(changed, config)
        assert distance(model, arrays, torch.float32, "logits_f32") > FLOAT32, key


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tmlt_LoopedGPT_c1_b0_r5", {"n_loop": 4}),
        ("tmlt_LoopedGPT_c1_b0_r5", {"is_causal": False}),
        ("tmlt_TMLT_c1_b0_r5", {"n_head": 2}),
        ("dp_LoopedGPT", {"rpe": True}),
        ("dp_TimeDependentLoopedGPT_rpe", {"rpe": False}),
        ("dp_TimeDependentLoopedGPT", {"num_loop": 2}),
    ],
)
def test_another_configuration_gives_other_logits(name, change):
    weights, config, arrays = case(name)
    model = from_official(weights, {**config, **change})
    assert distance(model, arrays, torch.float32, "logits_f32") > FLOAT32


def test_loops_are_free_at_call_time_and_later_tokens_are_not_seen():
    weights, config, arrays = case("tmlt_TMLT_c1_b0_r5")
    model = from_official(weights, config)
    ids = torch.tensor(arrays["idx"])
    shorter = from_official(weights, {**config, "n_loop": 3})
    torch.testing.assert_close(model(ids, loops=3), shorter(ids))
    later = ids.clone()
    later[:, -1] = (later[:, -1] + 1) % config["vocab_size"]
    torch.testing.assert_close(model(later)[:, :-1], model(ids)[:, :-1])
    assert (model(later)[:, -1] - model(ids)[:, -1]).abs().max() > FLOAT32


def test_wrappers_of_training_are_taken_off_the_names():
    weights, config, arrays = case("dp_LoopedGPT")
    wrapped = {f"_orig_mod.{key}": value for key, value in weights.items()}
    model = from_official(wrapped, config)
    assert distance(model, arrays, torch.float32, "logits_f32") < FLOAT32


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({**WIKITEXT, "cls": "model.LoopedGPT"}, 46_498_560),
        ({**WIKITEXT, "cls": "model.TMLT"}, 49_648_896),
        ({**DISTANCE, "cls": "LoopedGPT", "vocab": 211}, 898_515),
        ({**DISTANCE, "cls": "TimeDependentLoopedGPT", "vocab": 211}, 1_292_755),
        ({**DISTANCE, "cls": "GPT", "vocab": 211}, 9_586_387),
        ({**DISTANCE, "cls": "LoopedGPT", "vocab": 204}, 894_924),
        ({**DISTANCE, "cls": "TimeDependentLoopedGPT", "vocab": 204}, 1_289_164),
        ({**DISTANCE, "cls": "GPT", "vocab": 204}, 9_582_796),
    ],
)
def test_parameter_counts_are_the_reported_ones(config, count):
    assert scalars_of(OfficialModel, OfficialConfig.parse(config)) == count


@pytest.mark.parametrize("name", [path.stem for path in FILES if "rpe" not in path.stem])
def test_a_fresh_model_trains(name):
    _, config, arrays = case(name)
    ids = torch.tensor(arrays["idx"])
    model = official_model(config, seed=0)
    again = official_model(config, seed=0)
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(
            model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_first_values_follow_the_authors_laws():
    sizes = {"block_size": 64, "vocab_size": 99, "n_head": 2, "n_embd": 64, "n_loop": 2}
    model = official_model({"cls": "model.LoopedGPT", **sizes, "n_layer": 8}, seed=0)
    block = model.blocks[0]
    for value, std in [
        (block["qkv"], 0.02),
        (block["down"], 0.02 / 4),
        (model.ends["token"], 0.02),
    ]:
        assert abs(float(value.detach().std()) / std - 1) < 0.05
    sizes = {"maxlen": 64, "vocab": 99, "head": 2, "dmodel": 64, "num_loop": 2}
    model = official_model({"cls": "LoopedGPT", **sizes}, seed=0)
    assert abs(float(model.ends["token"].detach().std()) - 1) < 0.05
    assert 0.95 / 8 < float(model.blocks[0]["qkv"].detach().abs().max()) <= 1 / 8  # uniform


def test_the_padding_token_stays_zero():
    sizes = {"maxlen": 9, "vocab": 7, "head": 2, "dmodel": 8, "num_loop": 2}
    model = official_model({"cls": "LoopedGPT", **sizes}, seed=0)
    model(torch.tensor([[0, 1, 2]])).square().sum().backward()
    assert not model.ends["token"][0].any()
    grad = model.ends["token"].grad
    assert not grad[0].any()
    assert grad[1].any()


@pytest.mark.parametrize("cls", ["model.TMLT", "TimeDependentLoopedGPT"])
def test_a_fresh_modulated_model_is_the_identity_between_its_ends(cls):
    sizes = {"block_size": 9, "vocab_size": 7, "n_head": 2, "n_embd": 8, "n_loop": 6}
    sizes |= {"maxlen": 9, "vocab": 7, "head": 2, "dmodel": 8, "num_loop": 6}
    model = official_model({"cls": cls, **sizes}, seed=1)
    ids = torch.arange(7)[None]
    torch.testing.assert_close(model(ids, loops=1), model(ids, loops=6))


@pytest.mark.parametrize("name", ["tmlt_TMLT_c1_b0_r5", "dp_TimeDependentLoopedGPT_rpe"])
def test_bfloat16_autocast_runs(name):
    weights, config, arrays = case(name)
    model = from_official(weights, config)
    ids = torch.tensor(arrays["idx"])
    with torch.autocast("cpu", torch.bfloat16):
        low = model(ids)
    assert (low.float() - torch.tensor(arrays["logits_f32"])).abs().max() < 0.2


def test_what_does_not_fit_is_refused_by_name():
    weights, config, _ = case("dp_LoopedGPT")
    with pytest.raises(ValueError, match=r"`cls` must be one of model\.LoopedGPT, .* got 'GPT2'"):
        from_official(weights, {**config, "cls": "GPT2"})
    with pytest.raises(ValueError, match="must have an integer head >= 1 for cls='LoopedGPT'"):
        from_official(weights, {key: config[key] for key in config if key != "head"})
    with pytest.raises(ValueError, match="`head` must divide dmodel=16, got 3"):
        from_official(weights, {**config, "head": 3})
    lacking = {key: value for key, value in weights.items() if "norm2" not in key}
    with pytest.raises(ValueError, match=r"lacks transformer\.norm2\.weight"):
        from_official(lacking, config)
    with pytest.raises(ValueError, match=r"has extra\.weight, which a LoopedGPT has not"):
        from_official({**weights, "extra.weight": np.zeros(3)}, config)
    with pytest.raises(
        ValueError, match=r"c_proj\.weight must have shape \(16, 16\).*got \(4, 4\)"
    ):
        from_official({**weights, "transformer.attn.c_proj.weight": np.zeros((4, 4))}, config)
    with pytest.raises(ValueError, match="must have dropout 0"):
        official_model({**config, "drop": 0.1}, seed=0)


def test_bad_calls_and_untied_copies_are_refused():
    weights, config, _ = case("tmlt_LoopedGPT_c1_b0_r5")
    model = from_official(weights, config)
    with pytest.raises(ValueError, match=r"`ids` must have shape \(B, 1 <= T <= 16\)"):
        model(torch.zeros(1, 17, dtype=torch.long))
    with pytest.raises(ValueError, match="`loops`"):
        model(torch.zeros(1, 3, dtype=torch.long), loops=0)
    other = {**weights, "lm_head.weight": weights["lm_head.weight"] + 1}
    with pytest.raises(ValueError, match=r"lm_head\.weight equal to transformer\.wte\.weight"):
        from_official(other, config)
    weights, config, _ = case("dp_GPT")
    with pytest.raises(ValueError, match="must equal the depth 2"):
        from_official(weights, config)(torch.zeros(1, 3, dtype=torch.long), loops=3)


# -- pairs with and without the timestep -----------------------------------------------------------
def with_moving_clock(config):
    """A model whose clock counts: fresh ones start with a clock that says nothing."""
    sizes = {"maxlen": 6, "vocab": 5, "head": 2, "dmodel": 8, "num_loop": 3}
    model = official_model({**config, **sizes}, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.2 * torch.randn(weights.shape, generator=generator)
    return model


def test_the_matched_pair_differs_in_the_timestep_alone_and_the_official_one_in_more():
    ids = torch.tensor([[1, 2, 3, 4]])
    without, timed = (with_moving_clock(config) for config in PAIRINGS["matched"])
    assert without.state_dict().keys() == timed.state_dict().keys()
    for name, weights in without.state_dict().items():
        assert torch.equal(weights, timed.state_dict()[name])
    with torch.no_grad():
        assert torch.allclose(without(ids, loops=1), timed(ids, loops=1))  # t = 0 for both
        assert not torch.allclose(without(ids, loops=3), timed(ids, loops=3), atol=1e-3)
        rows = without._modulation(3)
        assert all(torch.equal(a, b) for a, b in zip(rows[0], rows[2], strict=True))
    plain, modulated = PAIRINGS["official"]
    assert modulated == PAIRINGS["matched"][1]
    assert len(list(with_moving_clock(plain).parameters())) != len(list(timed.parameters()))


def test_a_model_without_a_clock_cannot_hold_it_still():
    with pytest.raises(ValueError, match=r"`still` is for .* which have a clock"):
        with_moving_clock({"cls": "LoopedGPT", "still": True})
