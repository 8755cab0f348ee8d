"""The report of a reproduction: reported numbers, tables, plain answers, why bounds are silent."""

import importlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cases.reproduce_rows import fit, fits
from looprate.experiments.claims.reported import TABLES
from looprate.experiments.reproduce.catalogue import TASKS
from looprate.experiments.reproduce.comparisons import (
    compared_tasks,
    corrected,
    power_rows,
    settled_at,
    unit_of,
)
from looprate.experiments.reproduce.directions import direction
from looprate.experiments.reproduce.page import markdown
from looprate.experiments.reproduce.report import write_report
from looprate.experiments.reproduce.reported import REPORTED, SOURCE, reported_cell
from looprate.experiments.reproduce.summary import (
    at_chosen_rates,
    beats,
    cells,
    rises,
    spread,
    test_loop_cells,
)
from looprate.experiments.rows.records import RowStore
from looprate.theory.statistics.paired import pairs_needed, power_of

ROOT = Path(__file__).resolve().parent.parent
test_loop_cells.__test__ = False  # a function of the project, not a test
PUBLISHED = {  # typed once more, from the summary: model, loops, value
    ("sudoku", "board accuracy"): ("untied 6 0.0", "looped 32 87.9", "tmlt 32 90.2"),
    ("countdown", "accuracy"): ("untied 6 53.8", "looped 32 88.1", "tmlt 32 90.5"),
    ("lcs", "accuracy"): ("untied 12 39.8", "looped 100 98.2", "tmlt 100 98.6"),
    ("edit-distance", "accuracy"): ("untied 12 41.4", "looped 100 47.7", "tmlt 100 88.3"),
    ("decision-tree", "mean squared error"): (
        "untied 12 0.0086",
        "looped 12 0.014",
        "tmlt 12 0.0017",
    ),
    ("language", "train perplexity"): ("untied 12 15.9", "looped 24 17.1", "tmlt 24 15.9"),
    ("language", "test perplexity"): ("untied 12 20.5", "looped 24 20.6", "tmlt 24 19.6"),
}


def by_hand(cells_):
    found = {}
    for cell in cells_:
        key = (cell.task, cell.metric)
        found[key] = (*found.get(key, ()), f"{cell.model} {cell.loops} {cell.value:g}")
    return found


def as_numbers(table):
    return {key: [(w.split()[:2], float(w.split()[2])) for w in v] for key, v in table.items()}


# reported numbers


def test_the_reported_numbers_are_those_of_the_summary_and_no_others():
    assert as_numbers(by_hand(REPORTED)) == as_numbers(PUBLISHED)
    assert {cell.source for cell in REPORTED} == {SOURCE}


def test_a_wrong_reported_number_is_caught():
    for place in range(len(REPORTED)):
        wrong = list(REPORTED)
        wrong[place] = replace(wrong[place], value=wrong[place].value + 0.1)
        assert as_numbers(by_hand(wrong)) != as_numbers(PUBLISHED)


def test_the_ledger_of_claims_reports_the_same_numbers():
    names = {"language": "wikitext"}
    for key in TASKS:
        (line,) = [table for table in TABLES if table.id == names.get(key, key)]
        for model, text in (
            ("untied", line.baseline),
            ("looped", line.looped),
            ("tmlt", line.tmlt),
        ):
            loops, values = text.split(": ")
            mine = [c for c in REPORTED if (c.task, c.model) == (key, model)]
            assert {c.loops for c in mine} == {int(loops.partition("=")[2])}
            assert [c.value for c in mine] == [float(value) for value in values.split(" / ")]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (("sudoku", "tmlt", 32), 0.902),
        (("language", "untied", 12), 20.5),  # the test perplexity, never that of training
        (("sudoku", "tmlt", 50), None),
        (("edit-distance", "looped", 10), None),
        (("decision-tree", "untied", 6), None),
    ],
)
def test_known_cells_are_given_in_the_unit_of_rows_and_unknown_ones_do_not_exist(cell, value):
    found = reported_cell(*cell)
    assert (found.in_rows_unit if found else None) == pytest.approx(value)


# cells


