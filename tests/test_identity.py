"""What a result is kept under: file names, keys, stamps and folders tell different questions apart.

The numbers in comments are those of the list of faults found by use.
"""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.construction_rows import write_stage_rows
from experiments.figure_rows import LONGEST_NAME, slug
from theory.construction.compile import compile_construction
from theory.construction.spec import ConstructionSpec
from theory.targets import resolve_target

FEW = settings(max_examples=200, deadline=None, derandomize=True)
#: What a command line may hold: any text, and texts that differ in few, lossy places.
NEAR = st.text(alphabet="aA_:,*/~.-+=N2d1 é", max_size=12)
NAMES = st.one_of(st.text(max_size=400), NEAR)
PLACES = st.tuples(NAMES, st.integers(1, 10**9), st.integers(1, 99), NEAR)


# -- names of files --------------------------------------------------------------------------------
@FEW
@given(st.lists(PLACES, min_size=2, max_size=8, unique=True))
@example([("formula: x*3", 2, 1, ""), ("formula: x/3", 2, 1, "")])  # R4
@example([("Ä.py:f", 2, 1, ""), ("Ö.py:f", 2, 1, "")])  # R4: letters beyond ASCII
@example([("a.py:f", 2, 1, ""), ("A.py:f", 2, 1, "")])  # one file on some systems
@example([("x" * 300, 2, 1, ""), ("x" * 299 + "y", 2, 1, "")])  # R14
@example([("a:b", 2, 1, ""), ("a,b", 2, 1, ""), ("a_b", 2, 1, "")])
@example([("a-n2-d1", 3, 1, ""), ("a", 2, 1, "-d1-n3-d1")])
@example([("a", 2, 1, "-d1"), ("a-N2-d1", 2, 1, ""), ("a", 21, 1, "")])
def test_other_targets_and_shapes_have_other_file_names(places):
    names = [slug(*place) for place in places]
    assert len({name.lower() for name in names}) == len(places)


@FEW
@given(PLACES)
@example(("formula: " + "+".join(["x"] * 145), 2, 1, ""))  # R14: 289 characters
def test_file_names_are_short_and_safe_on_every_file_system(place):
    name = slug(*place)
    assert len(name) <= LONGEST_NAME
    assert re.fullmatch(r"[A-Za-z0-9.=+~_-]+", name)
    assert "__" not in name  # which ends the kind of a figure
    assert not name.endswith((".", " "))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mean-field:a=1,b=1", "mean-field_a=1_b=1-N2-d1"),
        ("token-power:alpha=0.5,scale=1e-07", "token-power_alpha=0.5_scale=1e-07-N2-d1"),
        ("others-mean", "others-mean-N2-d1"),
    ],
)
def test_names_of_built_in_targets_are_read_off_their_files(target, name):
    assert slug(target, 2, 1) == name


def test_a_lossy_name_is_caught():  # the first check can fail
    lossy = [re.sub(r"[^A-Za-z0-9.=+-]+", "_", f"formula: x{sign}3") for sign in "*/"]
    assert lossy[0] == lossy[1]


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_constructions_of_one_target_have_figures_of_their_own(p, tmp_path):
    target = resolve_target("mean-field")
    specs = [
        ConstructionSpec(2, 1, 3, "increments", "sum"),
        ConstructionSpec(2, 1, 3, "increments", "rank"),
        ConstructionSpec(2, 1, 3, "increments", "sum", sharpness=64),
        ConstructionSpec(2, 1, 3, "timestep", "rank"),
    ]
    built = [compile_construction(target, spec) for spec in specs]
    paths = [write_stage_rows(tmp_path, each, target, p=p) for each in built]
    paths.append(write_stage_rows(tmp_path, built[0], target, p=3 - p))
    assert len(set(paths)) == 5
