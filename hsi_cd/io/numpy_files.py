"""NumPy's own files, never unpickled."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.mapped import MappedArray
from hsi_cd.io.memory import check_memory
from hsi_cd.io.variables import Variable

_LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name
_LARGEST_HEADER = 1 << 16  # bytes of a .npy header looked at
_MOST_MEMBERS = 20_000


def list_npy(path: Path) -> tuple[Variable, ...]:
    """The one array of a ``.npy`` file, which has no name.

    Raises:
        FormatError: the file is truncated or damaged, or could only be unpickled.
    """
    with path.open("rb") as handle:
        return (_variable(path, "", handle, path.stat().st_size),)


def list_npz(path: Path) -> tuple[Variable, ...]:
    """The arrays of a ``.npz`` file, without loading them; what could only be unpickled is listed as ``object``.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(members) > _MOST_MEMBERS:
                raise FormatError(f"{path} holds {len(members)} arrays: it is no file of image cubes")
            variables = []
            for info in members:
                with archive.open(info) as member:
                    head = io.BytesIO(member.read(_LARGEST_HEADER))
                name = info.filename.removesuffix(".npy")
                variables.append(_variable(path, name, head, info.file_size, objects=True))
            return tuple(variables)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # a damaged archive makes zipfile raise nearly anything
        raise _damaged(path, error) from error


def open_npy_array(path: Path, variable: Variable) -> MappedArray:
    """The array of a ``.npy`` file, read by slices."""
    with path.open("rb") as handle:
        return _map(path, handle)


def open_npz_array(path: Path, variable: Variable) -> NDArray[np.generic] | MappedArray:
    """An array of a ``.npz`` file: read by slices where it is stored bare, loaded where it is compressed.

    Raises:
        FormatError: the file is damaged, or the array does not fit into memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{variable.name}.npy")
            if info.compress_type == zipfile.ZIP_STORED:
                with path.open("rb") as handle:
                    handle.seek(info.header_offset)
                    local = handle.read(_LOCAL_HEADER)
                    names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
                    handle.seek(info.header_offset + _LOCAL_HEADER + names)
                    return _map(path, handle)
            check_memory(path, variable.nbytes)
            with archive.open(info) as member:
                values: NDArray[np.generic] = npy.read_array(member, allow_pickle=False)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # a damaged archive makes zipfile and numpy raise nearly anything
        raise _damaged(path, error) from error
    return values


def is_compressed(path: Path, variable: Variable) -> bool:
    """Whether an array of a ``.npz`` file must be loaded whole to read any of it."""
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(f"{variable.name}.npy").compress_type != zipfile.ZIP_STORED


def _map(path: Path, handle: BinaryIO) -> MappedArray:
    shape, fortran, dtype = _header(path, handle)
    return MappedArray(path, dtype, handle.tell(), shape, "F" if fortran else "C")


def _variable(path: Path, name: str, handle: BinaryIO, size: int, *, objects: bool = False) -> Variable:
    """An array from its header, which must agree with the ``size`` in bytes of header and values."""
    shape, _, dtype = _header(path, handle)
    if dtype.hasobject:
        if objects:
            return Variable(name, shape, "object", None)
        raise FormatError(f"{path} holds Python objects, which only a pickle stores and which could run anything: "
                          "save an array of numbers")  # fmt: skip
    expected = handle.tell() + math.prod(shape) * dtype.itemsize
    if expected != size and not (objects and handle.tell() >= _LARGEST_HEADER):
        raise FormatError(
            f"{path} has {size} bytes{f' of {name}' if name else ''} but its header describes {expected} "
            f"({' x '.join(map(str, shape))} values): it is truncated or damaged; copy it again"
        )
    return Variable(name, shape, dtype.name, dtype if dtype.kind in "biuf" else None)


def _header(path: Path, handle: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type; the handle then stands at the first value."""
    try:
        version = npy.read_magic(handle)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version[0]}.{version[1]} is not known")
        shape, fortran, dtype = read(handle)
    except MemoryError:
        raise
    except Exception as error:  # the header is text that numpy parses
        raise FormatError(
            f"{path} cannot be read as a NumPy file (its header does not describe an array): it is damaged; copy "
            "it again"
        ) from error
    if any(n < 0 for n in shape):
        raise FormatError(f"{path} describes {' x '.join(map(str, shape))} values: a size is negative")
    return tuple(int(n) for n in shape), fortran, dtype


def _damaged(path: Path, error: Exception) -> FormatError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return FormatError(f"{path} cannot be read as a NumPy file ({reason}): it is damaged; copy it again")
