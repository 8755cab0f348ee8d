"""A study: complete, never recomputed, never stale, and the same numbers however often it dies."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from looprate import study as command_study
from looprate.approx.fit.fitted import Recipe
from looprate.approx.fit.halving import SearchPlan
from looprate.cli import main
from looprate.experiments.engine.sweep import THEORY
from looprate.experiments.rows.page import page
from looprate.experiments.rows.provenance import TRACES
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.drawing import draw_folder
from looprate.experiments.study.plan import study_sweep
from looprate.experiments.study.report import write_report
from looprate.theory.construction.memorisers import MEMORISERS

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ["--preset", "smoke", "--target", "mean-field", "--loops", "1", "3", "--seeds", "2"]
TINY = [*OPTIONS, "--steps", "20", "--processes", "1"]
KINDS = (
    *("error-against-loops", "moduli", "bound-terms", "training-curves", "best-of-n", "rates"),
)
LESSONS = ("memorisers", "arithmetic", "stages")
FITS, BEST = 4, 3  # banks; best networks: eta(t) of one loop is the plain one
TASKS = FITS + BEST + len(MEMORISERS) + 2  # theory and lessons
PATIENCE = 120.0  # seconds a killed run may take to get where it is killed


def lines(folder, name="rows.jsonl"):
    """Return the rows of a file as parsed, [] where there is none."""
    path = folder / name
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def numbers(rows):
    """Return everything but the time it took and a line's own digest, by task, each row once."""
    found = {}
    for row in rows:
        place = (row["task"], row["index"])
        assert place not in found
        found[place] = {
            name: value for name, value in row.items() if name not in ("seconds", "check")
        }
    return found


def contents(folder, *kinds):
    """Return the bytes of a study's figures of some kinds by name."""
    return {p.name: p.read_bytes() for p in (folder / "figures").iterdir() if p.suffix in kinds}


def report_of(config, folder):
    """Write the report; return report.json without times and versions, report.md, rows drawn."""

    def without(value):
        if isinstance(value, dict):
            return {k: without(v) for k, v in value.items() if k not in (*TRACES, "check")}
        return [without(v) for v in value] if isinstance(value, list) else value

    write_report(config, study_sweep(config, folder))
    stored = json.loads((folder / "report.json").read_text())
    return without(stored), (folder / "report.md").read_text(), contents(folder, ".csv")


def draw_png(folder, style, formats):
    """Draw the figures without their PDF files, which take as long again."""
    assert formats == ["png", "pdf"]
    return draw_folder(folder, style, ["png"])


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished tiny study, made by the command; not to be changed."""
    folder = tmp_path_factory.mktemp("first") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_study, "draw_folder", draw_png)
        assert main(["verify", *TINY, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def study(first, tmp_path):
    """A copy of the finished study, to change."""
    return shutil.copytree(first, tmp_path / "study")


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are not drawn: another test looks at them."""
    monkeypatch.setattr(command_study, "draw_folder", lambda *_: (0, ""))


# -- what a study leaves ---------------------------------------------------------------------------
def test_a_study_leaves_rows_for_every_family_loop_count_and_seed(first):
    rows = lines(first)
    assert {(row["family"], row["loops"], row["seed"]) for row in rows} == {
        (family, loops, seed) for family in ("lt", "tmlt") for loops in (1, 3) for seed in (0, 1)
    }
    assert len(rows) == 8
    for row in rows:
        assert row["target"] == "mean-field:a=1,b=1"
        assert 0 < row["error"] < 10
        assert 0 < row["error_stderr"] < row["error"]
        assert row["curve_steps"][-1] == 20
        assert row["curve"][-1] == row["validation_error"]
    sizes = {row["family"]: row["parameters"] for row in rows}
    assert sizes["lt"] == pytest.approx(sizes["tmlt"], rel=0.02)
    (theory,) = lines(first, "theory.jsonl")
    assert {finding["verdict"] for finding in theory["hypotheses"]} == {"holds"}


