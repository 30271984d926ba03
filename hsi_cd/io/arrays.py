"""Files of named arrays (MATLAB, HDF5, NumPy): a cube or a map out of them, by windows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io import hdf5, mat4, mat5, numpy_files
from hsi_cd.io.axes import MATLAB_AXES, Axes, Expected, band_first, find_axes
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import check_memory, check_plausible
from hsi_cd.io.variables import Variable, choose, map_shape_of, wavelength_variable
from hsi_cd.io.wavelengths import to_nanometres
from hsi_cd.scene import Bands, Cube, Grid

_LIST: dict[FileKind, Callable[[Path], tuple[Variable, ...]]] = {
    FileKind.MATLAB: mat5.list_variables,
    FileKind.MATLAB4: mat4.list_mat4,
    FileKind.HDF5: hdf5.list_hdf5,
    FileKind.NPY: numpy_files.list_npy,
    FileKind.NPZ: numpy_files.list_npz,
}
_OPEN: dict[FileKind, Callable[[Path, Variable], Any]] = {
    FileKind.MATLAB: mat5.open_matlab_array,
    FileKind.MATLAB4: mat4.open_mat4_array,
    FileKind.HDF5: hdf5.open_hdf5_array,
    FileKind.NPY: numpy_files.open_npy_array,
    FileKind.NPZ: numpy_files.open_npz_array,
}
_MOST_WAVELENGTHS = 10_000


def list_arrays(path: Path, kind: FileKind) -> tuple[Variable, ...]:
    """The variables of a file of arrays, without loading them.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    return _LIST[kind](path)


def open_array_cube(
    path: Path,
    kind: FileKind,
    *,
    key: str | None = None,
    axes: Axes | None = None,
    expected: Expected | None = None,
    name: str,
) -> Cube:
    """The 3-D array of a file of arrays as a cube.

    Arrays that lie bare in the file, and all of HDF5, are read by windows. Compressed ones of MATLAB v5 and
    ``.npz`` have none: they are loaded when the first window is read, and kept. ``Cube.dtype`` is the type the
    file declares; MATLAB stores whole numbers of a ``double`` in fewer bytes, and windows come in that type.

    Args:
        path: the file.
        kind: what its content is.
        key: name of the variable; by default the only 3-D numeric array.
        axes: the axes of the array as stored, in MATLAB's order for MATLAB files; found by default.
        expected: what is known of the cube's shape.
        name: what messages call the cube.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed.
        AxesError: the axes could be several.
        GridError: no order of the axes gives the expected shape.
    """
    variables = list_arrays(path, kind)
    variable = choose(path, variables, key, ndim=3)
    if variable.dtype is None:  # pragma: no cover - never chosen; here for the type checker
        raise FormatError(f"{path}: {variable} holds no numbers")
    check_plausible(path, variable.shape, variable.dtype.itemsize)
    if _must_load(path, kind, variable):
        check_memory(path, variable.nbytes)
    described = wavelength_variable(variables, variable.shape)
    expected = expected or Expected()
    if described is not None and expected.bands is None:
        expected = Expected(expected.rows, expected.cols, max(described.shape))
    # MATLAB's users keep to one order; NumPy's and HDF5's have none.
    convention = MATLAB_AXES if kind is FileKind.MATLAB or variable.reverse else None
    found = find_axes(variable.shape, axes=axes, convention=convention, expected=expected, name=str(path))
    order = band_first(found)
    count, rows, cols = (variable.shape[i] for i in order)
    centres: tuple[float, ...] = ()
    if described is not None and max(described.shape) == count <= _MOST_WAVELENGTHS:
        values = np.asarray(_OPEN[kind](path, described)[...], dtype=np.float64)
        centres = to_nanometres(values.ravel().tolist(), "", where=f"{path}: {described.name}")
    scale, offset, nodata = hdf5.hdf5_scaling(path, variable) if kind is FileKind.HDF5 else (1.0, 0.0, None)
    return Cube(
        name=name,
        grid=Grid(rows, cols),
        bands=Bands(count, centres=centres),
        dtype=variable.dtype.newbyteorder("="),
        reader=ArrayReader(path, kind, variable, order),
        nodata=nodata,
        scale=(scale,) * count if scale != 1 or offset != 0 else (),
        offset=(offset,) * count if offset != 0 else (),
    )


def read_matrix(path: Path, kind: FileKind, *, key: str | None = None) -> NDArray[np.generic]:
    """The map of a file of arrays: a 2-D array of numbers ``(rows, cols)``, loaded.

    Args:
        path: the file.
        kind: what its content is.
        key: name of the variable; by default the only 2-D numeric array with more than one row and column.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed.
    """
    variable = choose(path, list_arrays(path, kind), key, ndim=2)
    check_memory(path, variable.nbytes)
    return load_matrix(path, kind, variable)


def load_matrix(path: Path, kind: FileKind, variable: Variable) -> NDArray[np.generic]:
    """The values ``(rows, cols)`` of a 2-D variable, or of one whose further axes have length 1.

    Raises:
        FormatError: the file is damaged.
    """
    with hdf5.hdf5_errors(path):
        values: NDArray[np.generic] = np.asarray(_OPEN[kind](path, variable)[...])
    upright = values.T if variable.reverse else values
    return upright.reshape(map_shape_of(upright.shape))


class ArrayReader:
    """Reads windows of one 3-D variable; pickling keeps the path alone.

    The open array is kept. A forked child opens an HDF5 file anew, because it shares the file position with its
    parent; arrays in memory and maps serve both.
    """

    def __init__(self, path: Path, kind: FileKind, variable: Variable, order: tuple[int, int, int]) -> None:
        """``order``: positions of bands, rows and cols in the variable's shape. Nothing is read yet."""
        self._spec = (path.absolute(), kind, variable, order)
        self._lock = threading.Lock()
        self._array: Any = None
        self._pid = 0

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window.

        Raises:
            FormatError: the file is damaged, was removed, or holds complex numbers.
        """
        path, kind, variable, order = self._spec
        positions = tuple(2 - i for i in order) if variable.reverse else order
        window = [slice(None)] * 3
        window[positions[1]], window[positions[2]] = rows, cols
        if self._pid != os.getpid() and not isinstance(self._array, np.ndarray):
            self._lock = threading.Lock()  # one that the parent held would never be released here
        with self._lock:
            if self._array is None or (self._pid != os.getpid() and not isinstance(self._array, np.ndarray)):
                self._array, self._pid = _OPEN[kind](path, variable), os.getpid()
            with hdf5.hdf5_errors(path):
                values: NDArray[np.generic] = self._array[tuple(window)]
        return np.transpose(values, positions)

    def __reduce__(self) -> tuple[type[ArrayReader], tuple[Path, FileKind, Variable, tuple[int, int, int]]]:
        return ArrayReader, self._spec


def _must_load(path: Path, kind: FileKind, variable: Variable) -> bool:
    if kind is FileKind.MATLAB:
        return mat5.is_compressed(path, variable)
    return kind is FileKind.NPZ and numpy_files.is_compressed(path, variable)
