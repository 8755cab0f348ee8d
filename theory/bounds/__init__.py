"""The theorem, the explicit inequality, the trivial bound, lower bounds; widths, loops, rates."""
