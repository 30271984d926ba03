"""Files of named arrays (MATLAB, HDF5, NumPy): a cube or a map out of them, by windows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io import hdf5, mat4, mat5, netcdf_classic, numpy_files
from hsi_cd.io.axes import MATLAB_AXES, Axes, Expected, band_first, find_axes
from hsi_cd.io.conventions import Facts, are_turned, told_axes, told_grid, told_scaling
from hsi_cd.io.file_blocks import BlockLayout, BlockReader, kept_bytes
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import check_memory, check_plausible
from hsi_cd.io.sparse import SPARSE
from hsi_cd.io.swath_coordinates import swath_reason
from hsi_cd.io.variables import Variable, candidates, choose, map_shape_of, wavelength_variable
from hsi_cd.io.wavelengths import to_nanometres
from hsi_cd.scene import Bands, Cube

_LIST: dict[FileKind, Callable[[Path], tuple[Variable, ...]]] = {
    FileKind.MATLAB: mat5.list_variables,
    FileKind.MATLAB4: mat4.list_mat4,
    FileKind.HDF5: hdf5.list_hdf5,
    FileKind.NPY: numpy_files.list_npy,
    FileKind.NPZ: numpy_files.list_npz,
    FileKind.NETCDF_CLASSIC: netcdf_classic.list_classic,
}
_OPEN: dict[FileKind, Callable[[Path, Variable], Any]] = {
    FileKind.MATLAB: mat5.open_matlab_array,
    FileKind.MATLAB4: mat4.open_mat4_array,
    FileKind.HDF5: hdf5.open_hdf5_array,
    FileKind.NPY: numpy_files.open_npy_array,
    FileKind.NPZ: numpy_files.open_npz_array,
    FileKind.NETCDF_CLASSIC: netcdf_classic.open_classic_array,
}
_FACTS: dict[FileKind, Callable[[Path, Variable], Facts]] = {
    FileKind.HDF5: hdf5.hdf5_facts,
    FileKind.NETCDF_CLASSIC: netcdf_classic.classic_facts,
}
_UNIT: dict[FileKind, Callable[[Path, Variable], str]] = {
    FileKind.HDF5: hdf5.hdf5_unit,
    FileKind.NETCDF_CLASSIC: netcdf_classic.classic_unit,
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
    keep: int | None = None,
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
        keep: bytes that decoded chunks may take, see :func:`hsi_cd.io.file_blocks.kept_bytes`.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed. The image lies in
            the geometry of a swath, and no key says that it is wanted as it stands.
        AxesError: the axes could be several.
        GridError: no order of the axes gives the expected shape.
    """
    variables = list_arrays(path, kind)
    if kind is FileKind.MATLAB4:
        raise FormatError(
            f"{path} is a MATLAB v4 file, which holds matrices and no cubes: load it in MATLAB and save the cube, "
            "rows x cols x bands, with save -v7"
        )
    variable = choose(path, variables, key, ndim=3)
    if variable.dtype is None:  # pragma: no cover - never chosen; here for the type checker
        raise FormatError(f"{path}: {variable} holds no numbers")
    check_plausible(path, variable.shape, variable.dtype.itemsize)
    if _must_load(path, kind, variable):
        check_memory(path, variable.nbytes)
    facts = _FACTS[kind](path, variable) if kind in _FACTS else Facts()
    if variable.reverse:  # names of axes are in the order of the file, not in MATLAB's
        facts = replace(facts, dims=())
    axes = axes or told_axes(facts)
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
        unit = _UNIT[kind](path, described) if kind in _UNIT else ""
        centres = to_nanometres(values.ravel().tolist(), unit, where=f"{path}: {described.name}")
    grid = told_grid(path, facts, rows, cols)
    swath = "" if grid.is_georeferenced or key is not None else swath_reason(variables, grid.shape)
    if swath:
        raise FormatError(
            f"{path}: {swath}. Order the level that is orthorectified or geocoded; or name the image "
            f"({variable.name}) by keys= to take it as it stands, without its place"
        )
    scale, offset, nodata = told_scaling(path, variable.name, facts)
    return Cube(
        name=name,
        grid=grid,
        bands=Bands(count, centres=centres),
        dtype=variable.dtype.newbyteorder("="),
        reader=array_reader(path, kind, variable, order, keep),
        nodata=nodata,
        scale=(scale,) * count if scale != 1 or offset != 0 else (),
        offset=(offset,) * count if offset != 0 else (),
    )


