"""The paper's tasks, one file each."""