def test_a_study_leaves_a_report_whose_numbers_are_those_of_the_rows(first):
    report = json.loads((first / "report.json").read_text())
    (part,) = report["parts"]
    errors = {(row["family"], row["loops"], row["seed"]): row["error"] for row in lines(first)}
    for fit in part["fits"]:
        assert fit["errors"] == [errors[fit["family"], fit["loops"], seed] for seed in (0, 1)]
    verdicts = {finding["claim"]: finding["verdict"] for finding in part["findings"]}
    assert set(verdicts.values()) <= {"holds", "violated", "vacuous", "not testable"}
    assert {each["answer"] for each in part["answers"]} == {"not clear"}
    words = (first / "report.md").read_text()
    assert all(claim in words for claim in verdicts)
    assert "(figures/error-against-loops__mean-field_a=1_b=1-N2-d1.png)" in words
    assert report["config"] == json.loads((first / "config.json").read_text())


@pytest.mark.parametrize("evidence", [{}, {"skipped": True}], ids=["failed", "open"])
def test_a_report_finds_nothing_violated_where_a_hypothesis_does_not_hold(study, evidence):  # R6
    known = study_sweep(config_of(study), study)
    rows, (row,) = known.rows, known.rows(THEORY)
    wrong = [{**m, "upper": 2 * m["upper"], "exact": 2 * m["exact"]} for m in row["moduli"]]
    failed = row["hypotheses"][1] | {"verdict": "not testable", "evidence": evidence}

    def verdicts(hypotheses):
        theory = [{**row, "moduli": wrong, "hypotheses": hypotheses}]
        known.rows = lambda file: theory if file == THEORY else rows(file)
        (part,) = write_report(config_of(study), known)["parts"]
        return {f["claim"]: f["verdict"] for f in [*part["findings"], *part["hypotheses"]]}

    (claim,) = (c for c, v in verdicts(row["hypotheses"]).items() if "reach the exact" in c)
    assert verdicts(row["hypotheses"])[claim] == "violated"
    assert "violated" not in verdicts([row["hypotheses"][0], failed]).values()
    word = "open" if evidence else "fails"
    assert f"| **{word}** | {failed['claim']}" in (study / "report.md").read_text()


def test_the_page_says_what_the_report_says_and_its_links_lead_to_rows(first):
    words, found = (first / "report.md").read_text(), (first / "report.html").read_text()
    report = json.loads((first / "report.json").read_text())
    assert len(report["headline"]) == 5
    assert found == page(words, first)
    links = re.findall(r'href="([^"]+)"', found)
    assert links
    assert all((first / link).stat().st_size for link in links)
    assert all(re.search(r"\]\(\w+\.jsonl\)", sentence) for sentence in report["headline"])
    assert found.count("data:image/png;base64,") == words.count("![") > 4
    assert "Not drawn" not in found
    assert "violated" not in found.lower()  # as nothing is contradicted
    assert "hold</summary>" in found
    sections = words.split("\n## ")[1:-1]
    assert all("](" in section for section in sections if "| " in section)


def test_constructed_networks_stand_beside_trained_ones(first):
    stored = [row for row in lines(first, "constructions.jsonl") if "verdict" in row]
    assert [(row["memoriser"], row["grid"]) for row in stored] == [
        (memoriser, grid) for memoriser in MEMORISERS for grid in (2, 4)
    ]
    assert all(row["verdict"] in ("holds", "vacuous") for row in stored)
    path = first / "figures" / "error-against-loops__mean-field_a=1_b=1-N2-d1.csv"
    with path.open(newline="") as stream:
        drawn = [row for row in csv.DictReader(stream) if row["curve"] == "constructed"]
    assert [(float(row["lower"]), float(row["value"])) for row in drawn] == [
        (row["error_lower"], row["error_upper"]) for row in stored
    ]
    assert {row["family"] for row in drawn} == {"lt", "tmlt"}
    report = json.loads((first / "report.json").read_text())["parts"][0]
    assert [row["loops"] for row in report["certificates"]] == [row["loops"] for row in stored]
    claims = [finding["claim"] for finding in report["findings"]]
    assert sum("explicit inequality" in claim for claim in claims) == len(MEMORISERS)


