"""Slopes, drift, offsets and intervals over seeds, read off measured errors."""
