"""Independent tasks on this machine or many."""
