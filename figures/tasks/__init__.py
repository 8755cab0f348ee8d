"""Figures of the paper's tasks."""