def test_a_spread_is_median_and_ends():
    assert spread([0.3, 0.1, 0.2]) == {"median": 0.2, "low": 0.1, "high": 0.3, "seeds": 3}
    assert spread([]) == {"median": None, "low": None, "high": None, "seeds": 0}


def test_diverged_fits_are_counted_and_averaged_nowhere():
    rows = [
        fit("lcs", "tmlt", 4, 0, value=0.5),
        fit("lcs", "tmlt", 4, 1, value=0.9),
        fit("lcs", "tmlt", 4, 2, value=0.0, diverged_at=70),
        fit("lcs", "tmlt", 4, 3, value=None),
        fit("lcs", "tmlt", 8, 0, value=None, diverged_at=10),
    ]
    four, eight = cells(rows)
    assert (four["median"], four["low"], four["high"]) == (0.7, 0.5, 0.9)
    assert (four["seeds"], four["diverged"]) == (2, 2)
    assert (eight["median"], eight["seeds"], eight["diverged"]) == (None, 0, 1)


def test_cells_come_model_after_model_with_parameters_time_and_device():
    found = cells(fits("lcs")[::-1])
    assert [(c["model"], c["loops"]) for c in found[:5]] == [
        *(("looped", r) for r in (1, 2, 4, 8)),
        ("tmlt", 1),
    ]
    assert (found[-1]["model"], found[-1]["parameters"], found[-1]["seconds"]) == (
        "untied",
        8000,
        80.0,
    )
    assert found[0]["device"] == "cpu, 1 thread"


def test_other_loop_counts_have_a_cell_each_and_untied_models_none():
    rows = [
        fit("lcs", "looped", 2, seed, test_loops=[2, 4], at_test_loops=[0.5, 0.1 * seed])
        for seed in range(3)
    ]
    rows += [fit("lcs", "looped", 2, 3, value=None, at_test_loops=[None] * 5)]
    rows += [fit("lcs", "untied", 2, 0)]
    found = {(c["model"], c["trained"], c["loops"]): c for c in test_loop_cells(rows)}
    assert set(found) == {("looped", 2, r) for r in (1, 2, 4, 8, 16)}
    four = found["looped", 2, 4]
    assert (four["median"], four["low"], four["high"]) == pytest.approx((0.1, 0.0, 0.2))
    assert (four["seeds"], four["diverged"]) == (3, 1)


# plain answers


def with_values(table, name="lcs", model="looped"):
    """Fits of one model: loop count -> values of seeds 0, 1, ..."""
    return [fit(name, model, r, s, value=v) for r, vs in table.items() for s, v in enumerate(vs)]


@pytest.mark.parametrize(
    ("table", "answer"),
    [
        ({1: (0.1, 0.2), 2: (0.3, 0.4), 4: (0.5, 0.6)}, "yes"),
        ({1: (0.5, 0.6), 2: (0.3, 0.4), 4: (0.1, 0.2)}, "no"),
        ({1: (0.1, 0.5), 2: (0.3, 0.4), 4: (0.4, 0.6)}, "not clear"),  # the ends overlap
        ({1: (0.1, 0.2), 2: (0.7, 0.8), 4: (0.3, 0.4), 8: (0.31, 0.41)}, "not clear"),  # no trend
        ({1: (0.1, 0.6), 2: (0.5, 0.55), 4: (0.7, 0.5)}, "not clear"),  # one seed falls
        (
            {1: (0.1,) * 3, 2: (0.9, 0.2, 0.2), 4: (0.8, 0.3, 0.3), 8: (0.7, 0.4, 0.4)}
            | {16: (0.3, 0.5, 0.5)},
            "not clear",  # one seed has no trend
        ),
        ({1: (0.9, 0.1), 2: (0.5, 0.11), 4: (0.1, 0.12)}, "not clear"),  # one seed rises
        ({1: (0.0, 0.0), 2: (0.0, 0.0), 4: (0.0, 0.0)}, "not clear"),
        ({1: (0.1,), 2: (0.3,), 4: (0.5,)}, "not clear"),  # one seed
        ({1: (0.1, 0.2), 2: (0.3, 0.4)}, "not clear"),  # two loop counts
    ],
)
def test_the_answer_on_loops_follows_its_rule(table, answer):
    assert rises(with_values(table), "looped")["answer"] == answer
    errors = {r: [2.0 - v for v in values] for r, values in table.items()}
    mirrored = rises(with_values(errors, "decision-tree"), "looped")
    assert mirrored["answer"] == answer  # an error falls where an accuracy rises
    assert mirrored["claim"].startswith("squared error falls")


