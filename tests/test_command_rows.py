"""``looprate rows``: what it prints and writes; folders of two machines become one, or a line."""

import json
import shutil
from dataclasses import replace

import pytest

from looprate.experiments.engine.sweep import FITS
from looprate.experiments.reproduce.plan import reproduce_sweep
from looprate.experiments.reproduce.presets import PRESETS
from looprate.experiments.rows.merge import merge_folders
from looprate.experiments.rows.question import ask
from looprate.experiments.rows.records import RowStore
from looprate.experiments.study.config import PRESETS as STUDIES
from looprate.experiments.study.plan import study_sweep

ROW = {"model": "tmlt", "loops": 8, "value": 0.5, "seconds": 1.0, "device": "cpu"}


def fill(folder, rows, name="rows"):
    """Store rows, a list a task, by key."""
    store = RowStore(folder / f"{name}.jsonl")
    for key, stored in rows.items():
        store.append(key, stored)
    return folder


@pytest.fixture
def run(tmp_path):
    tasks = {key: [ROW | {"loops": r}] for key, r in (("a", 1), ("b", 8))}
    fill(tmp_path / "run", {"t": [{"trivial": 0.25}]}, "theory")
    return fill(tmp_path / "run", tasks)


@pytest.fixture
def two(tmp_path):
    """Two machines: each has tasks of its own, and both have task b."""
    own = {key: [ROW | {"value": k / 7}, ROW] for k, key in enumerate("abc")}
    first = fill(tmp_path / "first", {key: own[key] for key in "ab"})
    again = [row | {"seconds": 9.0, "device": "other", "commit": "another"} for row in own["b"]]
    second = fill(tmp_path / "second", {"b": again, "c": own["c"]})
    fill(second, {"t": [{"trivial": 0.1}]}, "theory")
    return first, second


@pytest.fixture
def refused(said):
    def run(*arguments):
        code, out, err = said("rows", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    return run


# -- list, filter, export --------------------------------------------------------------------------
def test_the_list_tells_files_counts_columns_and_first_rows(said, run):
    code, out, err = said("rows", run, "--where", "file=rows")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert [str(run), "rows", "2", "2"] in lines
    assert [str(run), "theory", "1", "0"] in lines
    assert "columns: folder, file, task, index, of, model, loops, value," in out
    assert ["loops"] in lines  # the one column in which these rows differ
    assert ["8"] in lines
    assert "no row matches" in said("rows", run, "--where", "loops>8")[1]


def test_json_has_the_rows_that_match(said, run):
    code, out, err = said("rows", run, "--where", "loops>1", "--where", "model=tmlt", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert row == {"folder": str(run), "file": "rows", **RowStore(run / "rows.jsonl").task("b")[0]}
    _, out, _ = said("rows", run, "--columns", "loops", "trivial", "--json")
    assert [tuple(row.values()) for row in json.loads(out)] == [(1, None), (8, None), (None, 0.25)]


def test_files_are_written_and_told(said, run, tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "a.parquet"]
    arguments = ["--where", "file=rows", "--csv", paths[0], "--columns", "value", "loops"]
    code, out, _ = said("rows", run, *arguments)
    assert code == 0
    assert f"wrote 2 rows to {paths[0]}" in out
    assert paths[0].read_text() == "value,loops\n0.5,1\n0.5,8\n"
    pq = pytest.importorskip("pyarrow.parquet")
    code, out, _ = said("rows", run, "--parquet", paths[1], "--json")
    told = json.loads(out)
    assert (code, told["rows"], told["written"]) == (0, 3, [str(paths[1])])
    assert pq.read_table(paths[1]).column_names == told["columns"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--where", "lops=8"], "`where` must name a column of the stored rows, got 'lops'"),
        (["--where", "loops"], "`where` must be COLUMN"),
        (["--columns", "lops"], "`columns` must name a column of the stored rows, got 'lops'"),
        (["--merge", "out"], "`DIR` must be at least two different folders to merge"),
        (["--merge", "out", "--csv", "f"], "`merge` takes whole folders, got --csv too"),
    ],
)
def test_bad_input_is_one_line(refused, run, arguments, words):
    assert words in refused(run, *arguments)


def test_a_place_that_cannot_be_written_is_one_line(refused, run):
    assert "cannot use" in refused(run, "--csv", run / "rows.jsonl" / "a.csv")


def test_an_unreadable_row_is_one_line(refused, run):
    with (run / "theory.jsonl").open("a") as stream:
        stream.write("{broken\n")
    before = (run / "theory.jsonl").read_bytes()
    assert "`theory.jsonl` must hold one JSON row a line, line 2 of" in refused(run)
    assert (run / "theory.jsonl").read_bytes() == before


# -- merge -----------------------------------------------------------------------------------------
def test_a_merge_has_every_task_once_as_its_first_folder_has_it(said, two, tmp_path):
    out = tmp_path / "deep" / "both"
    code, text, err = said("rows", *two, "--merge", out, "--json")
    assert (code, err) == (0, "")
    assert json.loads(text) == {
        "out": str(out),
        "tasks": {"rows": 3, "theory": 1},
        "repeated": 1,
        "files": 0,
        "notes": [],
    }
    first, second = (RowStore(folder / "rows.jsonl") for folder in two)
    merged = RowStore(out / "rows.jsonl")
    assert merged.keys() == ["a", "b", "c"]
    assert merged.lines("a") == first.lines("a")
    assert merged.lines("b") == first.lines("b") != second.lines("b")
    assert merged.lines("c") == second.lines("c")
    assert (out / "theory.jsonl").read_bytes() == (two[1] / "theory.jsonl").read_bytes()
    turned = merge_folders([*two[::-1], out], tmp_path / "turned")
    assert (turned.tasks, turned.repeated) == ({"rows": 3, "theory": 1}, 5)
    assert RowStore(tmp_path / "turned" / "rows.jsonl").lines("b") == second.lines("b")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([{"value": 0.500000001}], "value"),
        ([{"value": None, "loops": 9}], "loops, value"),
        ([{"more": {"deep": 1}}], "more.deep"),
        ([{}, {}], "of"),
    ],
)
def test_other_numbers_under_one_key_are_refused(said, refused, tmp_path, changes, names):
    first = fill(tmp_path / "first", {"a": [ROW], "k": [ROW]})
    second = fill(tmp_path / "second", {"k": [ROW | change for change in changes]})
    line = refused(first, second, "--merge", tmp_path / "out")
    assert f"{first} and {second} differ in task k of rows.jsonl in {names}; nothing was" in line
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