def image_of_named_axes(path: Path, kind: FileKind) -> Variable | None:
    """The only 3-D array whose axes have names that tell them; None where there is none, or several.

    Raises:
        FormatError: the file is damaged.
    """
    named = [v for v in candidates(list_arrays(path, kind), ndim=3) if told_axes(_FACTS[kind](path, v))]
    return named[0] if len(named) == 1 else None


def read_matrix(path: Path, kind: FileKind, *, key: str | None = None) -> NDArray[np.generic]:
    """The map of a file of arrays: a 2-D array of numbers ``(rows, cols)``, loaded.

    Args:
        path: the file.
        kind: what its content is.
        key: name of the variable; by default the only 2-D numeric array with more than one row and column.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed.
    """
    return read_told_matrix(path, kind, key=key)[0]


def read_told_matrix(
    path: Path, kind: FileKind, *, key: str | None = None
) -> tuple[NDArray[np.generic], Facts, float | None]:
    """The map of a file of arrays, as :func:`read_matrix` finds it, and what the file says of it.

    Returns:
        Values ``(rows, cols)``, turned where the names of their axes say columns x rows; facts; the no-data value.

    Raises:
        FormatError: no such variable, no or several candidates, or what is said is not understood.
    """
    variable, facts, turned = _told_map(path, kind, key)
    check_memory(path, variable.nbytes)
    values = load_matrix(path, kind, variable)
    return (values.T if turned else values), facts, told_scaling(path, variable.name, facts)[2]


def matrix_shape(path: Path, kind: FileKind, *, key: str | None = None) -> tuple[int, ...]:
    """Rows and columns of the map that :func:`read_matrix` reads, without loading it.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed.
    """
    variable, _, turned = _told_map(path, kind, key)
    shape = map_shape_of(variable.shape)
    return shape[::-1] if turned else shape


def _told_map(path: Path, kind: FileKind, key: str | None) -> tuple[Variable, Facts, bool]:
    """The variable that is the map, what the file says of it, and whether its axes are columns x rows."""
    variable = choose(path, list_arrays(path, kind), key, ndim=2)
    facts = _FACTS[kind](path, variable) if kind in _FACTS and variable.kind != SPARSE else Facts()
    return variable, facts, not variable.reverse and are_turned(facts, variable.shape)


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

    def __call__(self, rows: slice, cols: slice, bands: slice | None = None) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window, of all bands by default.

        Raises:
            FormatError: the file is damaged, was removed, or holds complex numbers.
        """
        path, kind, variable, order = self._spec
        positions = stored_positions(variable, order)
        window = [bands or slice(None)] * 3
        window[positions[1]], window[positions[2]] = rows, cols
        if self._pid != os.getpid() and not isinstance(self._array, np.ndarray):
            self._lock = threading.Lock()  # one that the parent held would never be released here
        with self._lock:
            if self._array is None or (self._pid != os.getpid() and not isinstance(self._array, np.ndarray)):
                self._array, self._pid = _OPEN[kind](path, variable), os.getpid()
            with hdf5.hdf5_errors(path):
                values: NDArray[np.generic] = self._array[tuple(window)]
        return np.transpose(values, positions)

    def close(self) -> None:
        """Let go of the open array."""
        with self._lock:
            self._array = None

    def __reduce__(self) -> tuple[type[ArrayReader], tuple[Path, FileKind, Variable, tuple[int, int, int]]]:
        return ArrayReader, self._spec


def stored_positions(variable: Variable, order: tuple[int, int, int]) -> tuple[int, int, int]:
    """Positions of bands, rows and cols in the array as it is stored."""
    return (2 - order[0], 2 - order[1], 2 - order[2]) if variable.reverse else order


def array_reader(
    path: Path, kind: FileKind, variable: Variable, order: tuple[int, int, int], keep: int | None
) -> ArrayReader | BlockReader:
    """A reader of windows; through its chunks where the array is stored in chunks."""
    reader = ArrayReader(path, kind, variable, order)
    chunks = hdf5.chunks_of(path, variable) if kind is FileKind.HDF5 else None
    if chunks is None or variable.dtype is None:
        return reader
    bands, rows, cols = (chunks[i] for i in stored_positions(variable, order))
    count, height, width = (variable.shape[i] for i in order)
    layout = BlockLayout((count, height, width), (bands, rows, cols), variable.dtype)
    return BlockReader(reader, layout, most=kept_bytes() if keep is None else keep, name=str(path))


def _must_load(path: Path, kind: FileKind, variable: Variable) -> bool:
    if kind is FileKind.MATLAB:
        return mat5.is_compressed(path, variable)
    return kind is FileKind.NPZ and numpy_files.is_compressed(path, variable)