def test_the_answer_on_loops_tells_the_correlation_and_leaves_diverged_fits_out():
    rows = with_values({1: (0.1, 0.2), 2: (0.5, 0.6), 4: (0.3, 0.66), 8: (0.7, 0.8)})
    found = rises(rows, "looped")
    assert found["evidence"]["rank"] == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert "Spearman +0.80 over r = 1, 2, 4, 8" in found["reason"]
    rows += [fit("lcs", "looped", 8, 2, value=0.0, diverged_at=3)]
    assert rises(rows, "looped")["answer"] == found["answer"] == "yes"
    assert rises([*rows[:-1], rows[-1] | {"diverged_at": -1}], "looped")["answer"] == "not clear"


def test_a_step_that_falls_by_more_than_its_spread_is_no_rise():
    table = {1: (0.37, 0.33), 2: (0.53, 0.62), 4: (0.855, 0.809), 8: (0.787, 0.777)}
    found = rises(with_values(table), "looped")  # of Countdown's TMLT, 83 % to 78 %
    assert found["answer"] == "not clear"
    assert found["reason"].endswith("worse by more than its spread: r = 4 to 8 by 0.05")
    table[8] = (0.90, 0.79)  # one seed up, one down: within the spread
    assert rises(with_values(table), "looped")["answer"] == "yes"


def pairs(gains, name="lcs"):
    return [
        fit(name, model, 8, seed, value=0.5 + 0.02 * seed + (gain if model == "tmlt" else 0.0))
        for seed, gain in enumerate(gains)
        for model in ("looped", "tmlt")
    ]


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ((0.10, 0.12, 0.09, 0.11, 0.10), "yes"),
        ((-0.10, -0.12, -0.09, -0.11, -0.10), "no"),
        ((0.10, -0.12, 0.09, -0.11, 0.02), "not clear"),
        ((0.10, 0.12, 0.11), "not clear"),  # three pairs
        ((0.0, 0.0, 0.0, 0.0, 0.0), "not clear"),
    ],
)
def test_tmlt_is_compared_with_looped_seed_by_seed(gains, answer):
    found = beats(pairs(gains), 8)
    assert found["answer"] == answer
    assert found["evidence"]["mean"] == pytest.approx(np.mean(gains))
    flipped = {"yes": "no", "no": "yes"}.get(answer, answer)
    assert beats(pairs(gains, "language"), 8)["answer"] == flipped  # a perplexity
    assert (found["evidence"]["interval"] is None) == (len(gains) < 4)


def test_a_diverged_fit_takes_its_pair_with_it():
    rows = pairs((0.1, 0.1, 0.1, 0.1, 0.1))
    rows[1] |= {"value": -9.0, "diverged_at": 5}
    found = beats(rows, 8)
    assert (found["answer"], found["evidence"]["mean"]) == ("yes", pytest.approx(0.1))
    assert found["reason"].startswith("mean gain of TMLT +0.1, 4 pairs, 1 left out")
    assert beats([row for row in rows if row["model"] == "tmlt"], 8)["answer"] == "not clear"


# learning rates