def test_provenance_and_times_may_differ_at_any_depth(tmp_path):
    evidence = [{"torch": "2", "evidence": [{"seconds": 1.0, "x": 1}], "versions": {"numpy": "1"}}]
    other = [{"torch": "3", "evidence": [{"seconds": 2.0, "x": 1}], "versions": {"numpy": "2"}}]
    folders = [fill(tmp_path / "a", {"k": evidence}), fill(tmp_path / "b", {"k": other})]
    assert merge_folders(folders, tmp_path / "out").repeated == 1
    wrong = [{"torch": "3", "evidence": [{"seconds": 2.0, "x": 2}], "versions": {"numpy": "2"}}]
    folders[1] = fill(tmp_path / "c", {"k": wrong})
    with pytest.raises(ValueError, match="in evidence;"):
        merge_folders(folders, tmp_path / "again")


def test_weights_come_with_their_rows_and_checkpoints_with_unfinished_tasks(two, tmp_path):
    for folder in two:
        for name in ("models", "checkpoints", "figures", "pictures"):
            (folder / name).mkdir()
        (folder / "pictures" / "lcs__tmlt.npz").write_text(folder.name)
        (folder / "figures" / "old.png").write_text("of a part")
        (folder / "report.md").write_text("of a part")
        for key in "abc":  # also of tasks whose rows never came
            (folder / "models" / f"{key}.npz").write_text(folder.name)
    (two[0] / "models" / "c.checkpoint.npz").touch()  # c is finished in the second
    (two[0] / "checkpoints" / "d.npz").write_text("half of d")
    found = merge_folders(two, tmp_path / "out")
    files = [path for path in (tmp_path / "out").glob("*/*")]
    names = {str(path.relative_to(tmp_path / "out")): path.read_text() for path in files}
    assert names == {
        "models/a.npz": "first",
        "models/b.npz": "first",
        "models/c.npz": "second",
        "checkpoints/d.npz": "half of d",
        "pictures/lcs__tmlt.npz": "first",
    }
    assert found.files == 5
    assert found.notes == [f"pictures/lcs__tmlt.npz is that of {two[0]}"]
    assert not (tmp_path / "out" / "report.md").exists()