def test_a_study_leaves_rows_and_files_of_every_figure(first):
    stems = [f"{kind}__mean-field_a=1_b=1-N2-d1" for kind in KINDS]
    for stem in (*stems, *(f"{kind}__lesson" for kind in LESSONS)):
        with (first / "figures" / f"{stem}.csv").open(newline="") as stream:
            assert len(list(csv.DictReader(stream))) > 3
        assert (first / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((first / "models").glob("*.npz"))) == FITS + BEST
    assert not list((first / "checkpoints").glob("*"))
    assert not list(first.rglob("*.tmp"))


# -- again, and changed ----------------------------------------------------------------------------
def test_running_again_computes_nothing_and_reports_the_same(study, undrawn, capsys):
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    assert main(["verify", *TINY, "--out", str(study)]) == 0
    assert f"{TASKS} of {TASKS} tasks are done" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_another_question_to_the_same_folder_is_refused_and_changes_nothing(study, undrawn, capsys):
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    for changes, words in [
        (["--steps", "24"], "holds a run with steps = 20, asked for now: 24"),
        (["--target", "others-mean"], 'targets = ["mean-field:a=1,b=1"], asked for now:'),
        (["--loops", "4"], "loops = [1, 3], asked for now: [4]"),
        (["--seeds", "1"], "seeds = 2, asked for now: 1"),
    ]:
        assert main(["verify", *TINY, *changes, "--out", str(study)]) == 2  # B7
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert words in err
        assert "take another --out" in err
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_the_same_question_asked_wider_keeps_every_row(study, undrawn):
    before = (study / "rows.jsonl").read_bytes()
    wider = [*TINY, "--loops", "1", "3", "4", "--out", str(study)]
    assert main(["verify", *wider]) == 0
    after = (study / "rows.jsonl").read_bytes()
    assert after.startswith(before)
    assert {row["loops"] for row in lines(study)[8:]} == {4}
    report = json.loads((study / "report.json").read_text())
    assert len(report["parts"][0]["fits"]) == 6


# -- the same numbers ------------------------------------------------------------------------------
def run_here(config, folder, *, processes=1):
    """Run a study in this process; return its fit rows and the reported parts by label."""
    found, parts = study_sweep(config, folder), {}
    found.run(
        processes=processes,
        report=lambda task, part: parts.setdefault(task.label, []).append(part),
    )
    assert found.missing() == []
    return found.rows(), parts


def config_of(folder, **recipe):
    """Return the configuration a study folder was made with."""
    stored = json.loads((folder / "config.json").read_text())
    for name in ("targets", "loops", "families", "learning_rates", "grids", "roughness"):
        stored[name] = tuple(stored[name])
    for name in ("shapes", "blocks"):
        stored[name] = tuple(map(tuple, stored[name]))
    stored["roughness"] = tuple(stored["roughness"])
    stored["search"] = SearchPlan.from_dict(stored["search"])
    return StudyConfig(**{**stored, "recipe": Recipe(**{**stored["recipe"], **recipe})})


def test_one_process_two_processes_and_two_threads_give_the_same_numbers(first, tmp_path):
    expected = numbers(lines(first))
    config = config_of(first)
    rows, parts = run_here(config, tmp_path / "two", processes=2)
    assert numbers(rows) == expected
    assert len(parts) == TASKS
    for name in ("theory.jsonl", "constructions.jsonl", "best.jsonl"):
        assert numbers(lines(tmp_path / "two", name)) == numbers(lines(first, name))
    shutil.copytree(first, tmp_path / "threads")
    (tmp_path / "threads" / "rows.jsonl").unlink()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert numbers(run_here(config, tmp_path / "threads")[0]) == expected
        assert torch.get_num_threads() == 2  # as the caller had it
    finally:
        torch.set_num_threads(threads)


