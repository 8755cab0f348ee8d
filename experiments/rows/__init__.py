"""Stored rows: written, read, merged, exported, and where they come from."""