def test_each_model_keeps_the_rate_that_validates_best_and_test_rows_have_no_part_in_it():
    def of(model, rate, seed, validated, value, **changes):
        recipe = {"learning_rate": rate}
        curve = {"curve_value": [0.1, validated], "curve_step": [10, 20]}
        return fit("lcs", model, 4, seed, recipe=recipe, value=value, **curve, **changes)

    rows = [of("tmlt", 0.1, s, 0.5, 0.9) for s in (0, 1)]  # better on test rows
    rows += [of("tmlt", 0.2, s, 0.6, 0.4) for s in (0, 1)]
    rows += [of("looped", 0.1, s, 0.5, 0.3) for s in (0, 1)]
    rows += [of("looped", 0.2, s, 0.9, 0.8, diverged_at=5) for s in (0, 1)]
    kept = [(r["model"], r["recipe"]["learning_rate"]) for r in at_chosen_rates(rows)]
    assert kept == [("tmlt", 0.2)] * 2 + [("looped", 0.1)] * 2
    mirrored = [r | {"name": "language", "metric": "perplexity"} for r in rows]
    kept = [(r["model"], r["recipe"]["learning_rate"]) for r in at_chosen_rates(mirrored)]
    assert kept == [("tmlt", 0.1)] * 2 + [("looped", 0.1)] * 2


def test_the_report_tells_which_rate_was_kept(tmp_path):
    rows = [
        row | {"recipe": {"learning_rate": rate}, "curve_value": [0.1, 0.2, 30 * rate]}
        for row in fits("lcs", loops=(1, 2))
        for rate in (0.01, 0.02)
    ]
    report = write_report(tmp_path, rows)
    (part,) = report["tasks"]
    assert part["rates"] == [0.01, 0.02]
    assert direction(part)["seconds"] == pytest.approx(sum(row["seconds"] for row in rows))
    assert {cell["rate"] for cell in part["table"]} == {0.02}
    assert {cell["seeds"] for cell in part["table"]} == {2}
    text = (tmp_path / "report.md").read_text()
    assert "Every fit was made at learning rates 0.01 and 0.02" in text
    assert "| device | learning rate |" in text


# comparisons of the whole report


def whole(name, gains, low=0.3):
    """Fits of one task at r = 1 and 8, TMLT better by the gains at 8."""
    at_8 = pairs(gains, name)
    first = [row | {"loops": 1, "value": low + 0.01 * row["seed"] ** 2} for row in at_8]
    if name in ("decision-tree", "language"):  # less is better
        first = [row | {"value": 2 - row["value"]} for row in first]
    return first + at_8


CLEAR, WEAK = (0.10, 0.12, 0.09, 0.11, 0.10), (0.10, 0.02, 0.09, 0.03, 0.04)


def test_a_weak_yes_among_many_comparisons_is_not_clear():
    alone = beats(pairs(WEAK), 8)
    assert alone["answer"] == "yes"
    assert [one["answer"] for one in corrected([alone])] == ["yes"]
    many = corrected([alone, beats(pairs(CLEAR), 8), *[beats(pairs((0.1, -0.1) * 3), 8)] * 4])
    assert [one["answer"] for one in many] == ["not clear", "yes", *["not clear"] * 4]
    assert many[0]["evidence"]["holm"] == pytest.approx(5 * alone["evidence"]["p"])
    assert "Holm's p over 6 comparisons" in many[0]["reason"]
    untested = beats(pairs((0.1, 0.1)), 8)
    assert corrected([untested]) == [untested]


def test_a_task_gets_better_or_worse_or_is_not_clear():
    worse = [-gain for gain in CLEAR]
    tables = [whole("lcs", CLEAR), whole("sudoku", worse), whole("countdown", (0.1, 0.1, 0.1))]
    tables += [whole("language", CLEAR)]  # a perplexity that is larger
    found = dict(
        zip(("lcs", "sudoku", "countdown", "language"), compared_tasks(tables), strict=True)
    )
    answers = [one["timestep"]["answer"] for one in found.values()]
    assert answers == ["yes", "no", "not clear", "no"]
    lcs = found["lcs"]["timestep"]
    assert lcs["mean"] == pytest.approx(10.4)  # points
    low, high = lcs["interval"]
    assert low < 10.4 < high
    assert lcs["holm"] >= lcs["p"]
    assert found["countdown"]["timestep"]["p"] is None
    assert found["lcs"]["loops"]["answer"] == "yes"
    assert found["lcs"]["loops"]["claim"] == "TMLT, r = 8 against 1"
    language = found["language"]["timestep"]["mean"]  # in per cent of the median
    assert language == pytest.approx(-0.104 / unit_of(whole("language", CLEAR)))


