"""Best found in a study: rows, the report's list, the exponent, and what is drawn of them."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from cases.drawn import band, drawn, legend, line, points, texts
from cases.figure_rows import best_of_rows, main_rows, roughness_rows
from looprate.approx.fit.fitted import Recipe
from looprate.approx.fit.halving import SearchPlan
from looprate.approx.fit.polish import Stage
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.experiments.study import best
from looprate.experiments.study.config import PRESETS, StudyConfig
from looprate.experiments.study.plan import best_tasks, study_sweep
from looprate.experiments.study.report import write_report
from looprate.theory.statistics.best_of import best_of, power_law
from looprate.theory.targets import parse_target

SCHEMA = {
    **{"target": str, "family": str, "loops": int, "error": float, "stderr": float},
    **{"starts": int, "median": float, "certified_lower": float, "certified_upper": float},
}
CONFIG = replace(
    PRESETS["smoke"],
    targets=("mean-field",),
    loops=(1, 3),
    families=("lt", "tmlt"),
    seeds=1,
    recipe=Recipe(steps=2, evaluations=1, batch=8, validation_points=64),
    blocks=((4, 1, 4), (4, 1, 2)),
    roughness=("token-sine:periods=1",),
    grids=(1,),
    search=SearchPlan(
        starts=4,
        rungs=(10, 10),
        finalists=1,
        stages=(Stage(1, 2),),
        recipe=Recipe(batch=8, validation_points=64),
    ),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder and the report of a tiny study."""
    folder = tmp_path_factory.mktemp("study")
    sweep = study_sweep(CONFIG, folder)
    sweep.run()
    return folder, write_report(CONFIG, sweep)


def test_a_report_lists_what_was_found_in_its_schema(done):
    folder, report = done
    assert json.loads((folder / "report.json").read_text())["best_found"] == report["best_found"]
    assert all(row["doubling"] and row["best_of"] for row in report["parts"][0]["best"])
    (picture,) = (folder / "figures").glob("best-of-n__*.csv")
    assert f"{picture.stem}.png" in (folder / "report.md").read_text()
    found = report["best_found"]
    assert [(row["target"], row["family"], row["loops"]) for row in found] == [
        ("mean-field", "lt", 1),
        ("mean-field", "lt", 3),
        ("mean-field", "tmlt", 3),
        ("token-sine:periods=1", "lt", 1),
        ("token-sine:periods=1", "lt", 3),
    ]
    for row in found:
        assert set(row) == set(SCHEMA)
        for name, kind in SCHEMA.items():
            assert type(row[name]) is kind or (row[name] is None and name.startswith("certified"))


def test_what_is_certified_holds_what_was_found(done):
    proven = [row for row in done[1]["best_found"] if row["certified_upper"] is not None]
    assert proven
    for row in proven:
        slack = 6 * row["stderr"]
        assert row["certified_lower"] - slack <= row["error"] <= row["certified_upper"] + slack


def test_the_network_of_a_row_is_kept_and_has_its_error(done):
    folder, _ = done
    row = json.loads((folder / best.BEST).read_text().splitlines()[0])
    stored = np.load(folder / "models" / f"{row['task']}.npz")
    config = ModelConfig(**row["blocks"][row["chosen"]]["config"])
    model = LoopedTransformer(config, seed=0, loops=row["loops"]).double()
    model.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored})
    x = torch.rand(4096, 2, 1, dtype=torch.float64, generator=torch.manual_seed(0))
    with torch.no_grad():
        gap = (model(x) - parse_target(row["target"])(x)).abs().sum((1, 2)).mean()
    assert float(gap) == pytest.approx(row["error"], rel=0.1)


def test_the_page_on_roughness_shows_every_target_with_the_middle_block(done):
    folder, report = done
    (name,) = report["roughness"]
    text = (folder / "figures" / f"roughness__{name}.csv").read_text()
    assert {line.split(",")[0] for line in text.splitlines()} > {"name"}
    assert "token-sine" in text
    assert "mean-field" in text


