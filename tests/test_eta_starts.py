"""Three questions of many starts: the task, null and planted answers, figures, the command."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cases import eta_rows
from looprate.cli import main
from looprate.experiments.engine.sweep import FITS
from looprate.experiments.eta.starts import starts_sweep
from looprate.experiments.eta.starts_config import STARTS, StartsConfig
from looprate.experiments.eta.starts_findings import starts_part
from looprate.experiments.eta.starts_report import write_starts_report
from looprate.figures.drawing import make_figure

BEST = replace(STARTS["best"], dials=STARTS["best"].dials[:2], loops=(2, 4, 8))
LOOPS = replace(STARTS["loops"], loops=(4,), laws=("fixed", "uniform"), factors=(1.0, 2.0, 4.0))
BITS = replace(STARTS["bits"], bits=(0, 4), loops=(2, 4, 8))
TINY = {"steps": 3, "batch": 4, "points": 16, "replicates": 2, "seeds": 3, "compiled": False}


def verdicts(config, log_error):
    """Claim -> verdict of planted log errors."""
    part = starts_part(config, eta_rows.start_rows(config, log_error))
    return {found["claim"]: found["verdict"] for found in part["findings"]}


def of(found, words):
    (claim,) = [each for each in found if words in each]
    return found[claim]


def test_equal_arms_are_not_said_to_differ():
    found = verdicts(BEST, lambda cell, loops, bits: -math.log(cell.loops))
    assert sum(verdict != "not testable" for verdict in found.values()) <= 0.1 * len(found)
    assert all(v == "not testable" for claim, v in found.items() if "primary" in claim)


def test_a_planted_gain_that_grows_is_found_as_preregistered():
    def log_error(cell, loops, bits):
        return -0.4 * math.log2(cell.loops) * (cell.arm == "table")

    found = verdicts(BEST, log_error)
    assert [v for claim, v in found.items() if "primary" in claim] == ["holds"] * 4
    assert of(found, "free table helps at equal blocks") == "holds"
    assert of(found, "free table helps at equal parameters at r = 8") == "holds"
    assert of(found, "the gain of ReLU network of t grows") == "not testable"


def test_a_constant_gain_helps_and_does_not_grow():
    found = verdicts(BEST, lambda cell, loops, bits: 0.5 * (cell.arm == "silu"))
    assert of(found, "(the paper's) helps at equal parameters at r = 4") == "violated"
    assert of(found, "SiLU errs less than ReLU") == "violated"
    grows = [v for claim, v in found.items() if "grows with r at equal blocks" in claim]
    assert grows == ["not testable"] * 3


def test_more_loops_and_drawn_ones_get_the_words_they_deserve():
    def log_error(cell, loops, bits):
        beyond = math.log2(loops / cell.loops)
        return -0.5 * beyond if cell.law == "uniform" else 0.5 * beyond

    found = verdicts(LOOPS, log_error)
    assert of(found, "LT, bare block, fixed: 4 r loops") == "violated"
    assert of(found, "LT, bare block, uniform: 4 r loops") == "holds"
    assert of(found, "LT, bare block: uniform in training errs less at 4 r") == "holds"
    assert of(found, "LT, bare block: uniform in training errs less at 1 r") == "not testable"


def test_rounding_that_compounds_is_found():
    def log_error(cell, loops, bits):
        return 0.5 * math.log2(cell.loops) * bool(bits and not cell.bits)

    found = verdicts(BITS, log_error)
    assert (
        of(found, "LT, bare block, 4 bits: rounding in training errs less than after it") == "holds"
    )
    assert (
        of(found, "LT, bare block, 4 bits: the cost of rounding after training grows with r")
        == "holds"
    )
    assert (
        of(found, "LT, bare block, 4 bits: the cost of rounding in training grows with r")
        == "not testable"
    )


def test_a_target_that_misses_a_bank_is_left_out():
    rows = eta_rows.start_rows(BEST, lambda cell, loops, bits: 0.0)
    missing = BEST.dials[1].name
    some = [row for row in rows if (row["target"], row["arm"]) != (missing, "relu")]
    facts = starts_part(BEST, some)["facts"]
    assert (facts["targets"], facts["left_out"]) == ([BEST.dials[0].name], 1)
    with pytest.raises(ValueError, match="no target has all its banks"):
        starts_part(BEST, some[:3])


@pytest.mark.parametrize("config", [BEST, LOOPS, BITS], ids=lambda config: config.question)
def test_a_sweep_runs_resumes_and_tells(config, tmp_path):
    arms = config.arms[:2] if config.question != "best" else config.arms
    tiny = replace(config, **TINY, arms=arms, dials=config.dials[:1], loops=(2, 3))
    sweep = starts_sweep(tiny, tmp_path)
    sweep.run()
    assert not starts_sweep(tiny, tmp_path).missing()
    rows = sweep.rows(FITS)
    assert len(rows) == sum(len(tiny.tests(cell)) for cell in tiny.cells())
    assert all(len(row["errors"]) == 3 and 0 < min(row["errors"]) < 10 for row in rows)
    write_starts_report(tiny, tmp_path, rows)
    report = json.loads((tmp_path / "eta.json").read_text())
    assert report["findings"]
    page = (tmp_path / "eta.md").read_text()
    assert report["findings"][0]["claim"] in page


def test_starts_of_all_arms_share_points_and_rates(tmp_path):
    """A table of one row is the LT, so that both must end alike."""
    tiny = replace(BEST, **TINY | {"steps": 1}, arms=("lt", "table"), loops=(1,))
    sweep = starts_sweep(replace(tiny, dials=tiny.dials[:1]), tmp_path)
    sweep.run()
    lt, table = (row["errors"] for row in sweep.rows(FITS))
    assert lt == pytest.approx(table, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": 1}, "`seeds` must be an integer >= 2"),
        ({"loops": ()}, "`loops` must hold distinct values"),
        ({"laws": ("fixed", "uniform")}, "`arms` must not hold table"),
        ({"arms": ("lt", "gru")}, "`arms` must be one of"),
    ],
)
def test_a_sweep_out_of_range_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(BEST, **changes)


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    arguments = ["eta", "--preset", "best", "--seeds", "1", "--out", str(tmp_path / "x")]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "`seeds` must be an integer >= 2" in err


def test_the_figure_of_bests_draws_the_mean_with_its_bar():
    rows = eta_rows.best_rows()
    axes = make_figure("eta-best", rows).axes
    assert [ax.get_title() for ax in axes] == list(
        ("equal parameters: LT widened", "equal blocks: eta(t) added")
    )
    for ax in axes:
        (line,) = [c.lines[0] for c in ax.containers if c.get_label() == "free table"]
        assert line.get_ydata() == pytest.approx([1.0, 1.0, 1.0])
        low, high = ax.get_ylim()
        assert low < 0.9 < 1.1 * 8**0.4 < high


def test_the_figures_of_loops_and_bits_draw_every_line():
    axes = make_figure("eta-loops", eta_rows.loops_rows()).axes
    assert len(axes) == 2
    for ax, trained in zip(axes, (4.0, 8.0), strict=True):
        drawn = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
        assert len(drawn) == 4
        assert drawn[0].get_ydata()[1] == pytest.approx(0.1)
        assert drawn[0].get_xdata()[1] == trained
    axes = make_figure("eta-bits", eta_rows.bits_rows()).axes
    for ax in axes:
        names = [line.get_label() for line in ax.get_lines()]
        assert names == ["not rounded", "8 bits after training", "4 bits after training",
                         "4 bits during training"]  # fmt: skip


def test_presets_are_what_the_preregistration_says():
    best = STARTS["best"]
    assert isinstance(best, StartsConfig)
    assert (len(list(best.cells())), best.seeds, best.steps, best.batch) == (180, 48, 2000, 32)
    assert np.prod([len(best.dials), len(best.loops), len(best.arms)]) == 180
