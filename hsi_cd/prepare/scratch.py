"""Large arrays between two passes: in memory while they are small, else in a temporary file without a name."""

from __future__ import annotations

import math
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsi_cd.errors import OutputError

IN_MEMORY = 64 << 20
"""Bytes up to which an array stays in memory; a scene's height must not decide what a fit takes."""


def scratch_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """An array to write into; what it holds at first is undefined.

    Args:
        shape: its shape.
        dtype: its number type.

    Returns:
        The array. One of more than :data:`IN_MEMORY` lies in a temporary file, which goes with the array.

    Raises:
        OutputError: there is no room for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if size <= IN_MEMORY else _in_a_file(shape, np.dtype(dtype), size)


def let_go(array: NDArray[np.generic]) -> None:
    """Take the pages of an array that lies in a file out of memory; what was written stays in the file."""
    mapped = getattr(array, "_mmap", None)  # views of a memory map know it, too
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _in_a_file(shape: tuple[int, ...], dtype: np.dtype[np.generic], size: int) -> NDArray[np.generic]:
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # a disk that is full only when a number is written ends the process
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise OutputError(
                    f"{size / 1e9:.1f} GB between two passes over the scene do not fit into "
                    f"{tempfile.gettempdir()} ({error.strerror}): make room, or name another folder by TMPDIR"
                ) from error
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
