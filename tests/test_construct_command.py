"""``looprate construct``: what it prints, what it keeps, and one line for every bad input."""

import json
import math
from functools import partial

import pytest
from matplotlib.animation import FFMpegWriter
from test_certificate import KEYS, TERMS

from cases.own_functions import OWN
from looprate.approx.constructed import sharpness as softmax_beta
from looprate.cli import _parser
from looprate.experiments.study.certificates import asked_spec, cost_of, softmax_of
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.files import load_network, save_network
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.targets import parse_target

SMALL = ["mean-field", "--grid", "4"]


@pytest.fixture
def said(said):
    """Run ``looprate construct`` here; return its exit code, stdout and stderr."""
    return partial(said, "construct")


@pytest.fixture
def printed(said):
    """Run the command, which must succeed; return the JSON it prints, and nothing else."""

    def run(*arguments):
        code, out, err = said(*arguments, "--json")
        assert code == 0, err
        assert "sets of cells: about" in err
        return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    return run


@pytest.fixture
def refused(said):
    """Run the command, which must refuse with one line at once; return that line."""

    def run(*arguments, estimated=False):
        code, out, err = said(*arguments)
        assert code == 2, err
        assert out == ""
        lines = err.splitlines()
        assert len(lines) == 1 + estimated
        assert lines[-1].startswith("looprate: ")
        return lines[-1]

    return run


# -- what it prints --------------------------------------------------------------------------------
def test_help_says_what_and_how_with_an_example(said):
    code, out, err = said("--help")
    assert (code, err) == (0, "")
    example = out.partition("\nexample:\n  looprate ")[2]
    assert _parser().parse_args(example.split()).command == "construct"
    for word in (*KEYS, *TERMS, "measured on the cells' centres"):
        assert word in " ".join(out.split())


def test_defaults_and_keys(printed):
    found = printed("mean-field")
    assert found.keys() >= KEYS
    assert list(found["terms"]) == TERMS
    assert all(list(term) == ["lower", "upper", "bound"] for term in found["terms"].values())
    shape = {"tokens": 2, "dim": 1, "grid": 8, "p": 1.0, "memoriser": "timestep", "bits": None}
    assert found.items() >= shape.items()
    assert (found["verdict"], found["loops"], found["paper_loops"]) == ("holds", 134, 8194)
    assert 0 < found["error_lower"] <= found["error_upper"] < found["bound"] < found["trivial"]
    assert found["softmax"] is None
    claims = [check["claim"] for check in found["checks"]]
    assert claims[:2] == ["the target is permutation-equivariant", "the target is continuous"]
    assert {check["verdict"] for check in found["checks"]} == {"holds"}


def test_words_carry_the_same_numbers(said, printed):
    facts = printed(*SMALL, "--memoriser", "digits")
    code, out, err = said(*SMALL, "--memoriser", "digits")
    assert code == 0
    assert err.startswith("30 labels, 156 loops, 10 sets of cells: about ")
    assert "N = 2, d = 1, p = 1, m = 4, digits, q = 5, rank code" in out
    words = (facts["error_lower"], facts["error_upper"], facts["bound"], facts["trivial"])
    assert all(f"{number:.6g}" in out for number in words)
    assert out.splitlines()[-1] == f"{facts['verdict']}: {facts['reason']}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--p", "inf", "--grid", "3"],
        ["--p", "2", "--grid", "4", "--memoriser", "increments"],
        ["-N", "1", "-d", "2", "--grid", "3"],
        ["-N", "1", "--grid", "1"],
        ["--memoriser", "digits", "--bits", "2", "--coding", "sum", "--grid", "3"],
        ["--sharpness", "4", "--grid", "3"],
    ],
)
def test_options_reach_the_certificate(printed, arguments):
    found = printed("mean-field", *arguments)
    assert found["verdict"] in ("holds", "vacuous")
    asked = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert found["p"] == (None if asked.get("--p") == "inf" else float(asked.get("--p", 1)))
    assert found["tokens"] == int(asked.get("-N", 2))
    assert found["grid"] == int(asked["--grid"])
    assert found["bits"] == (2 if "--bits" in asked else None)
    assert found["coding"] == asked.get("--coding", MEMORISERS[found["memoriser"]].coding)
    assert found["sharpness"] == int(asked.get("--sharpness", 2**30))


