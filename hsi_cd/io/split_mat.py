"""Which pixels teach as MATLAB's ``.mat``: arrays of indices that say how they count.

MATLAB counts from 1 and down the columns, Python from 0 and along the rows, and a list of numbers does not tell
which was meant. So the file has to: ``base`` is 0 or 1, and flat indices come with ``column_major``, 1 for
MATLAB's order and 0 for NumPy's. Rows and columns (``[rows, cols] = find(...)``) need ``base`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, OutputError
from hsi_cd.io.arrays import list_arrays, load_matrix
from hsi_cd.io.atomic import atomic_path
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.memory import check_memory
from hsi_cd.io.split_csv import checked_pixels, flat_pixels
from hsi_cd.io.variables import Variable
from hsi_cd.scene import GIVEN, Split

_LISTS = ("rows", "cols", "train")
_LARGEST = 2**53  # to which a double counts exactly
_DECLARE = (
    "save rows and cols, or train and column_major (1 for MATLAB's find, 0 for numpy's flatnonzero), and with "
    "them base (1 if the first is 1, 0 if it is 0)"
)


def holds_indices(path: Path) -> bool:
    """Whether a file names pixels by their indices; else it may be a label raster.

    Raises:
        FormatError: it is damaged, or no MATLAB file.
    """
    return any(variable.name in _LISTS for variable in _variables(path).values())


def write_mat_split(path: Path, split: Split, *, overwrite: bool = False) -> None:
    """Write ``rows`` and ``cols`` counted from 1, ``base``, ``shape``, and ``guard`` where there is one.

    Raises:
        OutputError: the file cannot be written.
    """
    rows, cols = np.divmod(split.train, split.shape[1])
    content: dict[str, NDArray[np.generic]] = {
        "rows": (rows + 1).astype(np.float64)[:, np.newaxis],
        "cols": (cols + 1).astype(np.float64)[:, np.newaxis],
        "base": np.array([[1.0]]),
        "shape": np.array([split.shape], dtype=np.float64),
    }
    if split.guard is not None:
        content["guard"] = split.guard.astype(np.uint8)
    with atomic_path(path, overwrite=overwrite) as draft:
        try:
            scipy.io.savemat(draft, content, appendmat=False, do_compression=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def read_mat_split(path: Path, shape: tuple[int, int] | None) -> Split:
    """Read the pixels that teach, as the file says that it counts them.

    Args:
        path: the file.
        shape: ``(rows, cols)`` of the scene, where the file may not tell it.

    Raises:
        FormatError: it does not say how it counts, the shape is not known, or what it holds are no pixels.
        FormatError: a pixel is outside the scene, or named twice, or none is.
    """
    kind, variables = file_kind(path), _variables(path)

    def numbers(name: str) -> NDArray[np.int64] | None:
        return None if name not in variables else _whole(path, kind, variables[name])

    told = numbers("shape")
    if told is not None and (len(told) != 2 or told.min() < 1):
        raise FormatError(f"{path}: shape is {told.tolist()}: expected the rows and columns of the scene")
    own = shape if told is None else (int(told[0]), int(told[1]))
    if own is None:
        raise FormatError(f"{path} does not tell the shape of its scene: give labels=, the truth map, too")
    base = _choice(path, "base", numbers("base"))
    rows, cols, train = (numbers(name) for name in _LISTS)
    if (rows is None) != (cols is None) or (rows is None) == (train is None):
        found = " and ".join(name for name in _LISTS if name in variables)
        raise FormatError(f"{path} holds {found}, which is not one way to name pixels: {_DECLARE}")
    if rows is not None and cols is not None:
        if len(rows) != len(cols):
            raise FormatError(f"{path} holds {len(rows)} rows but {len(cols)} cols: give one of each for a pixel")
        flat = flat_pixels(rows - base, cols - base, own, path=path)
    else:
        down = _choice(path, "column_major", numbers("column_major"))
        flat = checked_pixels((np.empty(0, np.int64) if train is None else train) - base, own, path=path)
        if down:
            flat = flat % own[0] * own[1] + flat // own[0]
    guard = _guard(path, kind, variables, own)
    return Split(GIVEN, 0, own, checked_pixels(flat, own, path=path), guard)


def _variables(path: Path) -> Mapping[str, Variable]:
    kind = file_kind(path)
    if kind not in (FileKind.MATLAB, FileKind.MATLAB4, FileKind.HDF5):
        raise FormatError(f"{path} is no MATLAB file ({kind.title}): save it with MATLAB or scipy.io.savemat")
    return {variable.name: variable for variable in list_arrays(path, kind)}


def _choice(path: Path, name: str, value: NDArray[np.int64] | None) -> int:
    """A declaration, 0 or 1."""
    if value is None:
        raise FormatError(f"{path} does not say how it counts pixels ({name} is not there): {_DECLARE}")
    if value.shape != (1,) or int(value[0]) not in (0, 1):
        raise FormatError(f"{path}: {name} is {value.tolist()[:4]}, neither 0 nor 1: {_DECLARE}")
    return int(value[0])


def _whole(path: Path, kind: FileKind, variable: Variable) -> NDArray[np.int64]:
    """A row or column of whole numbers, int64 ``(N,)``."""
    if not variable.is_numeric or sum(size != 1 for size in variable.shape) > 1:
        raise FormatError(f"{path}: {variable} is no row or column of numbers: {_DECLARE}")
    if 0 in variable.shape:
        return np.empty(0, np.int64)
    check_memory(path, variable.nbytes)
    values = np.asarray(load_matrix(path, kind, variable)).ravel(order="F")
    whole = np.isfinite(values) & (np.abs(values) < _LARGEST)
    if not (whole.all() and (values == np.floor(values)).all()):
        raise FormatError(f"{path}: {variable} holds numbers that are not whole: {_DECLARE}")
    return values.astype(np.int64)


def _guard(
    path: Path, kind: FileKind, variables: Mapping[str, Variable], shape: tuple[int, int]
) -> NDArray[np.bool_] | None:
    variable = variables.get("guard")
    if variable is None:
        return None
    if not variable.is_numeric or variable.shape != shape:
        raise FormatError(f"{path}: {variable} is no mask of the scene's {shape[0]} x {shape[1]} pixels")
    check_memory(path, variable.nbytes)
    guard: NDArray[np.bool_] = np.asarray(load_matrix(path, kind, variable)) != 0
    return guard
