"""The CPU kernel: values and gradients of the reference in float64, and every way to lack it."""

import os
import shutil
import tempfile
import threading

import numpy as np
import pytest
import torch

from looprate.approx.banks import block
from looprate.approx.banks.adam import adam_function
from looprate.approx.banks.bank import (
    PER_BLOCK,
    bank_eta,
    bank_forward,
    bank_losses,
    bank_of,
    bank_path,
)
from looprate.approx.banks.fused import build
from looprate.approx.banks.fused.build import library
from looprate.approx.banks.fused.kernel import fused_losses
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.fitting import fit
from looprate.approx.fit.state import bank_views, fresh_state
from looprate.approx.fit.training import TrainingRun
from looprate.approx.models.looped import LoopedTransformer, ModelConfig

RELATIVE = 1e-5  # float32 against float64, of the largest entry
needs_compiler = pytest.mark.skipif(
    build._compiler() is None, reason="the kernel needs a C++ compiler: install g++ or set CXX"
)
LIKE = torch.empty(0)

CASES = {  # name: (config, tokens, batch, loops)
    "tmlt": (ModelConfig(width=16, hidden=50, gate=0.3), 2, 37, 3),
    "lt, one loop": (ModelConfig(family="lt", width=8, hidden=12), 3, 16, 1),
    "several tiles": (ModelConfig(width=16, hidden=64, gate=0.2), 4, 40, 8),
    "untied": (
        ModelConfig(family="untied", blocks=4, width=12, heads=3, hidden=13, norm="none",
                    activation="silu", gate=0.3, dim=2),
        3, 5, 4,
    ),
    "injection, positions": (
        ModelConfig(family="lt", width=20, heads=1, hidden=7, activation="gelu", injection=True,
                    positions=5, gate=0.5, dim=3),
        5, 1, 5,
    ),
}  # fmt: skip


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Forget the kernel of this process before and after, and start from an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library.cache_clear()
    yield tmp_path
    library.cache_clear()