# -- files -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("memoriser", ["timestep", "increments", "digits"])
def test_a_saved_network_gets_the_same_certificate(printed, tmp_path, memoriser):
    path = tmp_path / "net.json"
    first = printed(*SMALL, "--memoriser", memoriser, "--save", path)
    assert printed("--load", path) == first
    assert printed("mean-field", "--load", path, "--grid", 4, "-N", 2) == first


def test_a_file_for_another_target_or_changed_is_not_certified(printed, tmp_path):
    path = tmp_path / "net.json"
    first = printed(*SMALL, "--save", path)
    other = printed("others-mean", "--load", path)
    assert other["verdict"] == "violated"
    assert "of cells [" in other["reason"]
    loaded = load_network(path)
    network, unit = loaded.network, loaded.network.block.units[0]
    schedule = tuple(eta + 1 for eta in network.eta["y_0"])
    object.__setattr__(network, "eta", {**network.eta, "y_0": schedule})
    save_network(path, network, construction=loaded.construction)
    changed = printed("--load", path)
    assert changed["verdict"] == "violated"
    assert "eta(0)[y_0] is 1, expected 0" in changed["reason"]
    assert changed["error_upper"] is None
    assert first["error_upper"] is not None
    assert unit.name in {u.name for u in network.block.units}


@pytest.mark.parametrize(
    ("option", "value"),
    [("grid", 5), ("tokens", 3), ("dim", 2), ("memoriser", "digits"), ("sharpness", 8)],
)
def test_an_option_that_contradicts_the_file_is_refused(refused, tmp_path, option, value):
    path = tmp_path / "net.json"
    spec = ConstructionSpec(2, 1, 4, "timestep", "rank")
    network = compile_construction(parse_target("mean-field"), spec).network
    save_network(path, network, construction={"target": "mean-field", **spec.as_dict()})
    line = refused("--load", path, f"--{option}", value)
    assert f"`{option}` is " in line
    assert f"got {value}; leave it out" in line


def test_a_damaged_file_is_refused(refused, tmp_path):
    path = tmp_path / "net.json"
    spec = ConstructionSpec(2, 1, 3, "increments", "sum")
    network = compile_construction(parse_target("mean-field"), spec).network
    save_network(path, network, construction={"target": "mean-field", **spec.as_dict()})
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"{}", whole.replace(b"0x1", b"0x2", 1)):
        path.write_bytes(damaged)
        assert str(path) in refused("--load", path)
    flipped = bytearray(whole)
    flipped[whole.index(b"C_0") + 30] ^= 1
    path.write_bytes(bytes(flipped))
    refused("--load", path)
    save_network(path, network, construction=None)
    assert "must say what its network was compiled from" in refused("--load", path)
    assert "cannot use" in refused("--load", tmp_path / "missing.json")


def test_the_stages_are_drawn_where_they_can_be_read(said, tmp_path):
    code, out, _ = said(*SMALL, "--out", tmp_path / "new")
    assert code == 0
    names = {path.name for path in (tmp_path / "new" / "figures").iterdir()}
    assert any(name.endswith(".png") for name in names)
    assert f"figure:  {tmp_path / 'new' / 'figures'}" in out


