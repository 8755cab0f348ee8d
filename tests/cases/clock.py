"""A clock for tests that stands still until it is told to move."""


class Clock:
    """Stands in for the module ``time``: a monotonic clock that moves when told."""

    def __init__(self, now):
        self.now = now

    def monotonic(self):
        return self.now
