"""Bounds: the theorem, the explicit inequality, the trivial one, lower bounds; widths, loops, rates."""