def test_every_target_family_and_loop_count_is_searched_once(tmp_path):
    tasks = best_tasks(CONFIG, tmp_path)
    places = [(t.arguments["target"], t.arguments["family"], t.arguments["loops"]) for t in tasks]
    assert len(places) == len(set(places)) == 3 + 2
    assert [len(t.arguments["blocks"]) for t in tasks] == [2, 2, 2, 1, 1]
    assert not best_tasks(replace(CONFIG, blocks=()), tmp_path)
    keys = {task.key for task in tasks}
    assert not keys & {t.key for t in best_tasks(replace(CONFIG, boxes=7, roughness=()), tmp_path)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_plan_is_read_from_the_values_it_is_stored_as(name):
    plan = PRESETS[name].search
    assert SearchPlan.from_dict(json.loads(json.dumps(asdict(plan)))) == plan


def test_presets_search_as_widely_as_they_say():
    quick, full = PRESETS["quick"], PRESETS["full"]
    assert quick.search.starts >= 48
    assert set(quick.loops) >= {1, 2, 4, 8, 16}
    assert len(quick.blocks) == 3
    assert full.search.starts >= 256
    assert max(full.loops) == 64
    assert (len(full.shapes), len(full.targets)) == (3, 6)
    density = {stage.density for plan in (quick.search, full.search) for stage in plan.stages[-1:]}
    assert min(density) >= 4  # finer than the parameters can fit


# -- statistics ------------------------------------------------------------------------------------
def test_the_best_of_all_starts_is_seldom_above_and_never_below_the_best():
    errors = np.random.default_rng(1).lognormal(size=48).tolist()
    found = best_of(errors)
    assert [each.starts for each in found] == [1, 2, 4, 8, 16, 32, 48]
    medians = [each.median for each in found]
    assert medians == sorted(medians, reverse=True)
    assert found[0].median == pytest.approx(np.median(errors), rel=0.1)
    assert found[-1].low == min(errors)
    assert found[-1].median <= sorted(errors)[1]


def test_a_start_that_diverged_counts_as_one():
    assert best_of([1.0, np.inf, np.inf, np.inf])[0].median == np.inf
    with pytest.raises(ValueError, match="`errors` must"):
        best_of([np.nan])


def test_a_power_law_is_found_with_its_exponent_and_range():
    loops = [1, 2, 4, 8, 16]
    noise = np.array([1.1, 0.95, 1.0, 1.05, 0.93])
    law = power_law(loops, 3.0 * np.array(loops) ** -1.5 * noise)
    assert law.interval[0] < -1.5 < law.interval[1] < 0
    assert (law.first, law.last) == (1, 16)
    bent = power_law([*loops, 32], [3.0, 3.0, *(4.0 * np.array([4, 8, 16, 32]) ** -2.0)])
    assert (bent.first, bent.last) == (4, 32)
    assert bent.slope == pytest.approx(-2)


@pytest.mark.parametrize("errors", [[1, 1, 1, 1], [1, 0.1, 1, 0.1], [1, 2, 4, 8], [1, 0.5, 0.25]])
def test_what_is_no_power_law_is_said_to_be_none(errors):
    assert power_law([1, 2, 4, 8][: len(errors)], errors) is None


# -- figures ---------------------------------------------------------------------------------------
def best_rows(family="lt"):
    """Rows of three loop counts, the last one without a certificate."""
    rows = [
        {"family": family, "loops": r, "error": 0.1 / r, "stderr": 1e-4, "starts": 3}
        | {"stopped": [0.5, None, 0.2], "certified_lower": 0.08 / r, "certified_upper": 0.2 / r}
        for r in (1, 2, 4)
    ]
    return [*rows[:2], {**rows[2], "certified_lower": None, "certified_upper": None}]


def test_the_main_figure_shows_the_best_its_certificate_and_the_starts():
    plain = main_rows()
    setting = {name: plain[0][name] for name in ("target", "latex", "tokens", "dim", "p")}
    empty = dict.fromkeys(plain[0])
    more = [{**empty, **setting, **row} for row in best.curve_rows(best_rows())]
    ax, _ = drawn("error-against-loops", [*plain, *more])
    assert points(line(ax, "LT best of 3 starts")) == [(1, 0.1), (2, 0.05), (4, 0.025)]
    assert points(line(ax, "LT best, certified")) == [(1, 0.2), (2, 0.1)]
    assert band(ax, "_lt starts")[:, 1].max() == 0.5
    assert any("bars: certified" in text for text in texts(ax))
    assert ax.get_ylim()[0] < 0.025
    without, _ = drawn("error-against-loops", plain)
    assert not [text for text in texts(without) if "best of" in text]


def test_the_page_on_roughness_orders_targets_by_what_one_loop_leaves():
    (ax,) = drawn("roughness", roughness_rows())
    assert [text.get_text() for text in ax.texts if text.get_gid()] == ["rough", "smooth"]
    assert ax.get_legend() is None
    assert points(line(ax, "rough")) == [(1, 1.0), (4, 0.25)]
    assert [text.get_text() for text in ax.texts if not text.get_gid()] == ["one loop alone"]
    assert "rise" not in ax.get_title()
    worse = [row | {"value": 2.0} if row["loops"] == 4 else row for row in roughness_rows()]
    (ax,) = drawn("roughness", worse)
    assert "the search's limit" in ax.get_title()


def test_the_figure_of_starts_shows_the_best_of_n_of_each_family():
    lt, tmlt = drawn("best-of-n", best_of_rows())
    assert points(line(lt, "4")) == [(1, 0.25), (2, 0.125), (4, 0.0625)]
    assert points(line(tmlt, "1")) == [(1, 0.5), (2, 0.25), (4, 0.125)]
    assert legend(tmlt) == ["$r = 1$", "$r = 4$"]
    assert "more starts would help" in lt.figure.get_suptitle()


def test_bad_searches_are_refused():
    with pytest.raises(ValueError, match="`boxes` must be"):
        StudyConfig(targets=("mean-field",), boxes=-1)
    with pytest.raises(ValueError, match="`starts` must be"):
        SearchPlan(starts=0)
    with pytest.raises(ValueError, match="`rungs` must"):
        SearchPlan(rungs=())
    with pytest.raises(ValueError, match="`density` must"):
        SearchPlan(stages=(Stage(-1, 1),))
