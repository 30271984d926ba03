"""How much memory there is, and what a file will take of it, said before it is loaded."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path

from hsi_cd.errors import FormatError
from hsi_cd.io.byte_sources import size_of

_log = logging.getLogger(__name__)

_MEMINFO = Path("/proc/meminfo")
_UNLIMITED = 1 << 60  # bytes: version 1 writes "no limit" as a number beyond
_LARGEST_RATIO = 10_000  # bytes described per byte on disk: no compression of measured values comes near
_SMALL = 1 << 27  # bytes: below, an empty file that describes much does no harm


def limit_gdal_cache() -> None:
    """Keep GDAL's cache at 32 MB, unless the environment says otherwise.

    GDAL keeps what it has read in a cache of 5 % of the memory, in which a scene read once, from top to bottom,
    only piles up: 32 MB are enough, and leave a tall scene no larger in memory than a short one. What the user
    set, in the environment or by ``rasterio.Env(GDAL_CACHEMAX=...)``, holds.
    """
    os.environ.setdefault("GDAL_CACHEMAX", "32")


def free_memory() -> int | None:
    """Bytes that can be used without swapping: free ones and droppable caches; in a container what it may have.

    None where the system does not tell.
    """
    told = [size for size in (_system(), _container()) if size is not None]
    return min(told, default=None)


def _system() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return None


def _container() -> int | None:
    """What the control group leaves, in version 2 or 1; None where there is none or no limit."""
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
        return max(0, left) if left < _UNLIMITED else None
    return None


def check_memory(path: Path, size: int) -> None:
    """Say what a file that must be loaded whole will take, where that is much.

    Args:
        path: the file.
        size: bytes its values take.

    Raises:
        FormatError: they take more than there is.
    """
    free = free_memory()
    if free is None or size <= free / 2:
        return
    taken = f"{path} has no windows and takes {gigabytes(size)} of memory, {gigabytes(free)} are free"
    if size > free:
        raise FormatError(f"{taken}: save it uncompressed, as MATLAB v7.3, or as ENVI or GeoTIFF")
    _log.warning("%s", taken)


def check_plausible(path: Path, shape: Sequence[int], itemsize: int, *, stored: int | None = None) -> None:
    """Refuse a file that describes far more values than it can hold: a wrong size, or nothing but a header.

    Args:
        path: the file.
        shape: sizes it describes.
        itemsize: bytes of a value.
        stored: bytes that hold them; by default the file's.

    Raises:
        FormatError: with both sizes.
    """
    described = math.prod(shape) * itemsize
    stored = size_of(path) if stored is None else stored
    if described > max(_SMALL, _LARGEST_RATIO * stored):
        sizes = " x ".join(map(str, shape))
        raise FormatError(
            f"{path} describes {sizes} values ({gigabytes(described)}) but has {stored} bytes: it is empty, or a "
            "size in it is wrong; write it again"
        )


def gigabytes(size: int) -> str:
    """A number of bytes in words, as ``1.5 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