def models(config, count=3):
    """Float64 models with every parameter away from zero, all numbers float32's."""
    made = []
    for seed in range(count):
        model = LoopedTransformer(config, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for value in model.parameters():
                value += 0.2 * torch.randn(value.shape, generator=generator)
        made.append(model.double())
    return made


def points(config, tokens, batch, count=3):
    generator = torch.Generator().manual_seed(7)
    return torch.rand(2, count, batch, tokens, config.dim, generator=generator)


def float_bank(made):
    return {name: v.float().requires_grad_() for name, v in bank_of(made).items()}


def far_apart(config, tokens, batch, loops, p):
    """Return the largest relative differences of losses, outputs and gradients, by name."""
    made, (x, y) = models(config), points(config, tokens, batch)
    bank = float_bank(made)
    losses = bank_losses(bank, config, x, y, loops, p=p)
    kernel = "_LossesBackward" if p <= 2 else "MulBackward0"  # the kernel's; scaled and rooted
    assert type(losses.grad_fn).__name__ == kernel
    share = torch.tensor([1.0, 2.0, 0.5])
    grads = torch.autograd.grad(losses @ share, list(bank.values()))
    with torch.no_grad():
        outputs = bank_forward(bank, config, x, loops)
    right = torch.stack([m(x[i].double(), loops) for i, m in enumerate(made)])
    right_losses = ((right - y.double()).abs() ** p).mean((1, 2, 3))
    right_losses = right_losses if p <= 2 else right_losses ** (1 / p)
    (right_losses @ share.double()).backward()
    pairs = {"losses": (losses, right_losses), "outputs": (outputs, right)}
    for name, grad in zip(bank, grads, strict=True):
        wanted = [model.get_parameter(name).grad for model in made]
        pairs[name] = grad, torch.stack(wanted, dim=1 if name in PER_BLOCK else 0)
    with torch.no_grad():
        return {k: float((a - b).abs().max() / b.abs().max()) for k, (a, b) in pairs.items()}


@needs_compiler
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_losses_outputs_and_gradients_are_the_reference_s(case, p):
    for name, gap in far_apart(*CASES[case], p).items():
        assert gap < RELATIVE, f"{name} is off by {gap:.2g}"


TRAINED = {  # name: (config, tokens, loops, law)
    "lt": (ModelConfig(family="lt", width=8, heads=1, hidden=9), 2, 3, "fixed"),
    "tmlt": (ModelConfig(width=6, hidden=10, frequencies=4, clock=3, gate=0.3), 2, 17, "fixed"),
    "relu clock": (ModelConfig(width=8, hidden=8, clock_activation="relu", dim=2), 1, 4, "fixed"),
    "gelu, drawn": (ModelConfig(width=8, hidden=8, clock_activation="gelu"), 2, 3, "uniform"),
    "table": (ModelConfig(width=2, heads=1, hidden=8, table=3, positions=2), 2, 3, "fixed"),
    "untied": (ModelConfig(family="untied", blocks=3, width=8, hidden=5), 2, 3, "fixed"),
}


def trained(case, steps, *, compiled, poison=None):
    """Two seeds at two rates, every parameter away from zero, after some steps."""
    config, tokens, loops, law = TRAINED[case]
    members = [Member(t, s, 1e-3 * (1 + t)) for t in (0, 1) for s in (0, 3)]
    state = fresh_state(config, members, evaluations=1)
    state.flat += 0.2 * np.random.default_rng(0).standard_normal(state.flat.shape, np.float32)
    if poison is not None:
        state.flat[poison] = np.nan
    recipe = Recipe(steps=20, batch=20, clip=0.05, evaluations=1, validation_points=40)
    run = TrainingRun(
        [torch.square, torch.sin], config, members, state, tokens=tokens, loops=loops, p=1.0,
        recipe=recipe, device="cpu", compiled=compiled, law=law,
    )  # fmt: skip
    run.train(steps)
    return run


def far_from_steps(case):
    """Return how far a chunk in the kernel ends from its steps in torch, by name."""
    kernel, plain = (trained(case, 2, compiled=compiled) for compiled in (True, False))
    gaps = {}
    for kind in ("mean", "square", "flat"):
        found, right = (bank_views(getattr(run, kind), run.bank) for run in (kernel, plain))
        for name, value in right.items():
            gaps[f"{kind} {name}"] = float((found[name] - value).abs().max() / value.abs().max())
    return gaps


MUTATIONS = {  # a wrong formula each, in its file
    "kept_at + (training ? t : 0)": "kept_at + (training ? t / 2 : 0)",
    "s.norm ? dot * (1.0f / D) : all(0)": "all(0)",
    "where_positive(load(value + i), z)": "z",
    "score = a * (load(scores + m * LANES) - dot)": "score = a * load(scores + m * LANES)",
    "dot + one * load(weight + m * LANES)": "dot + one",
    "load<V>(sums + at) + raw * factor": "load<V>(sums + at) + raw",
    "dot = dot + raw * load<V>(weights + at)": "dot = dot + raw",
    "raw * load<Eight>(bias + c)": "raw",
    "load<Eight>(sums + c) + raw * load<Eight>(gate + c)": "load<Eight>(sums + c) + raw",
    "load(g + k * LANES) * gate[k]": "load(g + k * LANES)",
    "store(pulled + j * LANES, z * scale[j])": "store(pulled + j * LANES, z)",
    "share * power * less": "share * less",
    "value = 0;": ";",
    "b < s.batch ? b : s.batch - 1": "0 < s.batch ? 0 : b",
    "grad_start[i] += grad[i]": "grad_start[i] += 0",
    "next[i] += start[i]": "next[i] += 0",
    "position ? position[k * N + p % N] : 0": "0",
    "position[i] += g[i] += more[i]": "position[i] += g[i], g[i] += more[i]",
    "to + far, load(to + far) + a": "to + far, load(to + far) + score",
    "all(1) + s * (all(1) - sigmoid)": "all(1)",
    "cdf + s * grown * 0.39894228f": "cdf",
    "n * 0.693359375f": "n * 0.6933f",
    "t * 1.061405429f": "t",
    "rows % blocks": "0",
    "; c + LANES <= width;": "; c + 2 * LANES <= width;",
    "4, 5, 6, 7, 12, 13, 14, 15": "4, 5, 6, 7, 12, 13, 14, 14",
    "bank.rates[m] * (row[0] / row[1])": "bank.rates[m] * row[0]",
    "std::sqrt(row[2])": "1",
    "share < 1 ? share : 1": "1",
    "bank.x_rows[m] + k": "bank.x_rows[m]",
    "bank.y_rows[m] + k": "bank.y_rows[m]",
    "rows + (t < plan.rows ? t : plan.rows - 1)": "rows + 0",
    "rows[(t < plan.rows ? t : plan.rows - 1) * row + j]": "rows[j]",
    "eta[t * row + j] *= factor(j)": "eta[t * row + j] *= 1",
    "grad[t * row + j] *= factor(j)": "grad[t * row + j] *= 1",
    "z + all(bias[c])": "z",
    "z * load(slope + c * times + t)": "z",
    "load(out + c * padded + j) * hidden[c * times + t]": "load(out + c * padded + j)",
    "other ? load(one + t) * load(other + t) : load(one + t)": "load(one + t)",
    "* load(grad + i)": "* all(0)",
}


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("formula", MUTATIONS)
def test_a_wrong_formula_is_seen(formula, fresh, monkeypatch):
    folder = shutil.copytree(build.HERE, fresh / "source")
    whole = {path: path.read_text() for path in folder.glob("*.[ch]*")}
    changed = [path for path, text in whole.items() if formula in text]
    assert changed, "the formula is not in the source any more"
    for path in changed:
        path.write_text(whole[path].replace(formula, MUTATIONS[formula]))
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setattr(build, "FLAGS", ["-O1" if f == "-O3" else f for f in build.FLAGS])
    gaps = [max(far_apart(*case, p).values()) for case in CASES.values() for p in (1.0, 2.0)]
    gaps += [max(far_from_steps(case).values()) for case in TRAINED]
    assert not all(gap < 10 * RELATIVE for gap in gaps)


@needs_compiler
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("name", ["embed", "qkv", "up_bias", "read"])
def test_a_diverged_model_is_seen_and_harms_no_other(name, poison):
    config, tokens, batch, loops = CASES["tmlt"]
    x, y = points(config, tokens, batch)
    results = []
    for value in (None, poison):
        bank = float_bank(models(config))
        if value is not None:
            (bank[name][:, 1] if name in PER_BLOCK else bank[name][1]).detach().fill_(value)
        losses = bank_losses(bank, config, x, y, loops, p=2.0)
        grads = torch.autograd.grad(losses.sum(), [bank["qkv"], bank["read"]])
        results.append((losses.detach(), grads[0][0], grads[1]))
    sane, poisoned = results
    finite = [bool(torch.isfinite(part[1]).all()) for part in poisoned]
    harmless = name == "qkv" and poison == 1e30  # large scores only pick one token
    assert harmless or not all(finite)
    for before, after in zip(sane, poisoned, strict=True):
        torch.testing.assert_close(after[[0, 2]], before[[0, 2]], rtol=0, atol=0)


@needs_compiler
def test_a_neighbour_changes_no_bit():
    config, tokens, batch, loops = CASES["tmlt"]
    x, y = points(config, tokens, batch)
    bank = float_bank(models(config))
    alone = float_bank(models(config)[2:] + models(config)[2:])
    one = bank_losses(alone, config, x[[2, 2]], y[[2, 2]], loops, p=1.0)
    assert one[0] == one[1] == bank_losses(bank, config, x, y, loops, p=1.0)[2]


@needs_compiler
def test_a_fit_resumes_to_the_same_bits(tmp_path):
    recipe = Recipe(steps=40, batch=20, evaluations=2, validation_points=40)
    shape = {"tokens": 2, "loops": 2, "seeds": [0], "learning_rates": [1e-2], "recipe": recipe}

    class Stopped(Exception):
        pass

    def stop(step):
        if step >= 20:
            raise Stopped

    def run(**more):
        return fit([torch.square], ModelConfig(width=8, hidden=16), **shape, **more)

    with pytest.raises(Stopped):
        run(checkpoint=tmp_path / "fit.npz", checkpoint_seconds=0.0, progress=stop)
    resumed = run(checkpoint=tmp_path / "fit.npz")
    np.testing.assert_array_equal(resumed.curve, run().curve)


@needs_compiler
@pytest.mark.parametrize("case", TRAINED)
def test_a_chunk_in_the_kernel_is_its_steps(case):
    for name, gap in far_from_steps(case).items():
        assert gap < 10 * RELATIVE, f"{name} is off by {gap:.2g}"


@needs_compiler
def test_a_model_that_diverges_in_the_kernel_is_left_as_it_was():
    sane = trained("tmlt", 5, compiled=True)
    ill = trained("tmlt", 5, compiled=True, poison=1)
    assert ill.diverged_at.tolist() == [-1, 0, -1, -1]
    assert ill.flat[1].isnan().all()
    assert not ill.mean[1].any()
    torch.testing.assert_close(ill.flat[[0, 2, 3]], sane.flat[[0, 2, 3]], rtol=0, atol=0)


@needs_compiler
@pytest.mark.parametrize("change", [torch.Tensor.double, lambda t: t.mT.contiguous().mT])
def test_a_state_that_the_kernel_would_misread_is_refused(change):
    run = trained("lt", 1, compiled=True)
    run._state[1] = change(run._state[1])
    with pytest.raises(ValueError, match="must be contiguous, and this one"):
        run.train(1)


@needs_compiler
def test_adam_is_the_one_in_torch_when_a_model_freezes_on_the_way():
    states = []
    for compiled in (False, True):
        update = adam_function(2, 9, beta1=0.9, beta2=0.99, device="cpu", compiled=compiled)
        generator = torch.Generator().manual_seed(0)
        state = [torch.randn(2, 9, generator=generator), torch.zeros(2, 9), torch.zeros(2, 9)]
        for k in range(1, 6):
            grad, share = torch.randn(2, 9, generator=generator), torch.tensor([[0.7], [1.0]])
            if k > 3:
                grad[1], share[1] = torch.nan, 0.0
            update(*state, grad, share, torch.tensor([[0.1], [0.2]]), torch.tensor(0.1 * k))
        states.append(state)
    for eager, fused in zip(*states, strict=True):
        torch.testing.assert_close(fused, eager, rtol=RELATIVE, atol=1e-7)


@needs_compiler
def test_paths_are_named():
    config = ModelConfig()
    assert bank_path(config, LIKE, compiled=True) == "fused"
    assert bank_path(config, LIKE.double(), compiled=True) == "compiled"
    assert bank_path(config, LIKE, compiled=False) == "eager"


@needs_compiler
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"x": (3, 4, 2, 2)}, "x"),
        ({"x": (2, 4, 2, 1)}, "x"),
        ({"x": (3, 0, 2, 1)}, "x"),
        ({"y": (3, 5, 2, 1)}, "y"),
        ({"eta": (2, 3, 4, 9)}, "eta"),
    ],
)
def test_tensors_that_would_be_misread_are_refused(change, name):
    config = ModelConfig(width=8)
    bank = float_bank(models(config))
    shapes = {"x": (3, 4, 2, 1), "y": (3, 4, 2, 1), "eta": (2, 3, 4, 8), **change}
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match=f"`{name}` must be float32 of shape"):
        fused_losses(bank, config, tensors["x"], tensors["y"], tensors["eta"], p=1.0)


