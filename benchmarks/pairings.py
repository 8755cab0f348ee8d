"""How much of the gap between the authors' LT and TMLT is the timestep?

Both pairs of :data:`looprate.approx.official.layout.PAIRINGS` on edit distance, seed by seed: the
official one, which also differs in norm gains, activation and gates, and the matched one, whose
clock stands still on one side.  The same rows for all, one learning rate, differences in points of
accuracy with Student's interval and Holm's p over the two.  Rows go to ``--csv`` as they come; a
file that is there is continued.

One thread (OMP_NUM_THREADS=1).  The last line is one JSON object.

    python benchmarks/pairings.py [--quick] [--csv FILE] [--seeds N] [--steps N]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import numpy as np
import torch
import torch.nn.functional as F

from looprate.approx.official.layout import PAIRINGS
from looprate.approx.official.model import OfficialModel, official_model
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.theory.statistics.paired import holm, paired_mean, paired_p_value

TASK = EditDistance(size=4, letters=3)
WIDTH, HEADS, BATCH, TEST_ROWS = 32, 2, 64, 2000
RATE, WARMUP, DECAY, CLIP = 3e-3, 0.05, 0.01, 1.0
COLUMNS = ("model", "loops", "seed", "steps", "accuracy", "seconds", "parameters")


def name_of(config: Mapping[str, Any]) -> str:
    """Return what a variant is called in rows."""
    return f"{config['cls']}{' still' if config.get('still') else ''}"


def trained(config: Mapping[str, Any], *, loops: int, seed: int, steps: int) -> OfficialModel:
    """Train one variant on fresh rows at every step."""
    sizes = {"maxlen": TASK.length, "vocab": len(TASK.vocabulary), "head": HEADS, "dmodel": WIDTH}
    model = official_model({**config, **sizes, "num_loop": loops}, seed=seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=max(WARMUP, 2 / steps)
    )
    for step in range(steps):
        rows = TASK.sample("train", (seed, step), BATCH)
        mask = torch.from_numpy(rows.mask)
        logits = model(torch.from_numpy(rows.inputs))[mask]
        loss = F.cross_entropy(logits, torch.from_numpy(rows.targets)[mask])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        rate.step()
    return model


@torch.no_grad()
def accuracy(model: OfficialModel) -> float:
    """Return the share of held-out rows that are right throughout."""
    rows = TASK.sample("test", (1,), TEST_ROWS)
    found = model(torch.from_numpy(rows.inputs)).argmax(-1).numpy()
    return float(TASK.score(found, rows).mean())


def measured(seeds: int, loops: int, steps: int, place: Path | None) -> list[dict[str, Any]]:
    """Return one row a variant and seed; those already in the file are read."""
    variants = {name_of(config): config for pair in PAIRINGS.values() for config in pair}
    rows: list[dict[str, Any]] = []
    if place is not None and place.exists():
        with place.open(newline="") as stream:
            rows = [{**row, "seed": int(row["seed"])} for row in csv.DictReader(stream)]
    for seed in range(seeds):
        for name, config in variants.items():
            if any((row["model"], row["seed"]) == (name, seed) for row in rows):
                continue
            begun = time.process_time()
            model = trained(config, loops=loops, seed=seed, steps=steps)
            size = sum(weights.numel() for weights in model.parameters())
            seconds = round(time.process_time() - begun, 1)
            numbers = (name, loops, seed, steps, accuracy(model), seconds, size)
            rows.append(dict(zip(COLUMNS, numbers, strict=True)))
            print(*numbers, flush=True)
            if place is not None:
                write(place, rows)
    return rows


def write(place: Path, rows: list[dict[str, Any]]) -> None:
    """Write all rows."""
    with place.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def gaps(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the difference of each pair in points, with its interval and Holm's p."""
    by_model: dict[str, dict[int, float]] = {}
    for row in rows:
        by_model.setdefault(row["model"], {})[row["seed"]] = 100 * float(row["accuracy"])
    found: dict[str, Any] = {}
    for pairing, (without, with_) in PAIRINGS.items():
        other, own = by_model[name_of(without)], by_model[name_of(with_)]
        gains = np.array([own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())])
        mean, interval = paired_mean(gains) or (float(gains.mean()), None)
        found[pairing] = {"gain": mean, "interval": interval, "pairs": len(gains)}
        found[pairing]["p"] = paired_p_value(gains)
    corrected = holm([one["p"] for one in found.values()])
    for one, p in zip(found.values(), corrected, strict=True):
        one["holm"] = p
    return found


def main() -> None:
    """Train what is missing, print a line a pair, and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    seeds, steps = (2, 40) if options.quick else (options.seeds, options.steps)
    found = gaps(measured(seeds, options.loops, steps, options.csv))
    for pairing, one in found.items():
        interval = "" if one["interval"] is None else "{:+.1f} to {:+.1f}".format(*one["interval"])
        print(
            f"{pairing}: {one['gain']:+.1f} points ({interval}), {one['pairs']} pairs, "
            f"Holm's p {one['holm']:.2g}"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
