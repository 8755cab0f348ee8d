"""The sweep of eta(t): equal sequence moduli, gains from rows, verdicts, resume, the command."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cases import eta_rows
from looprate.cli import main
from looprate.experiments.eta.config import PRESETS, DialPoint, EtaConfig
from looprate.experiments.eta.findings import certified_part, hypotheses, trained_part
from looprate.experiments.eta.gain import certified_gains, trained_gains
from looprate.experiments.eta.plan import compared_specs
from looprate.experiments.eta.report import write_eta_report
from looprate.experiments.study.lessons import certificate_rows
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.targets import resolve_target

CONFIG = EtaConfig(loops=(2, 4), learning_rates=(0.01, 0.02))
SHAPE = {"tokens": 3, "dim": 1, "p": 1.0}
REACHED = 0.95  # of an exact modulus, by the search for a lower bound
MAIN = "at fixed roughness"
TINY = replace(
    PRESETS["smoke"],
    shares=(0.0, 1.0),
    seeds=1,
    recipe=replace(PRESETS["smoke"].recipe, steps=4, evaluations=2, validation_points=32),
    points=32,
    grid=3,
)


def gain(point, slope):
    """A gain that grows with the sum of the moduli, the same at every level."""
    scale = DialPoint(point.roughness, 1.0).modulus_sum(CONFIG.delta, **SHAPE)
    return slope * (point.modulus_sum(CONFIG.delta, **SHAPE) / scale - 1.0)


def finding(part, words):
    """The verdict of the one finding whose claim has these words."""
    (found,) = [f for f in part["findings"] if words in f["claim"]]
    return found["verdict"]


# the targets


@pytest.mark.parametrize(
    ("roughness", "share", "delta"),
    [("alpha=0.5", -0.25, 0.1), *(("periods=2", share, 0.05) for share in (-0.25, 0.0, 0.5, 1.0))],
)
def test_moduli_of_a_dial_are_found_and_never_exceeded(roughness, share, delta):
    """All shares have one sequence modulus, and the two others are |s| and |1 - s| of the pure."""
    point = DialPoint(roughness, share)
    f = resolve_target(point.name)
    for kind in ("sequence", "token", "contextual"):
        exact = point.modulus(delta, kind=kind, **SHAPE)
        rng = np.random.default_rng(0)
        lower = modulus_lower_bound(f, delta, kind=kind, **SHAPE, effort=0.3, rng=rng).value
        assert REACHED * exact <= lower <= exact * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("share", [-0.25, 0.0, 0.5, 1.0])
def test_a_dial_is_its_formula(share):
    x = np.random.default_rng(0).random((5, 3, 1))
    h = np.sin(2 * math.pi * x)
    others = (h.sum(1, keepdims=True) - h) / 2
    wanted = share * h + (1 - share) * others
    assert resolve_target(DialPoint("periods=1", share).name)(x) == pytest.approx(wanted)


@pytest.mark.parametrize("tokens", [2, 3, 5])
def test_the_sum_moves_with_the_share_as_the_text_says(tokens):
    """√(N/(N-1)) at the theorem's radii; 1/√(N-1) at equal ones, so not at all for N = 2."""
    shape = {"tokens": tokens, "dim": 1, "p": 1.0}
    for radii, ratio in (
        ("theorem", math.sqrt(tokens / (tokens - 1))),
        ("equal", 1 / math.sqrt(tokens - 1)),
    ):
        sums = [
            DialPoint("periods=1", s).modulus_sum(1e-4, **shape, radii=radii) for s in (0.0, 1.0)
        ]
        assert sums[0] / sums[1] == pytest.approx(ratio, rel=1e-6)


def test_the_largest_sum_is_that_of_the_opposed_share_under_both_readings():
    for radii in ("theorem", "equal"):
        sums = [
            DialPoint("periods=1", s).modulus_sum(1e-4, **SHAPE, radii=radii) for s in CONFIG.shares
        ]
        assert max(sums) == sums[CONFIG.shares.index(-0.25)]
    sums = [DialPoint("periods=1", s).modulus_sum(1e-4, **SHAPE) for s in (-0.25, 1.0)]
    assert sums[0] / sums[1] == pytest.approx(1.78, abs=0.005)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shares": (-0.4, 1.0)}, "`shares` must be between -0.333 and 1 at tokens=3"),
        ({"shares": (0.5, 0.5)}, "`shares` must hold distinct values"),
        ({"roughness": ()}, "`roughness` must hold distinct values"),
        ({"seeds": 0}, "`seeds` must be an integer >= 1"),
        ({"delta": -1.0}, "`delta`"),
    ],
)
def test_a_sweep_out_of_range_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **changes)


