"""Where a process computes, and what that is called in a record."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

import torch

from hsi_cd.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """The device called ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DeviceError: ``cuda`` is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device cuda was asked for, but torch finds no CUDA GPU here: use device='cpu' or 'auto'"
        )
    return torch.device(name)


def hardware(device: torch.device) -> str:
    """What computed, for the run's record."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {torch.get_num_threads()} CPU threads"
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads"


def machine() -> dict[str, str | int | float | bool | None]:
    """The machine, as far as it tells."""
    found: dict[str, str | int | float | bool | None] = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found["memory_gb"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    if torch.cuda.is_available():
        found["gpus"] = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        found["cuda"] = torch.version.cuda
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
