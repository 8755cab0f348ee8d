"""Four looped models as ``looprate autopsy`` takes them; ``train.py`` made their weights."""

import torch
from torch import nn
from torch.nn import functional as F

import looprate

LETTERS, LENGTH = 2, 8  # of the sequences that two of the models read
TARGET = "dial:token=0.5,context=0.5,periods=2"


# -- a recurrent-depth model: prelude, a core that is looped, coda ---------------------------
class Block(nn.Module):
    """A causal Transformer block with norms before and after its two parts."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(4))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        B, T, D = x.shape
        qkv = self.qkv(self.norms[0](x)).view(B, T, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = self.norms[1](x + self.out(mixed.transpose(1, 2).reshape(B, T, D)))
        gate, value = self.up(self.norms[2](x)).chunk(2, dim=-1)
        return self.norms[3](x + self.down(F.silu(gate) * value))


class RecurrentDepth(nn.Module):
    """Tokens -> prelude -> core, r times, the prelude's output injected -> coda -> logits."""

    def __init__(self, width: int = 24, heads: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 1, width)
        self.place = nn.Parameter(0.3 * torch.randn(LENGTH, width))
        self.prelude, self.core, self.coda = (Block(width, heads) for _ in range(3))
        self.adapter = nn.Linear(2 * width, width, bias=False)
        self.head = nn.Linear(width, LETTERS + 1)
        self.noise = nn.Parameter(torch.randn(1, 1, width), requires_grad=False)

    def forward(self, ids, loops: int):
        loop = Looped(self, ids)
        state = loop.start(loop.inputs)
        for t in range(loops):
            state = loop.step(state, t)
        return loop.read(state)


class Looped:
    """The two methods, and what else there is to look at."""

    loops = 4  # about the mean of the counts that it was trained with

    def __init__(self, model, ids, wanted=None, off: str = "") -> None:
        self.model, self.ids, self.wanted, self.off = model, ids, wanted, off

    @property
    def inputs(self):
        """Embeddings rather than ids, so that a small change of an input means something."""
        return self.model.embed(self.ids)

    def start(self, inputs):
        m = self.model
        placed = inputs if self.off == "positions" else inputs + m.place
        self.injected = m.prelude(placed)
        return m.noise.expand_as(self.injected)

    def step(self, state, t):
        injected = self.injected
        if self.off == "injection" and t:
            injected = torch.zeros_like(injected)
        return self.model.core(self.model.adapter(torch.cat([state, injected], -1)))

    def read(self, state):
        return self.model.head(self.model.coda(state))

    def error(self, output):
        """The share of positions with a wrong prediction."""
        return (output.argmax(-1) != self.wanted).double().mean()

    @property
    def without(self):
        parts = () if self.off else ("positions", "injection")
        return {part: Looped(self.model, self.ids, self.wanted, part) for part in parts}


def recurrent_depth():
    """Return the recurrent-depth model on some sequences."""
    return Looped(RecurrentDepth(), *sequences(64, seed=1))


def sequences(count: int, seed: int):
    """Return ids 1 or 2 and what to predict: 1 or 2 for an even or odd count of 1s so far."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, LETTERS + 1, (count, LENGTH), generator=generator)
    return ids, (ids == 1).cumsum(1) % 2 + 1


# -- the authors' model, with a timestep ------------------------------------------------------
OFFICIAL = {
    **{"cls": "TimeDependentLoopedGPT", "maxlen": LENGTH, "vocab": LETTERS + 1},
    **{"head": 2, "dmodel": 32, "num_loop": 4},
}


def official():
    """Return the authors' model; its adapter comes with looprate."""
    model = looprate.official_model(OFFICIAL, seed=0)
    ids, wanted = sequences(64, seed=1)
    return looprate.OfficialLoops(model, ids, wanted, loops=OFFICIAL["num_loop"])


# -- this project's two models -----------------------------------------------------------------
CONFIGS = {
    family: looprate.ModelConfig(width=16, heads=2, hidden=hidden, family=family, gate=0.25)
    for family, hidden in (("lt", 50), ("tmlt", 32))  # as many parameters
}


def lt():
    """Return a looped Transformer without a timestep, trained on a function."""
    return of_ours("lt")


def tmlt():
    """Return a looped Transformer whose loops know their number."""
    return of_ours("tmlt")


def of_ours(family: str):
    """Return one of this project's models with inputs of its target, and the target's values."""
    model = looprate.LoopedTransformer(CONFIGS[family], seed=0)
    inputs = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(1))
    wanted = torch.as_tensor(looprate.resolve_target(TARGET)(inputs.double().numpy()))
    return looprate.VectorLoops(model, inputs, wanted.float(), loops=4)
