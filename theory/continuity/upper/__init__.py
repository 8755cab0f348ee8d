"""Certified upper bounds of moduli of continuity."""