def test_power_tells_how_many_pairs_a_spread_needs():
    gains = (0.10, 0.02, 0.09, 0.03, 0.01)
    (one,) = power_rows([whole("lcs", gains)])
    spread = 100 * np.sqrt(4 * np.var(gains, ddof=1) / 8)  # at r = 1 there is none
    assert (one["pairs"], one["freedom"]) == (5, 8)
    assert one["spread"] == pytest.approx(spread)
    assert one["needed"] == pairs_needed(5.0, spread)
    assert one["power"] == pytest.approx(power_of(5, 5.0, spread))
    assert power_rows([whole("lcs", (0.1,))])[0]["needed"] is None


def test_a_curve_has_settled_where_it_stays_near_its_end():
    def curve(*values):
        steps = [10 * (k + 1) for k in range(len(values))]
        return [fit("lcs", "tmlt", 8, 0, curve_step=steps, curve_value=list(values))]

    assert settled_at(curve(0.1, 0.5, 0.78, 0.8, 0.8)) == 30
    assert settled_at(curve(0.8, 0.8, 0.81)) == 10
    assert settled_at(curve(0.1, 0.3, 0.5, 0.7)) is None


# the report


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    rows = fits("lcs", "edit-distance")
    rows[0] |= {"value": None, "diverged_at": 40}
    return folder, write_report(folder, rows)


def test_both_files_hold_the_report(small):
    folder, report = small
    assert json.loads((folder / "report.json").read_text()) == report
    assert (folder / "report.md").read_text() == markdown(report)
    assert [part["name"] for part in report["tasks"]] == ["lcs", "edit-distance"]


def test_at_another_size_there_is_no_column_reported(small):
    folder, report = small
    assert all(cell["reported"] is None for part in report["tasks"] for cell in part["table"])
    text = (folder / "report.md").read_text()
    assert text.count("Reported for another size") == 2
    assert "| looped | 8 | 1,000 | 44.5 [43.3 to 45.6] | 2 | 80 | cpu, 1 thread |" in text
    assert " | 1 (1 diverged) | 10 |" in text


def test_a_known_loop_count_at_another_size_is_not_compared(tmp_path):
    report = write_report(tmp_path, [fit("lcs", "looped", 100, 0, preset="paper")])
    assert report["tasks"][0]["table"][0]["reported"] is None


def test_what_was_not_run_is_listed(small):
    _, report = small
    listed = report["not_run"]
    assert "sudoku: no fit" in listed
    assert "lcs: 1 of 24 fits diverged and count nowhere" in listed
    assert "lcs: the paper's size, in this folder" in listed
    assert not any(sentence.startswith("edit-distance: no fit") for sentence in listed)


@pytest.mark.parametrize(
    ("gains", "word"), [((0.1,) * 5, "agrees"), ((-0.1,) * 5, "differs"), ((0.1,), "open")]
)
@pytest.mark.parametrize("name", ["lcs", "language"])
def test_our_direction_stands_beside_the_papers(tmp_path, gains, word, name):
    sign = -1 if name == "language" else 1  # of a perplexity less is better
    rows = pairs([sign * g for g in gains], name)
    report = write_report(tmp_path, rows)
    found = direction(report["tasks"][0])
    assert found["status"] == word
    assert found["paper"].startswith("better: ")
    assert found["seconds"] == pytest.approx(sum(row["seconds"] for row in rows))
    text = (tmp_path / "report.md").read_text()
    assert f"as the paper reports of every task: {word} (at the most loops" in text
    assert f" | **{word}** | " in text


def test_a_reported_direction_the_other_way_turns_the_status_round(small):
    part = small[1]["tasks"][0]
    turned = [{**c, "value": -c["value"]} for c in part["reported"]]
    better = {**part["compared"], "timestep": {**part["compared"]["timestep"], "answer": "yes"}}
    assert direction({**part, "compared": better})["status"] == "agrees"
    assert direction({**part, "compared": better, "reported": turned})["status"] == "differs"


