"""What was drawn: helpers of the tests of figures."""

__all__ = ["change", "legend", "line", "texts"]


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
