"""Moduli of trained networks beside those of their targets."""
