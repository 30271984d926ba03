"""Sparse matrices as MATLAB stores them, by columns, made dense: a truth map in which few pixels are marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.memory import check_memory, check_plausible
from hsi_cd.io.variables import Variable

SPARSE = "sparse"
"""What a sparse matrix's :attr:`Variable.kind` is."""


def dense(
    path: Path,
    variable: Variable,
    *,
    rows: NDArray[np.generic],
    starts: NDArray[np.generic],
    values: NDArray[np.generic],
) -> NDArray[np.float64]:
    """All values of a sparse matrix, float64 ``(rows, cols)``.

    Args:
        path: the file, for messages.
        variable: the matrix, whose shape counts.
        rows: row of each stored value; more than there are values may be allocated.
        starts: index of the first value of each column, and behind them the number of values.
        values: the stored values.

    Raises:
        FormatError: the lists do not fit the shape, or the matrix does not fit into memory.
    """
    height, width = variable.shape
    check_plausible(path, variable.shape, 8)
    check_memory(path, 8 * height * width)
    first = np.asarray(starts, dtype=np.int64).ravel()
    count = int(first[-1]) if len(first) else -1
    fits = len(first) == width + 1 and first[0] == 0 and bool((np.diff(first) >= 0).all())
    row = np.asarray(rows, dtype=np.int64).ravel()[: max(count, 0)]
    if not fits or count > min(len(row), values.size) or (count and not (row.min() >= 0 and row.max() < height)):
        raise FormatError(f"{path}: the lists of {variable} do not fit its size: it is damaged; copy it again")
    out = np.zeros((height, width))
    out[row, np.repeat(np.arange(width), np.diff(first))] = values.ravel()[:count]
    return out
