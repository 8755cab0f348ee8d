"""The authors' public models."""
