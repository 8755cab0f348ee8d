"""Looped Transformers on the cube and on sequences."""
