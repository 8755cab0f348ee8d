"""The explorer's input: what is drawn around it is f and the network, wherever a hand puts it."""

import numpy as np
import pytest
from bokeh.document import Document
from test_explorer_page import settle

from looprate.figures.explorer.around import SIDE, map_of, slice_of, there
from looprate.figures.explorer.page import Page
from looprate.figures.explorer.place import place_of
from looprate.figures.explorer.setting import DRAWN, Setting, setting_of
from looprate.figures.explorer.states import built, loop_states
from looprate.figures.explorer.words import broken, formula_words, input_table
from looprate.theory.construction.run.reference import reference_output
from looprate.theory.targets import resolve_target

SHAPES = {
    "two tokens": Setting(point="0.41,0.87"),
    "one token in the plane": Setting(target="mean-field", tokens=1, dim=2, grid=3, point="0.2"),
    "a slice of four": Setting(target="softmax-attention", dim=2, grid=2, across=3, up=0),
    "by increments, three tokens": Setting(tokens=3, grid=3, memoriser="increments"),
}


@pytest.fixture(params=SHAPES)
def setting(request):
    return SHAPES[request.param]


def test_what_is_drawn_over_two_coordinates_is_the_function_and_the_network(setting):
    drawn = {name: map_of(setting.changed(drawn=name)) for name in DRAWN}
    place, (across, up) = place_of(setting), setting.plane
    f = resolve_target(setting.target)
    network = built(setting.target, setting.spec).network
    for i, j in ((5, 50), (40, 23)):  # up, to the right
        middles = {across: 2 * j + 1, up: 2 * i + 1}
        numbers = [middles[k] * place.slope // (2 * SIDE) if k in middles else x
                   for k, x in enumerate(place.numbers)]  # fmt: skip
        point = type(place)(tuple(numbers), place.slope, place.tokens, place.dim)
        x = np.array(point.floats).reshape(1, place.tokens, place.dim)
        assert drawn["f"][i, j] == pytest.approx(f(x).ravel()[across], abs=1e-12)
        told = [value for token in reference_output(network, point.fractions) for value in token]
        assert drawn["network"][i, j] == pytest.approx(float(told[across]), abs=1e-12)
    assert np.allclose(drawn["difference"], drawn["network"] - drawn["f"])


def test_what_is_said_of_the_input_is_what_its_run_ends_with(setting):
    here, run = there(setting), loop_states(setting)
    assert run.outputs[-1] == pytest.approx(here.network)
    assert [int(token["z"]) for token in run.values[-1]] == here.cells
    x = np.array(here.place.floats).reshape(here.f.shape)
    assert here.f == pytest.approx(resolve_target(setting.target)(x[None])[0])


def test_the_line_goes_through_the_input_and_its_steps_are_the_cells(setting):
    found, here, (across, _) = slice_of(setting), there(setting), setting.plane
    k = int(np.abs(found.x - here.place.floats[across]).argmin())
    assert found.network[k] == pytest.approx(here.network.ravel()[across])
    assert found.f[k] == pytest.approx(here.f.ravel()[across], abs=0.1)
    if setting.tokens == setting.dim + 1 == 2:  # off the strips a cell has one output
        cells = np.ceil(found.x * setting.grid)
        assert all(np.ptp(found.network[cells == c]) < 1e-12 for c in np.unique(cells)[1:])


def test_an_input_is_text_of_the_address_filled_up_as_usual():
    assert place_of(setting_of({"x": [b"0.2,0.9"]})).floats == pytest.approx([0.2, 0.9])
    usual = place_of(Setting(tokens=3)).floats
    assert place_of(Setting(tokens=3, point="0.2")).floats == pytest.approx([0.2, *usual[1:]])
    assert place_of(Setting(point="0.2,0.9,0.5")).floats == pytest.approx([0.2, 0.9])
    with pytest.raises(ValueError, match=r"`point` must be from 0 to 1, got 1.5"):
        Setting(point="0.2,1.5")
    with pytest.raises(ValueError, match=r"`point` must be numbers from 0 to 1, got 'x'; try"):
        Setting(point="x")


def test_the_coordinates_drawn_are_two_of_those_there_are():
    assert Setting(across=3, up=4).plane == (0, 1)
    assert Setting(dim=2, across=3, up=3).plane == (3, 0)
    assert Setting(target="token-sine", tokens=1).plane == (0, 0)


@pytest.mark.parametrize("given", [{}, {"tokens": 3, "grid": 2}, {"tokens": 1}], ids=str)
def test_a_hand_on_the_picture_moves_all_that_follows(given):
    page = Page(Document(), Setting(target="token-sine", **given), [])
    settle(page)
    before = page.hand.words.text, page.table.text
    page.hand.map.at.data = {"x": [0.2], "y": [0.9]}
    settle(page)
    two = page.setting.tokens > 1
    assert page.hand.map.plot.visible == two
    assert page.setting.given[: 1 + two] == pytest.approx([0.2, 0.9][: 1 + two])
    assert page.hand.words.text != before[0]
    assert page.controls.inputs[0].value == 0.2
    assert f"point={'0.2'}" in page.controls.address.data["query"][0]
    assert page.trouble.text == ""
    if page.setting.grid**page.setting.dim >= page.setting.tokens:
        assert page.table.text != before[1]
        assert page.hand.slice.network.data["x"].size
    else:  # no network, and f is there all the same
        assert page.hand.words.text.count("<tr>") == 4
        assert page.hand.slice.network.data["x"] == []
    page.controls.drawn.value = "network"
    settle(page)
    network = "T at 64" in page.hand.map.words.text
    assert network == (two and page.setting.grid >= page.setting.tokens)
    page.controls.inputs[0].value = 0.7
    settle(page)
    assert page.hand.map.at.data["x"] == pytest.approx([0.7])


def test_tokens_in_one_cell_are_told_to_collide():
    assert "collision" in input_table(there(Setting(point="0.3,0.4")))
    assert "collision" not in input_table(there(Setting()))


@pytest.mark.parametrize(
    "target",
    ["dial", "softmax-attention", "formula: -x*(x+1) - mean(x)", "2*token-sine + mean-field"],
)
def test_a_formula_is_set_in_parts_that_are_the_whole(target):
    latex = resolve_target(target).latex
    assert "".join(broken(latex)) == latex
    assert formula_words(Setting(target=target)).count("<math>") == len(broken(latex))
