"""Rows of the figure of costs."""

__all__ = ["figure_rows"]


def figure_rows():
    return [
        {"panel": panel, "label": label, "position": 10.0**k, "value": scale * 10.0**k}
        for panel in ("loops", "overhead", "size")
        for scale, label in ((1.0, "one"), (2.0, "two"))
        for k in (2, 0, 1)
    ]
