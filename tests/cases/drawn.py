"""What was drawn: helpers of the tests of figures."""

import math

import numpy as np
from matplotlib.collections import FillBetweenPolyCollection

from looprate.figures.drawing import make_figure

__all__ = ["band", "change", "drawn", "legend", "line", "points", "texts"]


def drawn(kind, rows, **more):
    """The axes of a figure."""
    return make_figure(kind, rows, **more).axes


def line(ax, words):
    """The one line whose label starts with these words."""
    (found,) = [one for one in ax.get_lines() if str(one.get_label()).startswith(words)]
    return found


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def change(rows, new, **equal):
    """The rows, with new cells in those that equal the given ones."""
    return [row | new if all(row[k] == v for k, v in equal.items()) else row for row in rows]


def points(found):
    """Finite points of a line."""
    x, y = (np.asarray(data, dtype=float) for data in found.get_data())
    return [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]


def band(ax, label):
    (found,) = [one for one in ax.collections if one.get_label() == label]
    assert isinstance(found, FillBetweenPolyCollection)
    return found.get_paths()[0].vertices
