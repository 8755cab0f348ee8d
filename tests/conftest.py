"""One thread a process: tiny tensors lose to OpenMP's spinning, most beside a busy neighbour."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
