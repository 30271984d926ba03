"""How much memory there is to use."""

from __future__ import annotations

from pathlib import Path

_GUESS = 4 << 30  # bytes, where the system does not tell: what a small machine has free
_UNLIMITED = 1 << 60


def free_memory() -> int:
    """Bytes that can be used without swapping: free ones and droppable caches; in a container what it may have."""
    return min(_system(), _container())


def _system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return _GUESS


def _container() -> int:
    """What the control group leaves, in version 2 or 1; far too much where there is none or no limit."""
    group = Path("/sys/fs/cgroup")
    files = (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    )
    for limit, used in files:
        try:
            left = int((group / limit).read_text(encoding="ascii")) - int(
                (group / used).read_text(encoding="ascii")
            )
        except (OSError, ValueError):  # no such file, or no limit ("max")
            continue
        return max(0, left)
    return _UNLIMITED
