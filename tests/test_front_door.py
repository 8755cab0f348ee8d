"""`import looprate`: what a researcher asks at the one door, and what comes back."""

import ast
import copy
import html
import json
import math
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pytest
import torch

import looprate
from looprate import cli
from looprate.experiments.study.config import PRESETS
from looprate.results import BoundAnswer
from looprate.theory.continuity import modulus_lower_bound

SOURCE = Path(looprate.__file__)
QUICK = {"effort": 0.02}


@pytest.fixture(scope="module")
def f():
    return looprate.target("dial", tokens=2)


def best_fit(f):
    """The best of few starts, as in the smallest preset."""
    smoke = PRESETS["smoke"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", smoke)
        return f.best_fit([1, 2], starts=3, family="lt", device="cpu")


@pytest.fixture(scope="module")
def answers(f):
    """One answer of every question."""
    return {
        "check": f.check(),
        "moduli": f.moduli([0.1, 0.2], **QUICK),
        "bound": f.bound([100, 1000]),
        "construct": f.construct(3),
        "fit": f.fit(2, seeds=1, steps=3, learning_rates=[0.01, 0.02], device="cpu"),
        "best_fit": best_fit(f),
    }


ANSWERS = ("check", "moduli", "bound", "construct", "fit", "best_fit")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


# -- the names -------------------------------------------------------------------------------------


def test_importing_it_loads_no_heavy_library():
    code = (
        "import sys, looprate; looprate.__all__; dir(looprate);"
        "heavy = {'numpy', 'torch', 'scipy', 'sympy', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy; looprate.target; assert 'numpy' in sys.modules;"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SOURCE.parent.parent)


def test_the_names_are_those_that_editors_see():
    tree = ast.parse(SOURCE.read_text())
    [typed] = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n)]
    seen = {
        alias.name: (node.module.removeprefix("looprate").removeprefix("."), alias.name)
        for node in typed.body
        for alias in node.names
    }
    places = {name: (place, name) for name, place in looprate._PLACES.items()}
    modules = {name for name, (place, _) in places.items() if place.rpartition(".")[2] == name}
    modules -= {name for name in modules if seen[name][0] == places[name][0]}
    places |= {name: (looprate._PLACES[name].rpartition(".")[0], name) for name in modules}
    assert seen == places
    assert set(looprate.__all__) == set(looprate._PLACES) <= set(dir(looprate))


@pytest.mark.parametrize("name", looprate.__all__)
def test_every_name_is_there(name):
    assert getattr(looprate, name) is not None


def test_a_slip_is_answered_with_the_name():
    with pytest.raises(AttributeError, match="did you mean modulus_lower_bound"):
        looprate.modulus_lowerbound  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'qqq'$"):
        looprate.qqq  # noqa: B018


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_a_sequence_of_flat_rows(answers, name):
    answer = answers[name]
    rows = answer.to_rows()
    assert len(answer) == len(rows) == pa.Table.from_pylist(rows).num_rows > 0
    assert answer[0] == rows[0]
    assert answer[-1:] == rows[-1:]
    assert list(answer) == rows
    assert not any(isinstance(value, dict) for row in rows for value in row.values())
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    for column in answer.columns:
        assert answer[column] == [row[column] for row in rows] if column in rows[0] else True
        assert column in {*dir(answer), "certified"}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_prints_its_columns_as_text_and_html(answers, name):
    answer = answers[name]
    said, page = repr(answer), answer._repr_html_()
    assert said.startswith(answer.title)
    assert len(said.splitlines()) >= 2 + len(answer)
    assert all(f"<th>{column}</th>" in page for column in answer.columns)
    assert page.count("<tr>") == 1 + len(answer)


def test_html_is_escaped_and_long_tables_end(f, answers):
    row = answers["bound"].rows[0] | {"verdict": "<script>", "reason": "a < b"}
    answer = BoundAnswer(f, (row,) * 50)
    page = answer._repr_html_()
    assert "<script>" not in page
    assert html.escape("<script>") in page
    assert "a &lt; b" in page
    assert "... 10 more rows" in repr(answer)


