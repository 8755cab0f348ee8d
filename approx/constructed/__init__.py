"""Constructed networks as torch modules."""