# -- bad input -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("", "`TARGET` must be given unless --load is"),
        ("mean-fild", "did you mean mean-field?"),
        ("mean-field --grid 0", "`grid`"),
        ("mean-field --grid -3", "`grid`"),
        ("mean-field --memoriser digits --grid 0", "`grid`"),
        ("mean-field -N 200 --grid 200", "about 10^463 labels"),
        ("mean-field --grid 1", "tokens"),
        ("mean-field --grid 2 -N 3", "tokens"),
        ("mean-field --bits 4", "`bits`"),
        ("mean-field --memoriser digits --bits 0", "`bits`"),
        ("mean-field --memoriser nonsense", "invalid choice: 'nonsense'"),
        ("mean-field --coding nonsense", "invalid choice: 'nonsense'"),
        ("mean-field --sharpness 1", "`sharpness`"),
        (f"mean-field --sharpness {2**2000}", "must be at most 2^62, got about 2^2000; 2^30"),
        ("mean-field -N 0", "`tokens`"),
        ("mean-field -d 0", "`dim`"),
        ("mean-field --p 0.5", "`p` (exponent of the norm) must be >= 1"),
        ("mean-field --p nan", "`p`"),
        ("mean-field --seed -1", "`seed` must be an integer >= 0, got -1"),
        ("mean-field --tolerance 2", "`tolerance` must be between 0 and 1, got 2"),
        ("mean-field --tolerance nan", "`tolerance`"),
        ("mean-field --seconds nan", "`seconds`"),
        ("mean-field --seconds 0", "`seconds` must be a finite number > 0, got 0"),
        ("mean-field --seconds inf", "`seconds`"),
        ("mean-field --out x -N 3", "needs tokens=2 and dim=1"),
        ("mean-field --out x --grid 32", "at most 600 loops"),
        ("mean-field --out x --grid 4 --sharpness 2", "off the transition strips, got sharpness=2"),
        ("mean-field --save /dev/null/net.json", "cannot use /dev/null: Not a directory; name"),
        ("--load net.json --save other.json", "`save` must be left out with --load"),
        ("mean-field --softmax x", "--softmax: invalid float value: 'x'"),
    ],
)
def test_bad_input_is_one_line_that_names_it(refused, monkeypatch, tmp_path, arguments, match):
    monkeypatch.chdir(tmp_path)
    assert match in refused(*arguments.split())
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_computed(refused, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot use" in refused(*SMALL, "--out", tmp_path / "file" / "out")
    assert "cannot use" in refused(*SMALL, "--out", tmp_path / "file")


@pytest.mark.parametrize("memoriser", ["increments", "timestep", "digits"])
@pytest.mark.parametrize("shape", [("-N", "2"), ("-N", "3"), ("-d", "2")])
def test_what_takes_too_long_says_which_grid_fits(refused, memoriser, shape):
    most = 0.3
    asked = ["mean-field", "--grid", "200", "--memoriser", memoriser, *shape, "--seconds", most]
    line = refused(*asked)
    assert "over `seconds`=0.3" in line or "labels that a table holds" in line
    fits = int(line.rpartition("grid <= ")[2].split()[0])
    tokens, dim = (int(shape[1]), 1) if shape[0] == "-N" else (2, 2)
    specs = [
        asked_spec(tokens=tokens, dim=dim, grid=grid, memoriser=memoriser)
        for grid in (fits, fits + 1)
    ]
    assert cost_of(specs[0]).seconds <= most
    if memoriser != "digits":  # whose default digits would be fewer at the coarser grid
        assert cost_of(specs[1]).seconds > most


# -- own functions ---------------------------------------------------------------------------------
def test_an_own_function_ends_in_a_verdict(printed):
    found = printed(f"{OWN}:smooth", "--grid", 16)
    assert found["verdict"] == "holds"
    assert 0 < found["error_upper"] <= found["bound"] < found["trivial"]


@pytest.mark.parametrize(
    ("name", "enclosed", "match"),
    [
        ("opaque", False, "no enclosure of the error"),
        ("first_token_differs", True, "witness x = [["),
        ("jump", False, "differ by 1 in f: the theorem does not apply (witness x = "),
    ],
)
def test_an_own_function_may_not_be_testable_and_says_why(printed, name, enclosed, match):
    found = printed(f"{OWN}:{name}", "--grid", 4)
    assert found["verdict"] == "not testable"
    assert match in found["reason"]
    assert (found["error_upper"] is not None) == enclosed
    assert found["error_sampled"]["value"] > 0


# -- softmax ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("grid", [4, 11])  # centres of elevenths are no floats
def test_softmax_finds_a_temperature(printed, grid):
    found = printed("mean-field", "--grid", grid, "--softmax", 1e-6)["softmax"]
    assert list(found) == ["beta", "tolerance", "inputs", "curve"]
    assert found["inputs"] == grid * (grid + 1) // 2
    errors = dict(map(tuple, found["curve"]))
    assert 1 < found["beta"] < 100
    assert errors[found["beta"]] <= 1e-6
    assert max(error for beta, error in errors.items() if beta < found["beta"]) > 1e-6
    assert found["curve"] == sorted(found["curve"])


def test_softmax_is_told_in_words(said):
    code, out, _ = said(*SMALL, "--softmax", 1e-3)
    assert code == 0
    assert "within 0.001 of hardmax at the centres of 10 sets of cells from inverse temp" in out


@pytest.mark.parametrize("memoriser", ["increments", "digits"])
def test_softmax_refuses_what_float64_cannot_hold(refused, memoriser):
    line = refused(*SMALL, "--memoriser", memoriser, "--softmax", 1e-3, estimated=True)
    assert "2^53" in line
    assert "bits; the timestep memoriser stays below it" in line
    line = refused(*SMALL, "--sharpness", 2**52, "--softmax", 1e-3, estimated=True)
    assert "take a smaller sharpness" in line


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.inf, math.nan])
def test_softmax_refuses_a_tolerance_that_is_none(tolerance):
    spec = ConstructionSpec(2, 1, 2, "timestep", "rank")
    construction = compile_construction(parse_target("mean-field"), spec)
    with pytest.raises(ValueError, match="`softmax` must be a finite number > 0"):
        softmax_of(construction, tolerance)


