"""The one door through which cubes come in."""

from __future__ import annotations

import os

from hsi_cd.errors import FormatError
from hsi_cd.io.kinds import FileKind, file_kind, find_input
from hsi_cd.io.matlab import open_mat_cube
from hsi_cd.io.raster import open_raster_cube
from hsi_cd.scene import Cube


def open_cube(path: str | os.PathLike[str], *, key: str | None = None, name: str | None = None) -> Cube:
    """Open a MATLAB, GeoTIFF or ENVI file as a cube; what it is, its content decides.

    Rasters are read by windows. A MATLAB array is loaded when its first window is read.

    Args:
        path: the file; for ENVI the data file or its header.
        key: variable of a MATLAB file; by default its only 3-D numeric array.
        name: what messages call the cube; by default the file's name, with the key if one was given.

    Returns:
        The cube, of which no pixel has been read.

    Raises:
        MissingInputError: the file, or the data file of an ENVI header, does not exist.
        FormatError: it is a folder, empty, damaged, of another kind, or a key was given for a raster.
    """
    found = find_input(path)
    kind = file_kind(found)
    label = name or (f"{found.name}:{key}" if key else found.name)
    if kind in (FileKind.MATLAB, FileKind.HDF5):
        return open_mat_cube(found, kind, key=key, name=label)
    if key is not None:
        raise FormatError(f"{found} is no MATLAB file: a key ({key!r}) names a variable of MATLAB files alone")
    return open_raster_cube(found, kind, name=label)
