"""MATLAB files up to version 7 ("v5" in their own words), through scipy.

Only numeric arrays are used. Structures, cells and objects are listed in messages and never loaded.
"""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.kinds import FileKind
from hsi_cd.scene import Bands, Cube, Grid

_DTYPES = {
    "double": "float64", "single": "float32", "logical": "uint8",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15  # MATLAB's codes of the two elements that a file may consist of


@dataclass(frozen=True)
class MatVariable:
    """One variable of a MATLAB file, as its header tells.

    Attributes:
        name: its name.
        shape: its shape, in MATLAB's order.
        kind: its MATLAB class, as ``double``. The values may be stored in a smaller type and load as that.
    """

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def is_numeric(self) -> bool:
        """Whether it is an array of numbers."""
        return self.kind in _DTYPES

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.shape))} {self.kind})"


def list_variables(path: Path) -> tuple[MatVariable, ...]:
    """The variables of a MATLAB file, without loading them.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    _check_whole(path)
    try:
        found = scipy.io.whosmat(os.fspath(path))
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise _damaged(path, error) from error
    return tuple(MatVariable(str(name), tuple(int(n) for n in shape), str(kind)) for name, shape, kind in found)


def open_mat_cube(path: Path, kind: FileKind, *, key: str | None = None, name: str) -> Cube:
    """The 3-D array of a MATLAB file, stored ``(rows, cols, bands)``, as a cube.

    The array is loaded whole when the first window is read, and kept: the format has no windows. ``Cube.dtype``
    is the variable's class; MATLAB stores whole numbers of a ``double`` in fewer bytes, and windows come in that
    smaller type.

    Args:
        path: the file.
        kind: what its content is.
        key: name of the variable; by default the only 3-D numeric array.
        name: what messages call the cube.

    Raises:
        FormatError: another kind of file, no such variable, or no or several candidates; all variables are listed.
    """
    refuse_v73(path, kind)
    variable = _choose(path, key, ndim=3)
    rows, cols, count = variable.shape
    return Cube(
        name=name,
        grid=Grid(rows, cols),
        bands=Bands(count),
        dtype=np.dtype(_DTYPES[variable.kind]),
        reader=MatReader(path, variable.name),
    )


def read_mat_matrix(path: Path, kind: FileKind, *, key: str | None = None) -> NDArray[np.generic]:
    """The truth map of a MATLAB file: a 2-D array of numbers ``(rows, cols)``.

    Args:
        path: the file.
        kind: what its content is.
        key: name of the variable; by default the only 2-D numeric array with more than one row and column.

    Raises:
        FormatError: another kind of file, no such variable, or no or several candidates; all variables are listed.
    """
    refuse_v73(path, kind)
    return _load(path, _choose(path, key, ndim=2).name)


def refuse_v73(path: Path, kind: FileKind) -> None:
    """Refuse a MATLAB v7.3 file, which is HDF5, in words.

    Raises:
        FormatError: with the way to save it again.
    """
    if kind is FileKind.HDF5:
        raise FormatError(
            f"{path} is a MATLAB v7.3 file (HDF5), which is not read yet: save it again in MATLAB with "
            "save('file.mat', 'name', '-v7')"
        )


class MatReader:
    """Reads windows of one 3-D variable, loaded on first use and kept; pickling keeps the path alone."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path.absolute()
        self._key = key
        self._values: NDArray[np.generic] | None = None
        self._lock = threading.Lock()

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window; a read-only view.

        Raises:
            FormatError: the file is damaged, or the variable is complex.
        """
        with self._lock:
            if self._values is None:
                values = np.moveaxis(_load(self._path, self._key), -1, 0)
                values.flags.writeable = False
                self._values = values
        return self._values[:, rows, cols]

    def __reduce__(self) -> tuple[type[MatReader], tuple[Path, str]]:
        return MatReader, (self._path, self._key)


def _choose(path: Path, key: str | None, *, ndim: int) -> MatVariable:
    variables = list_variables(path)
    listed = ", ".join(map(str, variables)) or "nothing"
    wanted = "3-D array of numbers (rows x cols x bands)" if ndim == 3 else "2-D array of numbers (rows x cols)"
    if key is not None:
        named = [v for v in variables if v.name == key]
        if not named:
            raise FormatError(f"{path} has no variable {key!r}: it holds {listed}")
        if not named[0].is_numeric or len(named[0].shape) != ndim or 0 in named[0].shape:
            raise FormatError(f"{path}: variable {named[0]} is no {wanted}; the file holds {listed}")
        return named[0]
    # A scalar or a list of numbers is 2-D in MATLAB, but no map.
    fits = [
        v for v in variables if v.is_numeric and len(v.shape) == ndim and min(v.shape) > (1 if ndim == 2 else 0)
    ]
    if len(fits) != 1:
        number = "no" if not fits else f"{len(fits)} candidates for the one"
        raise FormatError(f"{path} has {number} {wanted}: it holds {listed}")
    return fits[0]


def _load(path: Path, key: str) -> NDArray[np.generic]:
    try:
        values = scipy.io.loadmat(os.fspath(path), variable_names=[key])[key]
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise _damaged(path, error) from error
    array: NDArray[np.generic] = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise FormatError(f"{path}: variable {key} holds {array.dtype} values: expected real numbers")
    return array


def _check_whole(path: Path) -> None:
    """Walk over the elements' sizes: a truncated file is refused before the long work, not on first use."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        header = handle.read(_HEADER_BYTES)
        order = "<" if header[126:128] == b"IM" else ">"
        at = _HEADER_BYTES
        while at + 8 <= size:
            handle.seek(at)
            code, length = struct.unpack(f"{order}II", handle.read(8))
            if code not in (_MATRIX, _COMPRESSED):
                raise FormatError(f"{path} is a damaged MATLAB file (unknown element {code} at byte {at})")
            at += 8 + length
    if at != size:
        raise FormatError(
            f"{path} is a truncated MATLAB file ({size} bytes, at least {at} expected): copy it again"
        )


def _damaged(path: Path, error: Exception) -> FormatError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return FormatError(f"{path} cannot be read as a MATLAB file ({reason}): it is damaged; copy it again")