# gains and verdicts


def test_trained_gains_are_paired_by_seed_at_the_best_rate_by_validation():
    rows = eta_rows.fit_rows(CONFIG, lambda point, r, seed: 0.01 * seed + 0.1 * r)
    found = trained_gains(CONFIG, rows)
    wanted = 0.01 * np.arange(8)[:, None, None] + 0.1 * np.array([2.0, 4.0])
    assert found.gains == pytest.approx(np.broadcast_to(wanted, (8, 15, 2)))
    assert (found.dropped, found.improving, found.parameters) == (0, 0, (2000, 2010))
    assert (found.at_edge, found.cells) == (0, 2 * 15 * 2)  # the smaller rate is the better one


def test_a_seed_that_diverged_anywhere_is_dropped_everywhere():
    rows = eta_rows.fit_rows(CONFIG, lambda point, r, seed: float(seed))
    rows[0] = rows[0] | {"error": None}  # seed 0, at the rate that is chosen
    found = trained_gains(CONFIG, rows)
    assert found.dropped == 1
    assert found.gains[:, 0, 0] == pytest.approx(np.arange(1.0, 8.0))


every_gain = pytest.mark.parametrize(
    ("slope", "offset", "grows", "helps"),
    [
        (0.5, 0.1, "holds", "holds"),
        (-0.5, -0.1, "violated", "violated"),
        (0.0, 0.0, "not testable", "not testable"),
    ],
)


@every_gain
def test_trained_gains_get_the_words_they_deserve(slope, offset, grows, helps):
    noise = np.random.default_rng(7).normal(0, 0.02, (8, 15, 5))
    place = {point: k for k, point in enumerate(CONFIG.points_of_dial())}
    rows = eta_rows.fit_rows(
        CONFIG, lambda point, r, seed: gain(point, slope) + offset + noise[seed, place[point], r]
    )
    part = trained_part(CONFIG, trained_gains(CONFIG, rows))
    assert finding(part, MAIN) == grows
    assert finding(part, "eta(t) lowers the trained error at r = 2") == helps
    assert "nothing here confirms or refutes a bound" in part["note"]


@pytest.mark.parametrize("match", ["loops", "grid"])
@every_gain
def test_certified_gains_get_the_words_they_deserve(match, slope, offset, grows, helps):
    rows = eta_rows.certificates(CONFIG, lambda point: gain(point, slope) + offset)
    part = certified_part(CONFIG, rows, match)
    assert finding(part, MAIN) == grows
    assert finding(part, "eta(t) lowers the certified error") == helps


def test_certified_gains_enclose_the_ratio():
    rows = eta_rows.certificates(CONFIG, lambda point: 0.3, width=0.01)
    found = certified_gains(CONFIG, rows, match="loops")
    assert (found.low < 0.3).all()
    assert (found.high > 0.3).all()
    assert found.high - found.low == pytest.approx(2 * math.log(1.01 / 0.99))
    assert found.loops >= found.tmlt_loops
    assert found.tmlt_grid > found.grid


def test_a_certificate_that_is_not_sound_is_left_out():
    rows = eta_rows.certificates(CONFIG, lambda point: 0.3)
    rows[0] = rows[0] | {"verdict": "not testable"}
    rows[5] = rows[5] | {"error_lower": None}
    assert len(certified_gains(CONFIG, rows, match="loops").points) == 13


def test_a_memoriser_beyond_its_bound_is_caught():
    rows = eta_rows.certificates(CONFIG, lambda point: 0.1)
    assert finding(certified_part(CONFIG, rows, "grid"), "memoriser errs") == "holds"
    least = math.sqrt(1 / CONFIG.grid)  # w_tok of the root at s = 1, whose w_cont is 0
    wide = [row | {"memoriser_error": 1.01 * least} for row in rows]
    assert finding(certified_part(CONFIG, wide, "grid"), "memoriser errs") == "violated"


