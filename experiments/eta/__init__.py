"""The sweep that asks when eta(t) helps."""