# ---- without it, and how it is built -----------------------------------------------------------


def script(folder, body):
    """Return a stand-in for a compiler; ``$out`` is the file it should write."""
    path = folder / "compiler"
    head = '#!/bin/sh\n[ "$1" = --version ] && { echo 1; exit; }\n'
    find = 'while [ "$1" != -o ]; do shift; done\nout=$2\n'
    path.write_text(head + find + body)
    path.chmod(0o755)
    return str(path)


def test_without_a_compiler_the_torch_path_gives_the_same_losses(fresh, monkeypatch):
    config, tokens, batch, loops = CASES["tmlt"]
    (x, y), bank = points(config, tokens, batch), float_bank(models(config))
    with torch.no_grad():
        before = bank_losses(bank, config, x, y, loops, p=1.0, compiled=False)
    monkeypatch.setenv("CXX", "no-such-compiler")

    def no_compiler(*_):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(block, "_compile", no_compiler)
    block.block_functions.cache_clear()
    with pytest.warns(RuntimeWarning, match="install g\\+\\+") as seen:
        after = bank_losses(bank, config, x, y, loops, p=1.0)
    block.block_functions.cache_clear()
    assert {str(w.message) for w in seen} == {str(seen[0].message)}
    assert bank_path(config, LIKE, compiled=True) == "compiled"
    torch.testing.assert_close(after, before, rtol=RELATIVE, atol=0)


