"""Places for processes to run in at the same time: GPUs, one process each, or shares of the processor's cores."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hsi_cd.errors import DeviceError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the libraries under NumPy and torch take their number of threads from."""


@dataclass(frozen=True)
class Slot:
    """A place for one process.

    Attributes:
        name: what it is called.
        environment: variables of the process, beside those of this one.
        exclusive: that no other process of the batch may run there, even one that outlived an earlier batch.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool = False


ONE = (Slot("one process"),)
"""One process after the other, each with the whole machine."""


def cpu_slots(workers: int) -> list[Slot]:
    """So many processes on the CPU, which share its cores and see no GPU."""
    hidden = {"CUDA_VISIBLE_DEVICES": ""} | share_of_threads(workers)
    return [Slot(f"worker {i + 1}", hidden) for i in range(workers)]


def gpu_slots(numbers: Sequence[int] | None) -> list[Slot]:
    """One process for each GPU.

    Args:
        numbers: GPUs as ``nvidia-smi`` counts them; None for all.

    Raises:
        DeviceError: one of them is not there.
    """
    found = find_gpus()
    if not found:
        raise DeviceError("nvidia-smi finds no GPU here: use workers=N, processes on the CPU")
    chosen = tuple(dict.fromkeys(numbers)) if numbers is not None else tuple(found)
    for number in chosen:
        if number not in found:
            known = ", ".join(f"{i} ({name})" for i, name in found.items())
            raise DeviceError(f"there is no GPU {number} here; nvidia-smi finds {known}")
    threads = share_of_threads(len(chosen))
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # so that CUDA counts as nvidia-smi does
    return [
        Slot(f"gpu {i} of {platform.node()}", {"CUDA_VISIBLE_DEVICES": str(i)} | order | threads, exclusive=True)
        for i in chosen
    ]


def find_gpus() -> dict[int, str]:
    """Names of the GPUs of this machine by the number that ``nvidia-smi`` gives them."""
    query = ["nvidia-smi", "--query-gpu=index,name", "--format=csv,noheader"]
    try:
        said = subprocess.run(
            query,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = (line.partition(",") for line in said.stdout.splitlines())
    return {int(number): name.strip() for number, _, name in lines if number.strip().isdigit()}


def share_of_threads(processes: int) -> dict[str, str]:
    """The variables that give each of several processes its share of the cores, or less if less is set already."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // processes)
    set_already = {name: int(text) for name in THREADS if (text := os.environ.get(name, "")).isdigit()}
    return {name: str(min(share, set_already.get(name) or share)) for name in THREADS}
