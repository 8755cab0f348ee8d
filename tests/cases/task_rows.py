"""Small sequence tasks, tiny ones, and their rows read back as text."""

from looprate.experiments.tasks.countdown import Countdown
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.lcs import LongestCommonSubsequence

TINY = (  # so few rows that two free samplers must meet
    EditDistance(size=4, letters=3),
    LongestCommonSubsequence(size=5, letters=3),
    Countdown(numbers=2, max_number=12, min_target=2, max_target=21),
)
SMALL = (
    EditDistance(size=12),
    EditDistance(size=12, border=2),
    EditDistance(size=9, letters=5),
    LongestCommonSubsequence(size=15),
    Countdown(),
    Countdown(numbers=3, max_number=20, max_target=40),
)
STRINGS = [task for task in SMALL if task.causal]


def words_of(task, inputs):
    """The two strings and the answer, read back from rows of token ids."""
    for ids in inputs:
        before, after = task.text(ids).replace(" ", "").split("<sep>")
        yield *before.split("|"), after.replace("<pad>", "")


def unordered(task, batch):
    """Rows as a set of what two splits must not share."""
    if isinstance(task, Countdown):
        return {(*sorted(row[:-1]), row[-1]) for row in batch.inputs[:, :3].tolist()}
    return {tuple(sorted((a, b))) for a, b, _ in words_of(task, batch.inputs)}
