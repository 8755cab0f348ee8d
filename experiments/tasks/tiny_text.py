"""A small English text for tests, written by this program: no file, no licence, no network.

A little grammar tells short stories, one a line.  A story binds its person, place, animal and goods
once and comes back to them, so that a model gains from reading far back.  The grammar was written
for this project; the text is the same on every machine, since only ``Random.random`` is drawn from,
whose numbers Python keeps fixed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

LINES = 260  # stories, about 95 kB
SEED = 2026

WORDS = {
    "she": "Ada Berta Clara Dora Edith Flora Greta Hanna Ida Judith Lena Martha Nora Olga",
    "he": "Anton Bruno Conrad David Emil Felix Gustav Hugo Jacob Karl Leo Martin Otto Paul",
    "place": "mill harbour castle market bridge chapel forge orchard quarry tavern lighthouse "
    "monastery vineyard smithy station library observatory workshop",
    "animal": "goose donkey goat hen sheep pony dog cat heifer turkey pig mule rabbit pigeon",
    "colour": "grey white brown black red spotted golden silver speckled yellow",
    "goods": "apples candles ropes hats lamps spoons nails bells letters maps buttons ribbons "
    "pears barrels baskets mirrors carpets kettles needles flutes",
    "number": "two three four five six seven eight nine ten eleven twelve",
    "trade": "miller baker weaver potter carpenter fisherman gardener tailor mason clockmaker "
    "printer shepherd",
    "weather": "rain fog snow wind frost thunder sunshine hail",
    "time": "dawn noon dusk midnight",
    "mood": "glad tired curious hungry proud silent careful merry patient anxious",
    "road": "river valley ridge canal hedge coast forest railway",
}

OPENINGS = (
    "At {time} {name} set out for the {place} with a {colour} {animal}.",
    "{name} the {trade} lived by the {place} and kept a {colour} {animal}.",
    "In the {weather} {name} led a {colour} {animal} along the {road} to the {place}.",
)
MIDDLES = (
    "A {other} at the {place} bought {number} {goods} and paid in {more}.",
    "The {animal} was {mood}, and so was the {other} who fed it.",
    "Then the {weather} came over the {road}, and {they} waited until {time}.",
    "{name} counted the {goods}: there were {number}, as {they} had said.",
    "Nobody at the {place} had seen so many {goods} since the last {weather}.",
    "The {other} asked for {more}, but {they} had brought only {goods}.",
    "{They} hung the {goods} on the {animal} and followed the {road}.",
    "Past the {road} the {other} was {mood} and wanted to talk about {more}.",
    "By {time} the {number} {goods} lay in a row, and the {animal} slept.",
)
ENDINGS = (
    "So {name} went home with the {animal}, {number} {goods} lighter and {mood}.",
    "That is how the {other} of the {place} came to own {number} {goods}.",
    "And when {name} tells of the {place}, the {animal} is always {colour}.",
)


@lru_cache(maxsize=1)
def tiny_lines() -> tuple[str, ...]:
    """Return the stories, each a line with its end."""
    rng = random.Random(SEED)
    return tuple(_story(rng) for _ in range(LINES))


def _pick(rng: random.Random, options: Sequence[str]) -> str:
    """Return one of the options."""
    return options[int(rng.random() * len(options))]


def _story(rng: random.Random) -> str:
    """Return one story whose words are bound once."""
    they = _pick(rng, ["she", "he"])
    bound = {kind: _pick(rng, words.split()) for kind, words in WORDS.items()}
    bound |= {"name": bound[they], "they": they, "They": they.capitalize()}
    bound |= {"other": _pick(rng, WORDS["trade"].split())}
    bound |= {"more": _pick(rng, WORDS["goods"].split())}
    middles = list(MIDDLES)
    told = [_pick(rng, OPENINGS)]
    for _ in range(3 + int(3 * rng.random())):
        told.append(middles.pop(int(rng.random() * len(middles))))
    told.append(_pick(rng, ENDINGS))
    return " ".join(sentence.format(**bound) for sentence in told) + "\n"
