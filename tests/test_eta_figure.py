"""The figure of eta(t): what was drawn, from rows alone."""

import numpy as np

from cases.eta_rows import figure_rows
from looprate.figures import eta_gain
from looprate.figures.drawing import make_figure


def marks(ax, share):
    """Places of the targets of one share."""
    lines = [line for line in ax.get_lines() if line.get_label().endswith(f"s = {share:g}")]
    return sorted((float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines)


def test_each_panel_draws_its_own_targets_on_one_axis():
    rows = figure_rows()
    axes = make_figure("eta-gain", rows).axes
    assert len({ax.get_ylim() for ax in axes}) == 1
    for ax, panel in zip(axes, eta_gain.PANELS, strict=True):
        for share in (-0.25, 0.0, 1.0):
            own = [row for row in rows if (row["panel"], row["share"]) == (panel, share)]
            wanted = sorted((row["modulus_sum"], row["value"]) for row in own)
            assert np.allclose(marks(ax, share), wanted)


def test_titles_tell_the_verdicts_and_the_legend_the_levels():
    figure = make_figure("eta-gain", figure_rows())
    for ax, name in zip(figure.axes, eta_gain.PANELS.values(), strict=True):
        wanted = f"{name}\nη(t) helps: holds\ngain grows with x: undecided"
        assert ax.get_title() == wanted
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[0] == "share $s = -0.25$"
    assert texts[-2:] == ["sine, 1 period", "|x - 1/2|^0.5"]


def test_bars_are_the_intervals_and_none_is_cut_off():
    rows = figure_rows()
    ax = make_figure("eta-gain", rows).axes[0]
    bars = {tuple(part[:, 1]) for one in ax.collections for part in one.get_segments()}
    wanted = {(r["lower"], r["upper"]) for r in rows if r["panel"] == "constructed-loops"}
    assert bars == wanted
    low, high = ax.get_ylim()
    assert low < min(row["lower"] for row in rows)
    assert high > max(row["upper"] for row in rows)


def test_missing_intervals_and_missing_panels_are_drawn_without():
    rows = [row | {"lower": None, "upper": None} for row in figure_rows()]
    rows = [row for row in rows if row["panel"] == "trained"]
    (ax,) = make_figure("eta-gain", rows).axes
    assert len(marks(ax, 1.0)) == 2
