"""What was meant on a command line: formulas, whole numbers, and slips in every word."""

import re
import sys

import pytest
from rapidfuzz.distance.OSA import distance as osa_distance
from test_cli import COMMANDS, options_of_all_commands

from looprate.cli import _parser
from looprate.theory.targets import TARGETS, resolve_target


def test_a_formula_needs_no_prefix(printed):  # B3
    arguments = ["--effort", "0.1", "--delta", "0.1", "--kind", "token"]
    assert printed("moduli", "sin(6*x)", *arguments) == printed(
        "moduli", "formula: sin(6*x)", *arguments
    )


@pytest.mark.parametrize("text", ["1000000", "1e6", "1E+6", "1000000.0", "1_000_000"])
def test_whole_numbers_may_have_exponents(printed, text):  # B3
    (row,) = printed("bound", "token-sine", "--loops", text)
    assert row["loops"] == 1_000_000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("verfy", "did you mean verify?"),
        ("moduli token-sine --toknes 2", "did you mean --tokens?"),
        ("moduli token-sine --toknes=2", "did you mean --tokens?"),
        ("verify --preset smoek", "did you mean smoke?"),
        ("moduli tokne-sine", "did you mean token-sine?"),
        ("moduli sin(6*y)", "unknown name 'y'"),
        ("bound token-sine --loops 1.5", "must be a whole number such as 8 or 1e6, got '1.5'"),
        ("bound token-sine --loops nan", "must be a whole number"),
        ("bound token-sine --loops 1e400", "must be a whole number of at most 1e+18"),
        ("moduli token-sine --delta -1e-5", "got -1e-05"),
    ],
)
def test_what_was_meant_is_told(refused, line, words):  # B3
    assert words in refused(*line.split())


def slips(word):
    """Yield a word with one letter left out, doubled or swapped with its neighbour."""
    start = len(word) - len(word.lstrip("-"))
    for k in range(start, len(word)):
        yield word[:k] + word[k + 1 :]
        yield word[:k] + word[k] + word[k:]
        yield word[:k] + word[k + 1 : k + 2] + word[k] + word[k + 2 :]


def not_told(words, at, known):
    """Yield the slips of one word of a command line after which a near word is not named."""
    for slip in {*slips(words[at])} - {*known}:
        try:
            _parser().parse_args([*words[:at], slip, *words[at + 1 :]])
        except ValueError as error:
            (near,) = re.findall(r"did you mean (\S+)\?", str(error)) or [""]
            if near not in known or osa_distance(near, slip) > 1:
                yield slip, near


def test_a_slip_in_a_command_an_option_or_a_choice_is_told(monkeypatch):
    parser = _parser()
    monkeypatch.setattr(sys.modules[__name__], "_parser", lambda: parser)
    wrong = [slip for name in COMMANDS for slip in not_told([name], 0, COMMANDS)]
    for command, string, action in options_of_all_commands():
        if command == "looprate" or len(string) < 5:
            continue
        known = COMMANDS[command]._option_string_actions
        begin = [command, "all" if command == "reproduce" else "X", string]
        wrong += not_told([*begin, "1"], 2, known)
        for choice in action.choices or ():
            if len(choice) > 3:
                wrong += not_told([*begin, choice], 3, action.choices)
    assert wrong == []


@pytest.mark.parametrize("name", TARGETS)
def test_a_slip_in_a_target_is_told(name):
    for slip in {*slips(name)} - {*TARGETS}:
        with pytest.raises(ValueError, match=r"did you mean") as told:
            resolve_target(slip)
        near = re.search(r"did you mean (\S+)\?", str(told.value))[1]
        assert osa_distance(near, slip) == 1
