"""Trains the four models of ``models.py``, less than a minute each: ``python train.py [NAME]``."""

import sys
import time
from pathlib import Path

import models
import numpy as np
import torch
from torch.nn import functional as F

import looprate

HERE = Path(__file__).parent
SECONDS, STEPS = 50.0, 3000  # of processor time


def save(name, model):
    """Write weights in half precision."""
    state = {
        key: value.detach().numpy().astype("float16") for key, value in model.state_dict().items()
    }
    np.savez(HERE / f"{name}.npz", **state)


def train(forward, model, loops_of):
    """Train on fresh sequences at every step, for at most SECONDS."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=STEPS)
    begun, step = time.process_time(), 0
    while step < STEPS and time.process_time() - begun < SECONDS:
        ids, wanted = models.sequences(48, seed=100 + step)
        loss = F.cross_entropy(forward(ids, loops_of(step)).flatten(0, 1), wanted.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        step += 1
    print(f"{step} steps, {time.process_time() - begun:.0f} s, loss {loss.item():.3g}")


def recurrent_depth():
    model = models.RecurrentDepth()
    draw = np.random.default_rng(0)
    train(model, model, lambda step: int(draw.integers(1, 8)))
    return model


def official():
    model = models.official().model
    train(
        lambda ids, loops: model(ids, loops=loops), model, lambda step: models.OFFICIAL["num_loop"]
    )
    return model


def of_ours(family):
    f = looprate.target(models.TARGET, tokens=2, dim=1)
    found = f.fit(4, seeds=2, family=family, steps=4000)
    print(found)
    print(found.best().config)
    return found.best()


if __name__ == "__main__":
    torch.manual_seed(0)
    makers = {
        "recurrent_depth": recurrent_depth,
        "official": official,
        "lt": lambda: of_ours("lt"),
        "tmlt": lambda: of_ours("tmlt"),
    }
    for name in sys.argv[1:] or makers:
        save(name, makers[name]())
