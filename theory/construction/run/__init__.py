"""Exact evaluators of constructed networks, and the oracle."""