def test_softmax_errors_that_diverged_are_none(monkeypatch):
    def diverged(network, inputs, *, tolerance, largest):
        return softmax_beta.BetaSearch(None, tolerance, ((1.0, math.inf), (2.0, math.nan)))

    monkeypatch.setattr(softmax_beta, "softmax_beta_for", diverged)
    spec = ConstructionSpec(2, 1, 2, "timestep", "rank")
    construction = compile_construction(parse_target("mean-field"), spec)
    assert softmax_of(construction, 1e-3)["curve"] == [[1.0, None], [2.0, None]]


def test_softmax_runs_digits_where_they_fit(printed):
    digits = ("--memoriser", "digits", "--bits", 2)
    found = printed("mean-field", "--grid", 2, *digits, "--softmax", 1e-3)
    assert found["softmax"]["beta"] > 1


def test_a_function_that_is_another_on_enclosures_has_no_enclosed_error(printed):  # A3
    found = printed(f"{OWN}:by_type", "--grid", 2)
    assert (found["error_lower"], found["error_upper"]) == (None, None)
    assert "on enclosures it does something else than on numbers" in found["reason"]


# -- the animation ---------------------------------------------------------------------------------
def test_an_animation_is_written_and_named(said, tmp_path):
    place = tmp_path / "film.gif"
    code, out, err = said("mean-field", "-N", "1", "--grid", "2", "--animate", str(place))
    assert code == 0, err
    assert f"animation: {place}" in out.splitlines()
    assert place.read_bytes()[:6] == b"GIF89a"


@pytest.mark.parametrize("name", ["film.png", "film", "film.mp4"])
def test_an_animation_that_cannot_be_written_is_refused_before_the_work(
    refused, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda: False)
    line = refused(*SMALL, "--animate", str(tmp_path / name))
    assert ("ffmpeg" in line and "install it" in line) == name.endswith("mp4")
    assert ".gif" in line
    assert list(tmp_path.iterdir()) == []