@pytest.mark.parametrize("body", ["echo sorry >&2; exit 1", "kill -9 $$", "echo text > $out"])
def test_a_compiler_that_fails_is_reported_once_and_leaves_nothing(body, fresh, monkeypatch, capfd):
    monkeypatch.setenv("CXX", script(fresh, body))
    with pytest.warns(RuntimeWarning, match="cannot build the CPU kernel") as seen:
        found = [library(), library()]
    assert found == [None, None]
    assert len(seen) == 1
    assert "compiling the CPU kernel" in capfd.readouterr().err
    assert os.listdir(fresh / "cache" / "looprate") == []


def test_processes_starting_together_do_not_collide(fresh):
    ready = fresh / "ready"
    ready.write_bytes(os.urandom(10**6))
    compiler = [script(fresh, f'sleep 0.2; head -c 999 {ready} > "$out"; cp {ready} "$out"')]
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(build._built(compiler))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == ready.read_bytes()
    assert list(paths[0].parent.iterdir()) == [paths[0]]


@pytest.fixture
def built(fresh):
    """A compiler that copies, and what it made."""
    compiler = [script(fresh, 'rm "$out"; umask 0; echo content > "$out"')]
    return compiler, build._built(compiler)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("contenT\n"),
        lambda path: path.write_text("cont"),
        lambda path: path.write_text(""),
        lambda path: path.chmod(0o666),
        lambda path: path.replace(path.with_name(path.name[:-4] + "z.so")),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.replace(path.parent / "moved"), path.symlink_to("moved")),
    ],
    ids=["changed", "cut", "empty", "others write", "renamed", "pipe", "link"],
)
def test_a_damaged_kernel_is_compiled_again(damage, built, capfd):
    compiler, path = built
    capfd.readouterr()
    assert build._built(compiler) == path
    assert capfd.readouterr().err == ""
    damage(path)
    assert build._built(compiler) == path
    assert path.read_text() == "content\n"
    assert capfd.readouterr().err.count("compiling") == 1
    assert [p for p in path.parent.iterdir() if p.name != "moved"] == [path]


