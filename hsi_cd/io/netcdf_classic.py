"""NetCDF files of the classic format (version 3), as xarray writes them where no other writer is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.conventions import Facts, text_of
from hsi_cd.io.mapped import MappedArray
from hsi_cd.io.variables import Variable

_MOST_COORDINATES = 1 << 20


def list_classic(path: Path) -> tuple[Variable, ...]:
    """The variables of a file, without loading them; those along an unlimited dimension are not to be read.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    with _opened(path) as file:
        return tuple(_variable(name, found) for name, found in file.variables.items())


def open_classic_array(path: Path, variable: Variable) -> MappedArray:
    """The values of a variable, read by slices.

    Raises:
        FormatError: the file is damaged.
    """
    with _opened(path) as file:
        found = file.variables[variable.name].data
        # scipy gives a view of the mapped file: what it lies behind its beginning is the offset.
        offset = found.__array_interface__["data"][0] - file._mm_buf.__array_interface__["data"][0]
        return MappedArray(path, found.dtype, offset, variable.shape, "C")


def classic_facts(path: Path, variable: Variable) -> Facts:
    """What the file says of a variable.

    Raises:
        FormatError: the file is damaged.
    """
    with _opened(path) as file:
        found = file.variables[variable.name]
        attributes = dict(found._attributes)
        mapping = text_of(attributes.get("grid_mapping", "spatial_ref"))
        reference = file.variables[mapping]._attributes if mapping in file.variables else {}
        coordinates = {
            name: np.array(file.variables[name].data, dtype=np.float64)
            for name in found.dimensions
            if name in file.variables
            and file.variables[name].data.ndim == 1
            and file.variables[name].data.dtype.kind in "iuf"
            and file.variables[name].data.size <= _MOST_COORDINATES
        }
        return Facts(
            tuple(found.dimensions),
            attributes,
            coordinates,
            {key: text_of(value) for key, value in reference.items()},
        )


def classic_unit(path: Path, variable: Variable) -> str:
    """The unit that a variable declares, or an empty text."""
    with _opened(path) as file:
        return text_of(file.variables[variable.name]._attributes.get("units", ""))


def _variable(name: str, found: Any) -> Variable:
    values = found.data
    numeric = values.dtype.kind in "iuf" and not found.isrec
    return Variable(name, values.shape, values.dtype.name, values.dtype if numeric else None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from scipy.io import netcdf_file  # late: it takes a while, and is for these files alone

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that views of the mapped file are left
            file = netcdf_file(path, "r", mmap=True, maskandscale=False)
            yield file
            file.close()
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise FormatError(
            f"{path} cannot be read as NetCDF ({type(error).__name__}): it is truncated or damaged; copy it again"
        ) from error