def test_the_place_of_a_merge_must_be_free(two, tmp_path, refused):
    taken = tmp_path / "taken"
    taken.mkdir()
    merge_folders(two, taken)  # empty is free
    before = sorted(path.name for path in taken.iterdir())
    assert "`merge` must be a new or empty folder" in refused(*two, "--merge", taken)
    assert sorted(path.name for path in taken.iterdir()) == before
    assert "at least two different folders" in refused(two[0], two[0], "--merge", tmp_path / "x")


def test_a_merge_that_fails_leaves_nothing(two, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    (two[0] / "models").mkdir()
    (two[0] / "models" / "a.npz").touch()
    with pytest.raises(OSError, match=r"No space left on device: '.*out'"):
        merge_folders(two, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


# -- what the commands make of merged folders ------------------------------------------------------
def half(config, folder):
    """Every task of a study done, without its work."""
    study = study_sweep(config, folder)
    for task in study.tasks():
        study.keep(task, [{"label": task.label}])
    (folder / "config.json").write_text(json.dumps(config.as_dict()))
    return folder


def test_two_halves_of_a_study_are_the_whole(tmp_path):
    whole = STUDIES["smoke"]
    parts = [replace(whole, loops=loops) for loops in ((1, 2), (2, 4))]
    halves = [half(config, tmp_path / f"part {k}") for k, config in enumerate(parts)]
    merge_folders(halves, tmp_path / "out")
    merged = study_sweep(whole, tmp_path / "out")
    assert merged.missing() == []
    assert len(merged.rows()) == len(merged.files[FITS]) == 6
    assert len(RowStore(tmp_path / "out" / "rows.jsonl")) == 6  # that of 2 loops once
    stored = json.loads((tmp_path / "out" / "config.json").read_text())
    assert stored == json.loads(json.dumps(whole.as_dict()))
    more = study_sweep(replace(whole, loops=(1, 8)), tmp_path / "out")
    assert len(more.missing()) == 4  # a bank and a best network of each family


def reproduced(folder, *names, preset="smoke", device="cpu", **changes):
    """Every fit of some tasks of the paper done, without its work."""
    presets = {name: replace(PRESETS[preset][name], **changes) for name in names}
    study = reproduce_sweep(presets, preset, folder, device)
    ask(folder, study.question)
    for task in study.tasks():
        study.keep(task, [{"name": task.label}])
    return folder


def test_two_halves_of_a_reproduction_are_the_whole(tmp_path):
    first = reproduced(tmp_path / "a", "lcs", models=("tmlt",))
    second = reproduced(tmp_path / "b", "lcs", "sudoku", models=("looped",), seeds=2, note="late")
    found = merge_folders([first, second], tmp_path / "out")
    assert found.notes == [f"config.json: tasks.lcs.note is '', {second} has 'late'"]
    stored = json.loads((tmp_path / "out" / "config.json").read_text())
    assert list(stored["tasks"]) == ["lcs", "sudoku"]
    assert (stored["tasks"]["lcs"]["models"], stored["tasks"]["lcs"]["seeds"]) == (
        *(["tmlt", "looped"], 2),
    )
    both = {"lcs": replace(PRESETS["smoke"]["lcs"], models=("tmlt", "looped"))}
    merged = reproduce_sweep(both, "smoke", tmp_path / "out")
    assert merged.missing() == []
    parts = [len(RowStore(folder / "rows.jsonl")) for folder in (first, second)]
    assert len(RowStore(tmp_path / "out" / "rows.jsonl")) == sum(parts)


def test_runs_of_other_presets_are_refused(tmp_path, refused):
    first = reproduced(tmp_path / "a", "lcs")
    second = reproduced(tmp_path / "b", "lcs", preset="small")
    line = refused(first, second, "--merge", tmp_path / "out")
    assert "`config.json` must agree in preset" in line
    assert "'smoke'" in line
    assert "'small'" in line
    recipe = replace(PRESETS["smoke"]["lcs"].recipe, steps=77)
    second = reproduced(tmp_path / "c", "lcs", recipe=recipe)
    line = refused(first, second, "--merge", tmp_path / "out")
    assert "`config.json` must agree in tasks.lcs.recipe.steps" in line
    (second / "config.json").write_text("{broken")
    assert "`config.json` must be JSON" in refused(first, second, "--merge", tmp_path / "out")
    assert not (tmp_path / "out").exists()
