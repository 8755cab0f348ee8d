"""Fits of looped Transformers, many at once."""