def test_missing_models_and_planned_fits_are_listed(tmp_path):
    config = {"tasks": {"lcs": {"fits": ["a", "b", "c"], "note": "shorter strings"}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    report = write_report(tmp_path, [fit("lcs", "looped", 2, 0)])
    assert "lcs: no fit of tmlt, untied" in report["not_run"]
    assert "lcs: 2 of 3 planned fits" in report["not_run"]
    assert "Against the paper: shorter strings." in (tmp_path / "report.md").read_text()


def test_at_the_size_of_the_paper_known_cells_stand_beside_ours_and_others_stay_empty(tmp_path):
    rows = [
        fit("edit-distance", model, loops, 0, preset="paper", sizes={})
        for model, loops in (("looped", 10), ("looped", 100), ("tmlt", 100), ("untied", 12))
    ]
    report = write_report(tmp_path, rows)
    (part,) = report["tasks"]
    found = {(cell["model"], cell["loops"]): cell["reported"] for cell in part["table"]}
    assert found == {
        ("looped", 10): None,
        ("looped", 100): pytest.approx(0.477),
        ("tmlt", 100): pytest.approx(0.883),
        ("untied", 12): pytest.approx(0.414),
    }
    text = (tmp_path / "report.md").read_text()
    assert "| 1 | 47.7 | 1e+03 |" in text
    assert "the size of this task; training here: preset paper" in text
    assert "edit-distance: the paper's size, in this folder" not in report["not_run"]
    assert part["silence"]["here"]["tokens"] == part["silence"]["paper"]["tokens"] == 126


def test_the_section_on_silence_has_both_sizes_of_every_task(small):
    folder, _ = small
    text = (folder / "report.md").read_text()
    assert "| lcs | as run | 20 | 1 | 8 | none | **not testable** |" in text
    assert "| lcs | the paper's | 204 | 1 | 100 | none | **not testable** |" in text
    assert "**fails**: causal mask" in text
    assert "**open**: not looked at: between ids" in text


def test_rows_of_two_presets_are_refused(tmp_path):
    rows = [fit("lcs", "looped", 2, 0), fit("lcs", "looped", 2, 0, preset="smoke")]
    with pytest.raises(ValueError, match="`rows` must be fits of one preset, got small, smoke"):
        write_report(tmp_path, rows)
    with pytest.raises(ValueError, match="got no rows"):
        write_report(tmp_path, [])


@pytest.mark.parametrize("preset", ["small", "evening"])
def test_the_committed_results_make_their_report(tmp_path, preset):
    stored = ROOT / "results" / f"reproduce-{preset}"
    for name in ("rows.jsonl", "config.json"):
        shutil.copy(stored / name, tmp_path / name)
    shutil.copytree(stored / "pictures", tmp_path / "pictures")
    store = RowStore(tmp_path / "rows.jsonl")
    planned = json.loads((stored / "config.json").read_text())["tasks"]
    rows = [row for task in planned.values() for key in task["fits"] for row in store.task(key)]
    run = {"small": set(TASKS), "evening": set(TASKS) - {"decision-tree"}}
    assert {row["name"] for row in rows} == run[preset]
    write_report(tmp_path, rows)
    assert (tmp_path / "report.md").read_text() == (stored / "report.md").read_text()
    made = sorted((tmp_path / "figures").glob("*.csv"))
    assert [path.name for path in made] == [p.name for p in sorted(stored.glob("figures/*.csv"))]
    for path in made:
        assert path.read_text() == (stored / "figures" / path.name).read_text(), path.name


def test_the_items_of_the_paper_are_those_of_the_stored_rows():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        items = importlib.import_module("items")
    finally:
        sys.path.remove(str(ROOT / "docs"))
    text = items.PLACE.read_text(encoding="utf-8")
    assert text == items.page(), "run: python docs/items.py"
    lines = text.splitlines()
    assert len(lines) == 2 + len(items.ITEMS) + len(TASKS)
    for (preset, part), line in zip(items.parts(), lines[-len(TASKS) :], strict=True):
        assert f"| {direction(part)['status']}: " in line
        assert f"`looprate reproduce {part['name']} --preset {preset}`" in line
        assert part["seconds"] > 0
    assert all("|  |" not in line for line in lines)
