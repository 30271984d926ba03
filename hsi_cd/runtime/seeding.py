"""Everything random, from one seed; and its state, to go on exactly where a run stopped."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, *, deterministic: bool, benchmark: bool = False) -> np.random.Generator:
    """Seed python, numpy and torch (CPU and CUDA).

    Args:
        seed: the run's seed.
        deterministic: let torch choose only algorithms that repeat bit for bit.
        benchmark: let cuDNN time its algorithms on each new shape and keep the fastest.

    Returns:
        The generator for everything the training draws itself.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries may draw from the global state
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = benchmark
    if deterministic:
        # cuBLAS repeats its results only with a fixed workspace.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return np.random.default_rng(seed)


@contextmanager
def seeded(seed: int, *, deterministic: bool, benchmark: bool = False) -> Iterator[np.random.Generator]:
    """:func:`seed_everything` while the block runs; then all draws go on where a caller's had stood.

    Yields:
        The generator for everything the training draws itself.
    """
    generator = np.random.default_rng(seed)
    state = random_state(generator)
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    try:
        yield seed_everything(seed, deterministic=deterministic, benchmark=benchmark)
    finally:
        restore_random_state(state, generator)
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def random_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of every source of randomness, as tensors and text."""
    python = random.getstate()
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    legacy["state"]["key"] = legacy["state"]["key"].tolist()
    return {
        "python": json.dumps(python),
        "numpy": json.dumps(legacy),
        "generator": json.dumps(generator.bit_generator.state),
        "torch": torch.get_rng_state(),
        # Of this process's GPU alone: a resumed run may find another number of them.
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any], generator: np.random.Generator) -> None:
    """Put every source of randomness back where :func:`random_state` found it."""
    version, internal, gauss = json.loads(state["python"])
    random.setstate((version, tuple(internal), gauss))
    legacy = json.loads(state["numpy"])
    legacy["state"]["key"] = np.array(legacy["state"]["key"], dtype=np.uint32)
    np.random.set_state(legacy)  # noqa: NPY002
    generator.bit_generator.state = json.loads(state["generator"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"][0])