@pytest.mark.slow
def test_a_real_kernel_cut_short_is_compiled_again_and_loads(fresh):
    path = build._built(build._compiler())
    path.write_bytes(path.read_bytes()[:5000])
    assert library() is not None


def test_a_cache_that_others_may_write_to_is_not_used(fresh, monkeypatch):
    cache = fresh / "cache" / "looprate"
    assert build._folder() == cache
    monkeypatch.setattr(tempfile, "tempdir", str(fresh))
    for mode in (0o770, 0o707):
        cache.chmod(mode)
        folder = build._folder()
        assert folder.parent == fresh
        assert folder.stat().st_mode & 0o777 == 0o700
    cache.chmod(0o755)
    assert build._folder() == cache
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert build._folder() != cache


def test_another_source_or_processor_is_another_file(monkeypatch):
    digest = build._digest(["echo"])
    monkeypatch.setattr(build, "_processor", lambda: "flags: none")
    other = build._digest(["echo"])
    monkeypatch.setattr(build, "FLAGS", [])
    assert len({digest, other, build._digest(["echo"])}) == 3


def test_a_home_without_room_still_gets_a_folder(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = build._folder()
    assert folder.is_dir()
    folder.rmdir()


def test_eta_is_differentiated_too():
    """The clock's parameters are part of every comparison above."""
    bank = float_bank(models(CASES["tmlt"][0]))
    assert bank_eta(bank, CASES["tmlt"][0], 2).requires_grad
    assert {"clock_in", "clock_out", "clock_bias"} <= set(bank)
