"""Stored rows as a table: what counts as a row, which conditions hold, and what files read back."""

import csv
import io
import json

import pytest

from looprate.experiments.rows.export import column_sort, write_csv, write_json, write_parquet
from looprate.experiments.rows.query import flat, matching, open_folders, parse_condition, survey
from looprate.experiments.rows.records import RowStore

FITS = [
    {"model": "tmlt", "loops": 8, "value": 0.5, "good": True, "config": {"width": 16}},
    {"model": "looped", "loops": 4, "value": None, "good": False, "config": {"width": 32}},
    {"model": "tmlt", "loops": 16, "value": 0.75, "curve": [0.5, 1 / 3], "name": "dial:token=0.7"},
]
BIG = 2**60 + 1  # float64 has no such number


@pytest.fixture
def folder(tmp_path):
    """A run folder with two row files and a torn end."""
    store = RowStore(tmp_path / "run" / "rows.jsonl")
    store.append("a", FITS[:2])
    store.append("b", FITS[2:])
    RowStore(tmp_path / "run" / "theory.jsonl").append("c", [{"trivial": 0.1, "big": BIG}])
    with (tmp_path / "run" / "rows.jsonl").open("a") as stream:
        stream.write('{"task": "d", "index": 0, "of": 2}\n{"task": "d", "ind')
    return tmp_path / "run"


def chosen(folder, *conditions):
    """Keys and indices of the rows that meet conditions."""
    rows = matching(open_folders([folder]), [parse_condition(text) for text in conditions])
    return [f"{row['task']}{row['index']}" for row in rows]


# -- rows ------------------------------------------------------------------------------------------
def test_rows_of_finished_tasks_come_with_folder_and_file(folder):
    rows = list(matching(open_folders([folder]), []))
    assert [(row["file"], row["task"]) for row in rows] == [
        *(("rows", "a"), ("rows", "a"), ("rows", "b"), ("theory", "c"))
    ]
    assert {row["folder"] for row in rows} == {str(folder)}
    assert rows[2]["curve"] == [0.5, 1 / 3]


def test_a_folder_without_rows_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=r"`DIR` must be a folder with stored rows .*make one"):
            open_folders([place])


def test_flat_names_what_is_nested():
    row = {"a": {"b": {"c": 1}, "d": None}, "e": [1, {"f": 2}], "g": {}}
    assert flat(row) == {"a.b.c": 1, "a.d": None, "e": [1, {"f": 2}]}


# -- conditions ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["loops=8"], ["a0"]),
        (["loops = 8.0"], ["a0"]),
        (["loops==8"], ["a0"]),
        (["loops!=8"], ["a1", "b0"]),  # not the row without loops
        (["loops<8"], ["a1"]),
        (["loops<=8"], ["a0", "a1"]),
        (["loops>8"], ["b0"]),
        (["loops>=8"], ["a0", "b0"]),
        (["loops>-1e3", "loops<inf"], ["a0", "a1", "b0"]),
        (["loops>5", "loops<10"], ["a0"]),
        (["loops=eight"], []),
        (["model=tmlt"], ["a0", "b0"]),
        (["model!=tmlt"], ["a1"]),
        (["model~l"], ["a0", "a1", "b0"]),
        (["model~loop"], ["a1"]),
        (["model>1"], []),  # a word is not ordered
        (["model=tmlt", "value>0.5"], ["b0"]),
        (["good=true"], ["a0"]),
        (["good=false"], ["a1"]),
        (["good=1"], []),
        (["good>0"], []),
        (["value=null"], ["a1", "c0"]),
        (["value!=null"], ["a0", "b0"]),
        (["config.width=16"], ["a0"]),
        (["config.width>16"], ["a1"]),
        (["name=dial:token=0.7"], ["b0"]),
        (["name~=0.7"], ["b0"]),
        (["curve~0.333"], ["b0"]),
        (["file=theory"], ["c0"]),
        ([f"big={BIG}"], ["c0"]),
        ([f"big={BIG - 1}"], []),
    ],
)
def test_conditions_choose_rows(folder, conditions, expected):
    assert chosen(folder, *conditions) == expected


@pytest.mark.parametrize("text", ["loops", "=8", "", "loops 8", "a b=3"])
def test_a_condition_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"`where` must be COLUMN, one of .*try loops=8"):
        parse_condition(text)


@pytest.mark.parametrize("text", ["loops<many", "loops>=nan", "loops>"])
def test_an_order_needs_a_number(text):
    with pytest.raises(ValueError, match=r"`where` must compare with a number after .*contains"):
        parse_condition(text)


def test_conditions_are_read_not_run(folder):
    assert chosen(folder, "model=__import__('os').getcwd()") == []


