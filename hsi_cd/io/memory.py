"""What a file will take in memory, said before it is loaded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from hsi_cd.errors import FormatError

_log = logging.getLogger(__name__)

_MEMINFO = Path("/proc/meminfo")
_LARGEST_RATIO = 10_000  # bytes described per byte on disk: no compression of measured values comes near
_SMALL = 1 << 27  # bytes: below, an empty file that describes much does no harm


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping, or None where the system does not tell."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
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


def check_plausible(path: Path, shape: Sequence[int], itemsize: int) -> None:
    """Refuse a file that describes far more values than it can hold: a wrong size, or nothing but a header.

    Args:
        path: the file.
        shape: sizes it describes.
        itemsize: bytes of a value.

    Raises:
        FormatError: with both sizes.
    """
    described, stored = math.prod(shape) * itemsize, path.stat().st_size
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