#: The command with checkpoints ten times a second, so that a kill of a short fit can follow one.
OFTEN = """
import sys
import looprate.approx.fit.fitting
looprate.approx.fit.fitting.fit.__kwdefaults__["checkpoint_seconds"] = 0.1
from looprate.cli import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def kill_when(script, arguments, condition):
    """Start the command, SIGKILL it as soon as the condition holds."""
    run = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert run.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, "the run never got where it was to be killed"
            time.sleep(0.01)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()


def test_a_study_killed_twice_ends_with_the_numbers_of_an_unbroken_one(first, tmp_path):
    steps = 150
    config, folder = config_of(first, steps=steps), tmp_path / "killed"
    for path in (folder, tmp_path / "unbroken"):
        path.mkdir()
        for name in ("theory.jsonl", "constructions.jsonl"):  # another test runs them in workers
            shutil.copy(first / name, path)
    unbroken, _ = run_here(config, tmp_path / "unbroken")
    script = tmp_path / "often.py"
    script.write_text(OFTEN)
    command = [*OPTIONS, "--steps", str(steps), "--processes", "1", "--out", str(folder)]

    def checkpoints():
        found = {}
        for path in (folder / "checkpoints").glob("*.npz"):
            with suppress(FileNotFoundError):  # its fit has just ended
                found[path.name] = path.stat().st_mtime_ns
        return found

    kill_when(script, ["verify", *command], lambda: len(lines(folder)) >= 2)
    finished = (folder / "rows.jsonl").read_bytes()
    assert 2 <= len(lines(folder)) < 8
    old = checkpoints()  # the first kill may have left one, which the next run may use
    kill_when(
        script,
        ["verify", *command],
        lambda: any(old.get(name) != written for name, written in checkpoints().items()),
    )
    assert (folder / "rows.jsonl").read_bytes().startswith(finished)
    (left,) = checkpoints()

    rows, parts = run_here(config, folder)
    assert numbers(rows) == numbers(unbroken)
    assert numbers(lines(folder)) == numbers(unbroken)
    best = [numbers(lines(path, "best.jsonl")) for path in (folder, tmp_path / "unbroken")]
    assert best[0] == best[1]
    assert (folder / "rows.jsonl").read_bytes().startswith(finished)
    assert not checkpoints()
    resumed = next(t for t in study_sweep(config, folder).tasks() if left.startswith(t.key))
    chunk = 0.95 / config.recipe.evaluations  # the first report of a fit from its start
    assert parts[resumed.label][0] > 1.5 * chunk
    report, *rest = report_of(config, folder)
    assert [report, *rest] == list(report_of(config, tmp_path / "unbroken"))  # F7
    assert report["parts"][0]["fits"]


def test_a_report_does_not_depend_on_the_order_in_which_rows_were_stored(first, study):  # F7
    config = config_of(first)
    expected = report_of(config, shutil.copytree(first, study.parent / "same"))
    for path in study.glob("*.jsonl"):
        stored = path.read_text().splitlines(keepends=True)
        tasks = [json.loads(line)["task"] for line in stored]
        later = sorted(stored, key=lambda line: -tasks.index(json.loads(line)["task"]))
        assert len(set(tasks)) == 1 or later != stored
        path.write_text("".join(later))
    assert report_of(config, study) == expected


def test_numbers_that_differ_are_seen(first):  # the comparisons above can fail
    rows = lines(first)
    assert numbers(rows) != numbers(
        [{**rows[0], "error": rows[0]["error"] * (1 + 1e-15)}, *rows[1:]]
    )
    with pytest.raises(AssertionError):
        numbers([*rows, rows[0]])


# -- figures alone ---------------------------------------------------------------------------------
def test_figures_are_redrawn_alike_from_rows_without_torch(first, study, tmp_path):
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("raise ImportError('no torch here')\n")
    for path in (study / "figures").iterdir():
        lesson = path.name.endswith("__lesson.csv")  # another test redraws those
        if path.suffix != ".csv" or lesson:
            path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "looprate", "figures", str(study), "--json", "--format", "png"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(stub)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr  # a progress bar may be there
    assert len(json.loads(done.stdout)) == len(KINDS)
    expected = contents(first, ".png", ".csv")
    assert contents(study, ".png", ".csv") == {
        name: drawn for name, drawn in expected.items() if "__lesson." not in name
    }
    blocked = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env={**os.environ, "PYTHONPATH": str(stub)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no torch here" in blocked.stderr  # the stub does block