def test_a_column_is_an_attribute(f, answers):
    assert answers["bound"].total == [row["total"] for row in answers["bound"].rows]
    assert f.bound(100).total == answers["bound"].total[0]
    assert answers["construct"].verdict == answers["construct"].certificate.as_dict()["verdict"]
    low, high = answers["construct"].error
    assert 0 < low <= high < math.inf
    with pytest.raises(AttributeError, match="did you mean total"):
        f.bound(100).totl  # noqa: B018
    with pytest.raises(AttributeError, match="it has loops, delta"):
        f.bound(100).zzzz  # noqa: B018


@pytest.mark.parametrize("name", ["moduli", "bound", "check"])
def test_an_answer_is_copied(answers, name):
    twin = copy.deepcopy(answers[name])
    assert twin.to_rows() == answers[name].to_rows()
    assert repr(twin) == repr(answers[name])


def marks(axes):
    return [*axes.lines, *axes.collections, *axes.patches, *axes.texts]


@pytest.mark.parametrize("name", ANSWERS)
def test_plots_draw_on_given_axes_and_change_nothing_else(answers, name):
    before, (figure, (left, right)) = dict(mpl.rcParams), plt.subplots(1, 2)
    assert answers[name].plot(left) is left
    assert marks(left)
    assert not marks(right)
    assert plt.get_fignums() == [figure.number]
    own = answers[name].plot()
    assert own.figure is not figure
    assert plt.get_fignums() == [figure.number, own.figure.number]
    assert dict(mpl.rcParams) == before


def test_own_figures_have_the_projects_style_and_given_axes_the_users(answers):
    from looprate.figures.style import paper

    with plt.rc_context({"font.size": 23.0}):
        given = answers["bound"].plot(plt.subplots()[1])
        own = answers["bound"].plot()
    assert own.xaxis.label.get_size() == own.figure.axes[0].yaxis.label.get_size() < 23
    assert paper()["font.size"] < 23
    assert given.xaxis.label.get_size() >= 23


def abscissae(axes):
    return {x for line in axes.lines for x in np.ravel(line.get_xdata())}


def test_one_figure_takes_bounds_constructed_and_trained_networks(f, answers):
    drawn = looprate.error_figure(answers["bound"], answers["construct"], answers["fit"])
    assert (drawn.get_xscale(), drawn.get_yscale()) == ("log", "log")
    assert {2, answers["construct"].loops} <= abscissae(drawn)
    assert 2 not in abscissae(looprate.error_figure(answers["bound"], answers["construct"]))
    for wrong in (answers["moduli"], [answers["bound"]]):
        with pytest.raises(TypeError, match="must be those of bound, construct and fit"):
            looprate.error_figure(wrong)
    other = looprate.target("dial", tokens=3).bound(100)
    with pytest.raises(ValueError, match="one target and setting, got 2"):
        looprate.error_figure(answers["bound"], other)
    with pytest.raises(ValueError, match="got 0: none"):
        looprate.error_figure()


# -- the questions ---------------------------------------------------------------------------------


def printed(capsys, *arguments):
    code = cli.main([*map(str, arguments), "-N", "2", "--json"])
    assert code == 0
    return json.loads(capsys.readouterr().out)


def numbers(value):
    """Every number in nested lists and dictionaries, in order."""
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in numbers(value[key])]
    if isinstance(value, list | tuple):
        return [x for part in value for x in numbers(part)]
    return [value] if isinstance(value, float | int) else []


def test_bounds_are_the_commands_digit_by_digit(capsys, answers):
    told = printed(capsys, "bound", "dial", "--loops", 100, 1000)
    rows = told["rows"] if isinstance(told, dict) else told
    for mine, theirs in zip(answers["bound"].rows, rows, strict=True):
        assert {key: theirs[key] for key in mine} == json.loads(json.dumps(mine))


def test_moduli_are_the_commands_digit_by_digit(capsys, f):
    told = printed(capsys, "moduli", "dial", "--delta", 0.1, "--kind", "token")
    rows = told["rows"] if isinstance(told, dict) else told
    [mine], [theirs] = f.moduli(0.1, kinds="token").rows, rows
    assert {key: theirs[key] for key in mine} == mine


