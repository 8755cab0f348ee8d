"""The GPU benchmark refuses a machine without one, and runs dry on the CPU."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from looprate.approx.banks.bank import bank_forward

FILE = Path(__file__).resolve().parent.parent / "benchmarks" / "fit_gpu.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("fit_gpu", FILE)
    module = sys.modules["fit_gpu"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fit_gpu"]


def said(benchmark, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["fit_gpu.py", *arguments])
    return benchmark.main(), *capsys.readouterr()


def test_without_a_gpu_it_says_so_in_one_line(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = said(benchmark, monkeypatch, capsys)
    assert code == 2
    assert out == ""
    assert "got cuda but torch sees no GPU; take --device cpu" in err
    assert err.count("\n") == 1


def test_a_dry_run_ends_in_one_json_line(benchmark, monkeypatch, capsys):
    code, out, _ = said(benchmark, monkeypatch, capsys, "--device", "cpu")
    found = json.loads(out.splitlines()[-1])
    assert code == 0
    assert "its numbers mean nothing" in found["device"]
    for setting in benchmark.SETTINGS:
        assert found[setting.name] > 0
        assert found[f"{setting.name}_binds"] in ("matmul", "bandwidth")


def test_other_arithmetic_is_refused(benchmark, monkeypatch):
    device = torch.device("cpu")
    setting = benchmark.fitting(benchmark.SETTINGS[0], device)
    assert benchmark.check_same_arithmetic(setting, device, compiled=False) < benchmark.ROUNDING
    stepper = benchmark.eager_stepper

    def slower(*arguments):
        monkeypatch.setattr(benchmark, "RATE", 0.9 * benchmark.RATE)  # the bank has had its own
        return stepper(*arguments)

    monkeypatch.setattr(benchmark, "eager_stepper", slower)
    with pytest.raises(SystemExit, match="not the same arithmetic"):
        benchmark.check_same_arithmetic(setting, device, compiled=False)


def test_matmul_operations_are_those_torch_counts(benchmark):
    from torch.utils.flop_counter import FlopCounterMode

    for setting in benchmark.SETTINGS:
        two, cpu = benchmark.replace(setting, models=2), torch.device("cpu")
        bank = benchmark.bank_of_models(two, cpu, compiled=False)
        x = torch.rand(2, setting.batch, setting.tokens, 1)
        with FlopCounterMode(display=False) as counter:
            bank_forward(
                bank.bank, setting.config, x, setting.loops, compiled=False
            ).sum().backward()
        assert 1 <= counter.get_total_flops() / (2 * setting.flops) < 1.05  # ends and clock beside
