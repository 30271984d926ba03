"""HDF5 files, MATLAB v7.3 among them, through h5py.

MATLAB stores its axes last to first; its arrays are listed and read in MATLAB's own order. Links that leave the
file, and data that lie in other files, are not followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.byte_sources import head_of, open_bytes
from hsi_cd.io.conventions import Facts, text_of
from hsi_cd.io.sparse import SPARSE, dense
from hsi_cd.io.variables import Variable
from hsi_cd.places import is_place, place_name

_MOST_OBJECTS = 20_000
_DEEPEST = 16
_HIDDEN = ("#refs#", "#subsystem#")  # where MATLAB keeps the contents of cells and objects
_OWN = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "_Netcdf4Coordinates", "_Netcdf4Dimid")  # of HDF5's own use
_NO_VALUES = "This is a netCDF dimension but not a netCDF variable"
_MOST_COORDINATES = 1 << 20
_MATLAB_KINDS = {"float64": "double", "float32": "single"}


def list_hdf5(path: Path) -> tuple[Variable, ...]:
    """The variables of an HDF5 file, without loading them; a MATLAB structure is one variable.

    Raises:
        FormatError: the file is truncated, damaged, or a maze of groups.
    """
    with hdf5_errors(path), open_hdf5(path) as file:
        return tuple(_walk(path, file, matlab=is_matlab(path)))


def open_hdf5_array(path: Path, variable: Variable) -> Any:
    """The dataset of a variable, open; its windows are read by slicing, its axes as stored.

    Raises:
        FormatError: the file is damaged.
    """
    with hdf5_errors(path):
        found = open_hdf5(path)[variable.name]
        if variable.kind != SPARSE:
            return found
        # Of a matrix without values, MATLAB leaves the lists out.
        lists = [np.asarray(found[name][...]) if name in found else np.zeros(0) for name in ("ir", "jc", "data")]
    return dense(path, variable, rows=lists[0], starts=lists[1], values=lists[2])


def chunks_of(path: Path, variable: Variable) -> tuple[int, ...] | None:
    """The chunks in which a dataset is stored, axes as stored; None where it lies in one piece.

    Raises:
        FormatError: the file is damaged.
    """
    with hdf5_errors(path), open_hdf5(path) as file:
        chunks = file[variable.name].chunks
        return None if chunks is None else tuple(int(n) for n in chunks)


def hdf5_facts(path: Path, variable: Variable) -> Facts:
    """What an HDF5 or NetCDF-4 file says of one of its arrays.

    Raises:
        FormatError: the file is damaged.
    """
    with hdf5_errors(path), open_hdf5(path) as file:
        found = file[variable.name]
        attributes = {name: _attribute(found.attrs, name) for name in found.attrs if name not in _OWN}
        scales = [_scale(found, i) for i in range(found.ndim)]
        mapping = _beside(found, text_of(attributes.get("grid_mapping", "spatial_ref")))
        about = {} if mapping is None else {name: _attribute(mapping.attrs, name) for name in mapping.attrs}
        known = [(name, each) for name, each in scales if each is not None and each.ndim == 1]
        return Facts(
            tuple(name for name, _ in scales),
            attributes,
            {name: np.asarray(each[...], dtype=np.float64) for name, each in known if _is_short(each)},
            {name: text_of(value) for name, value in about.items() if name not in _OWN},
        )


def hdf5_unit(path: Path, variable: Variable) -> str:
    """The unit that an array declares, or an empty text."""
    with hdf5_errors(path), open_hdf5(path) as file:
        attributes = {name.lower(): name for name in file[variable.name].attrs}
        unit = attributes.get("units", attributes.get("unit"))
        return "" if unit is None else text_of(file[variable.name].attrs[unit])


def is_matlab(path: Path) -> bool:
    """Whether an HDF5 file says that MATLAB wrote it."""
    return head_of(path, 6) == b"MATLAB"


def is_netcdf4(path: Path) -> bool:
    """Whether an HDF5 file says that it is NetCDF-4."""
    with hdf5_errors(path), open_hdf5(path) as file:
        return "_NCProperties" in file.attrs


def open_hdf5(path: Path) -> Any:
    """An HDF5 file, open to be read; at an address or in an archive by the bytes that are asked for."""
    return h5py.File(open_bytes(path) if is_place(path) else path, "r")


@contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """Turn what h5py raises into ours, in one line.

    Raises:
        FormatError: the file is damaged.
    """
    try:
        yield
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes h5py raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise FormatError(
            f"{place_name(path)} cannot be read as HDF5 or MATLAB v7.3 ({reason}): it is truncated or damaged; "
            "copy it again"
        ) from error


def _walk(path: Path, file: Any, *, matlab: bool) -> Iterator[Variable]:
    # By hand, because groups may hold each other in a circle.
    waiting: list[tuple[str, Any, int, bool]] = [("", file, 0, False)]
    seen = {_address(file)}
    count = 0
    while waiting:
        prefix, group, depth, inside = waiting.pop()
        for name in group:
            count += 1
            if count > _MOST_OBJECTS:
                raise FormatError(f"{path} holds more than {_MOST_OBJECTS} objects: it is no file of image cubes")
            full = prefix + name
            if (matlab and name in _HIDDEN) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            found = group[name]
            if isinstance(found, h5py.Dataset):
                yield replace(_variable(full, found, matlab=matlab), in_structure=inside)
            elif isinstance(found, h5py.Group):
                kind = _text(found.attrs.get("MATLAB_class", b""))
                if "MATLAB_sparse" in found.attrs:
                    yield replace(_sparse(full, found), in_structure=inside)
                elif kind or matlab:
                    yield Variable(full, (1, 1), kind or "struct", None)
                    if kind == "struct" and depth < _DEEPEST and _address(found) not in seen:
                        seen.add(_address(found))
                        waiting.append((full + "/", found, depth + 1, True))
                elif depth < _DEEPEST and _address(found) not in seen:
                    seen.add(_address(found))
                    waiting.append((full + "/", found, depth + 1, inside))


def _variable(name: str, dataset: Any, *, matlab: bool) -> Variable:
    kind = _text(dataset.attrs.get("MATLAB_class", b""))
    # MATLAB's class in a file that others wrote tells the order of axes too.
    reverse = matlab or bool(kind)
    shape = tuple(int(n) for n in dataset.shape or ())
    if reverse:
        shape = shape[::-1]
        if "MATLAB_empty" in dataset.attrs:  # the sizes are the values then
            return Variable(name, (0, 0), kind, None, reverse)
    dtype = dataset.dtype
    if dtype.names == ("real", "imag"):
        kind = f"complex {kind}".strip()
    numeric = dtype.kind in "iuf" and kind not in ("char", "cell", "function_handle") and "sparse" not in kind
    numeric = numeric or dtype.kind == "b"
    kind = kind or (_MATLAB_KINDS.get(dtype.name, dtype.name) if reverse else dtype.name)
    if dataset.external or dataset.is_virtual:
        return Variable(name, shape, f"{kind} in other files", None, reverse)
    if dtype.kind == "O":
        kind = kind if kind == "cell" else "text" if h5py.check_string_dtype(dtype) else "references"
    return Variable(name, shape, kind, dtype if numeric else None, reverse)


def _sparse(name: str, group: Any) -> Variable:
    """A sparse matrix of MATLAB: a group that tells the number of rows, and where each column begins."""
    rows, starts = int(np.asarray(group.attrs["MATLAB_sparse"]).reshape(-1)[0]), group.get("jc")
    cols = int(starts.shape[0]) - 1 if isinstance(starts, h5py.Dataset) and starts.ndim == 1 else 0
    stored = group.get("data")
    real = stored is None or (isinstance(stored, h5py.Dataset) and stored.dtype.kind in "biuf")
    return Variable(name, (rows, cols), SPARSE if real else f"complex {SPARSE}", np.dtype("f8") if real else None)


def _attribute(attributes: Any, name: str) -> Any:
    try:
        return attributes[name]
    except (OSError, TypeError, ValueError):  # of a type that h5py does not know
        return None


def _scale(dataset: Any, axis: int) -> tuple[str, Any]:
    """The name of an axis, and the values along it where the file has them."""
    dimension = dataset.dims[axis]
    if not len(dimension):
        return str(dimension.label or ""), None
    found = dimension[0]
    name = str(found.name).rsplit("/", 1)[-1]
    empty = _text(found.attrs.get("NAME", b"")).startswith(_NO_VALUES)
    return name, None if empty else found


def _beside(dataset: Any, name: str) -> Any:
    """A dataset of this name in the same group, or in the groups around it."""
    group = dataset.parent
    while name not in group and group.name != "/":
        group = group.parent
    return group[name] if name and name in group and isinstance(group[name], h5py.Dataset) else None


def _is_short(dataset: Any) -> bool:
    return bool(dataset.size <= _MOST_COORDINATES and dataset.dtype.kind in "iuf")


def _address(found: Any) -> int:
    return int(h5py.h5o.get_info(found.id).addr)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