def test_a_column_no_row_has_is_refused_with_near_ones(folder):
    files = open_folders([folder])
    with pytest.raises(ValueError, match=r"`where` must name a column .*'lops'; near: loops"):
        survey(files, [parse_condition("lops=8")])
    with pytest.raises(ValueError, match=r"'width'; near: config.width"):
        survey(files, [parse_condition("width=8")])


# -- surveys ---------------------------------------------------------------------------------------
def test_a_survey_counts_and_sorts(folder):
    files, heard = open_folders([folder]), []
    found = survey(files, [], heard.append)
    assert found.counts == [3, 1]
    assert heard == [1, 1, 2, 3]  # tasks
    assert found.columns["loops"] == {"int"}
    assert found.columns["value"] == {"float"}
    assert found.columns["big"] == {"long"}
    assert list(found.columns)[:5] == ["folder", "file", "task", "index", "of"]
    assert {"loops", "model", "config.width", "curve"} <= found.varying
    assert not {"folder", "version"} & found.varying
    some = survey(files, [parse_condition("loops=8")])
    assert some.counts == [1, 0]
    assert "curve" not in some.columns
    assert "curve" in some.known
    assert [row["task"] for row in some.first] == ["a"]


@pytest.mark.parametrize(
    ("values", "sort"),
    [
        ([], "str"),
        ([1, 2], "int"),
        ([1, -(2**60)], "int"),
        ([1, 2**63], "str"),
        ([1, 0.5], "float"),
        ([0.5], "float"),
        ([2**60, 0.5], "str"),
        ([True, False], "bool"),
        ([True, 1], "str"),
        (["a"], "str"),
        (["a", 1], "str"),
    ],
)
def test_a_column_holds_its_values_exactly(tmp_path, values, sort):
    pq = pytest.importorskip("pyarrow.parquet")
    RowStore(tmp_path / "rows.jsonl").append("a", [{"x": v} for v in values] or [{"x": None}])
    files = open_folders([tmp_path])
    columns = {"x": survey(files, []).columns["x"]}
    assert column_sort(columns["x"]) == sort
    write_parquet(tmp_path / "a.parquet", columns, matching(files, []))
    read = pq.read_table(tmp_path / "a.parquet").column("x").to_pylist()
    expected = [v if isinstance(v, str) or sort != "str" else json.dumps(v) for v in values]
    assert read == (expected or [None])
    assert all(type(a) is type(b) for a, b in zip(read, expected, strict=False) if sort == "int")


# -- files -----------------------------------------------------------------------------------------
def test_csv_reads_back_as_the_same_values(folder, tmp_path):
    files, path = open_folders([folder]), tmp_path / "deep" / "rows.csv"
    names = ["task", "loops", "value", "good", "curve", "big", "config.width"]
    write_csv(path, names, matching(files, []))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == names
    values = [{k: json.loads(v) if v and k != "task" else v for k, v in r.items()} for r in rows]
    expected = [flat(row) for row in matching(files, [])]
    for found, cells in zip(values, expected, strict=True):
        wanted = {name: cells.get(name) for name in names}
        assert found == {k: "" if v is None else v for k, v in wanted.items()}


def test_parquet_reads_back_in_groups(folder, tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("looprate.experiments.rows.export.GROUP", 2)
    files, path = open_folders([folder]), tmp_path / "rows.parquet"
    columns = survey(files, []).columns
    write_parquet(path, columns, matching(files, []))
    table = pq.read_table(path)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert table.column_names == list(columns)
    assert table.column("value").to_pylist() == [0.5, None, 0.75, None]
    assert table.column("big").to_pylist() == [None, None, None, BIG]
    assert table.column("good").to_pylist() == [True, False, None, None]
    assert table.column("curve").to_pylist()[2] == json.dumps(FITS[2]["curve"])


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"`parquet` must have pyarrow .*looprate\[store\].*--csv"):
        write_parquet(tmp_path / "a.parquet", {}, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("columns", [None, ["task", "config.width", "value"]])
def test_json_is_the_list_of_rows(folder, columns):
    files, stream = open_folders([folder]), io.StringIO()
    write_json(stream, columns, matching(files, []))
    expected = list(matching(files, []))
    if columns:
        expected = [{name: flat(row).get(name) for name in columns} for row in expected]
    assert json.loads(stream.getvalue()) == expected
    none = io.StringIO()
    write_json(none, columns, [])
    assert json.loads(none.getvalue()) == []


def test_an_export_that_fails_leaves_the_old_file(folder, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")

    def breaks():
        yield from matching(open_folders([folder]), [])
        raise KeyError("late")

    with pytest.raises(KeyError):
        write_csv(path, ["task"], breaks())
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.csv", "run"]