@pytest.mark.parametrize(("excess", "verdict"), [(0.9, "holds"), (1.1, "violated")])
def test_an_excess_beyond_its_bound_is_caught(excess, verdict):
    """The least bound is that of the root at s = 1: N w_tok(1/m), p = 1, w_cont being 0."""
    bound = 3 * math.sqrt(1 / CONFIG.grid)
    needed = math.log(1 + excess * bound / eta_rows.TMLT_ERROR)
    rows = eta_rows.certificates(CONFIG, lambda point: needed, width=1e-6)
    assert finding(certified_part(CONFIG, rows, "grid"), "LT exceeds TMLT") == verdict


def test_a_failing_hypothesis_is_told():
    rows = eta_rows.certificates(CONFIG, lambda point: 0.1)
    assert [found.verdict for found in hypotheses(rows)] == ["holds"]
    bad = rows[4]["hypotheses"][0] | {"verdict": "not testable", "reason": "a jump"}
    rows[4] = rows[4] | {"hypotheses": [bad]}  # neither the first nor the last of its target
    (found,) = hypotheses(rows)
    assert (found.verdict, "a jump" in found.reason) == ("not testable", True)


@pytest.mark.parametrize("evidence", [{}, {"skipped": True}], ids=["failed", "open"])
def test_nothing_of_a_sweep_is_violated_where_a_hypothesis_does_not_hold(evidence, tmp_path):  # R6
    rows = eta_rows.certificates(CONFIG, lambda point: 0.1)
    rows = [row | {"memoriser_error": 1.0} for row in rows]
    fits = eta_rows.fit_rows(CONFIG, lambda point, loops, seed: -0.1)  # eta(t) harms

    def verdicts():
        report = write_eta_report(CONFIG, tmp_path, fits=fits, certificates=rows)
        found = [f for part in report["parts"] for f in part["findings"]]
        answers = {f["state"] for f in report["parts"][-1]["findings"]}
        assert answers <= {"yes", "no", "not clear"}  # "no" of what harms is no violation
        assert "violated" not in (tmp_path / "eta.md").read_text().partition("## Trained")[2]
        return [f["verdict"] for f in found]

    assert verdicts().count("violated") >= 2
    bad = {"verdict": "not testable", "reason": "a jump", "evidence": evidence}
    rows[4] = rows[4] | {"hypotheses": [rows[4]["hypotheses"][0] | bad]}
    assert "violated" not in verdicts()
    said = "is open on" if evidence else "fails on"
    assert said in hypotheses(rows)[0].reason


# the study and the command


def test_constructions_share_the_grid_or_fit_the_loops():
    plain, same, finer = compared_specs(CONFIG)
    assert (plain.memoriser, same.memoriser, finer.memoriser) == ("increments", *["timestep"] * 2)
    assert same.grid == plain.grid < finer.grid
    assert finer.loops <= plain.loops < replace(finer, grid=finer.grid + 1).loops


@pytest.fixture(scope="module")
def certified():
    """Certificates of one dial at m = 3: computed once."""
    specs = [spec.as_dict() for spec in compared_specs(TINY)]
    name = DialPoint("periods=1", 0.5).name
    return certificate_rows(
        lambda part: None,
        **{"target": name, "p": 1.0, "specs": specs, "tolerance": 0.1, "boxes": 20_000},
        hypotheses=True,
    )


def test_certificates_have_enclosures_and_hypotheses(certified):
    for row in certified:
        assert 0 < row["error_lower"] <= row["error_upper"]
        assert {f["verdict"] for f in row["hypotheses"]} == {"holds"}
    assert certified[0]["loops"] >= certified[-1]["loops"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "0"], "`seeds` must be an integer >= 1, got 0"),
        (["--loops", "0"], "`loops`"),
        (["--processes", "0"], "`processes` must be an integer >= 1, got 0"),
        (["--preset", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(arguments, words, tmp_path, capsys):
    assert main(["eta", "--preset", "smoke", "--out", str(tmp_path / "x"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_smoke_preset_ends_with_verdicts_and_a_figure(tmp_path, capsys):
    assert main(["eta", "--preset", "smoke", "--out", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [part["part"] for part in report["parts"]] == [
        "constructed-loops",
        "constructed-grid",
        "trained",
    ]
    assert finding(report["parts"][2], "eta(t) lowers the trained error at r = 2") == "not testable"
    assert (tmp_path / "figures" / "eta-gain__sweep.png").stat().st_size > 0
    assert "# When does eta(t) help?" in (tmp_path / "eta.md").read_text()