def test_certificates_are_the_commands_digit_by_digit(capsys, answers):
    told = printed(capsys, "construct", "dial", "--grid", 3)
    row = answers["construct"].rows[0]
    assert {key: told[key] for key in row} == json.loads(json.dumps(row))


@pytest.mark.parametrize(
    "loops",
    [
        *(100, 1e2, np.int64(100), np.float64(100), torch.tensor(100)),
        *([100], (1e2,), range(100, 101), np.array([100]), np.logspace(2, 2, 1)),
    ],
    ids=repr,
)
def test_loop_counts_come_in_any_form(f, loops):
    assert f.bound(loops).loops == 100
    assert type(f.bound(loops).rows[0]["loops"]) is int


@pytest.mark.parametrize(
    ("loops", "error", "said"),
    [
        (100.5, TypeError, "`loops` .* must be an integer >= 1, got 100.5"),
        ("many", TypeError, "got 'many'"),
        (True, TypeError, "got True"),
        ([], ValueError, "`loops` must be one number or several"),
        (2, ValueError, "take loops >= 3"),
        (math.inf, TypeError, "got inf"),
    ],
)
def test_what_is_no_loop_count_is_refused(f, loops, error, said):
    with pytest.raises(error, match=said):
        f.bound(loops)


def test_networks_come_with_the_rows_in_order(f):
    fitted = f.fit([1, 2.0], seeds=np.int64(2), steps=2.0, learning_rates=0.01, device="cpu")
    assert fitted.loops == [1, 1, 2, 2]
    assert fitted.seed == [0, 1, 0, 1]
    x = torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(0))
    models = [fitted.model(k) for k in range(4)]
    assert [model.loops for model in models] == fitted.loops
    outputs = [model(x) for model in models]
    assert not any(torch.equal(a, b) for k, a in enumerate(outputs) for b in outputs[:k])
    best = min(range(4), key=lambda k: fitted.validation_error[k])
    assert torch.equal(fitted.best()(x), outputs[best])
    assert torch.equal(fitted.model(-1)(x), outputs[3])
    with pytest.raises(IndexError, match="below 4, got 4"):
        fitted.model(4)


def test_a_model_errs_as_its_row_says(f):
    fitted = f.fit(2, seeds=[3], steps=5, learning_rates=[0.01], device="cpu")
    x = torch.rand(20_000, 2, 1, generator=torch.Generator().manual_seed(1))
    gap = (fitted.model(0)(x) - f(x)).detach().abs().sum((1, 2)).mean()
    assert abs(float(gap) - fitted.error) < 6 * fitted.error_stderr + 0.02
    assert abs(2 * float(gap) - fitted.error) > 6 * fitted.error_stderr + 0.02  # the control


def test_constructed_networks_are_saved_and_loaded(answers, tmp_path, f):
    made, path = answers["construct"], tmp_path / "network.json"
    made.save(path)
    again = looprate.constructed_transformer(looprate.load_network(path).network)
    x = torch.tensor([[[0.2], [0.5]], [[0.9], [0.3]]], dtype=torch.float64)
    assert torch.equal(again(x), made.model()(x))
    middles = (x * 3).floor() / 3 + 1 / 6
    assert (made.model()(x) - f(middles)).abs().max() < 1e-6


def test_questions_are_those_of_the_functions(f):
    direct = modulus_lower_bound(f.target, 0.1, kind="token", tokens=2, dim=1, p=1, effort=0.02)
    found = f.moduli(0.1, kinds=["token"], **QUICK).lower
    assert found == pytest.approx(direct.value, rel=1e-9)  # what is exact ends a search early
    assert f.moduli(np.array([0.1]), kinds=["token"], **QUICK).lower == found
    with pytest.raises(ValueError, match="`kind` must be one of"):
        f.moduli(0.1, kinds="tokn")
    with pytest.raises(TypeError, match=r"`grid` .* must be an integer >= 1, got \[3, 4\]"):
        f.construct([3, 4])
    assert f.construct(3.0).grid == 3
