"""The words in the shaded region of the main figure cover no error of a network."""

import numpy as np
import pytest
from test_construction_figures import main_rows

from looprate.figures import error_against_loops
from looprate.figures.drawing import make_figure, make_handout
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.setting import Setting

MARK = 3.0  # points, half of the largest mark


def covered(figure):
    """Return the errors that the words of a drawn figure lie on."""
    figure.draw_without_rendering()
    ax = next(one for one in figure.findobj() if one.__class__.__name__ == "Axes" and one.texts)
    half = MARK * figure.dpi / 72
    box = ax.texts[0].get_bbox_patch().get_window_extent().padded(half)
    found = [
        point
        for line in ax.lines
        if line.get_marker() not in ("", "None", None)
        for point in np.column_stack(line.get_data())
        if box.contains(*ax.transData.transform(point))
    ]
    for bars in ax.collections:  # bands over seeds, bars of certified intervals
        for path in bars.get_paths():
            corners = ax.transData.transform(path.vertices)
            found += [corner for corner in corners if box.contains(*corner)]
    return found


def rows_with(errors, *, lowest):
    """Return rows of the main figure: trained errors at many loop counts, one of them low."""
    plain = [row for row in main_rows(constructed=False) if row["curve"] != "trained"]
    like = {**plain[0], "curve": "trained", "family": "lt"}
    loops = np.unique(np.geomspace(1, 5 * 10**5, 12).astype(int)).tolist()
    rows = [like | {"loops": r, "seed": s, "value": v} for r in loops for s, v in enumerate(errors)]
    return [*plain, *rows, like | {"loops": 1, "seed": 9, "value": lowest}]


@pytest.mark.parametrize("lowest", [0.2, 1e-3, 1e-9])
@pytest.mark.parametrize("errors", [(0.5,), (0.45, 0.7), (3.0,)], ids=str)
def test_the_words_lie_on_no_trained_error(errors, lowest):  # B5
    assert covered(make_figure("error-against-loops", rows_with(errors, lowest=lowest))) == []


def test_the_words_lie_on_no_error_on_slides_and_handouts():  # B5
    rows = rows_with((0.45, 0.7), lowest=1e-3)
    assert covered(make_figure("error-against-loops", rows, style="slides")) == []
    assert covered(make_handout(rows, source="rows.csv")) == []


@pytest.mark.parametrize("memoriser", ["timestep", "increments"])
def test_the_words_of_a_picture_taken_along_lie_on_no_network(memoriser):  # B5
    setting = Setting(memoriser=memoriser)
    fitted = [
        {"family": family, "label": "here", "loops": r, "seed": s, "value": v * 0.4**s}
        for family, v in (("lt", 0.6), ("tmlt", 0.5))
        for r in (1, 2, 4, 8, 64, 10**4, 10**6)
        for s in range(3)
    ]
    rows = figure_rows(setting, "error-against-loops", fitted=fitted)
    assert covered(make_figure("error-against-loops", rows)) == []


def test_without_room_made_the_words_lie_on_errors(monkeypatch):
    monkeypatch.setattr(error_against_loops, "_make_room", lambda *given: None)
    assert covered(make_figure("error-against-loops", rows_with((3.0,), lowest=1e-3)))
