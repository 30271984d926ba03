"""By what a raster at an address or in an archive is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError

from hsi_cd.io.raster import damaged, open_raster
from hsi_cd.io.raster_cubes import locate_place

_LOOKED_AT = 64  # blocks whose place in the file is digested, spread over the first and the last band
_READ = 4  # of them, whose values are, too: an address tells neither its changes nor its copies


def place_digest(path: Path) -> str:
    """A digest of what the raster's header says, of where its blocks lie, how large they are, and of four of them.

    Args:
        path: its place, see :mod:`hsi_cd.places`.

    Raises:
        FormatError: it cannot be reached, or is no GeoTIFF.
    """
    opened, driver = locate_place(path)
    digest = hashlib.sha256()
    with open_raster(opened, driver) as dataset:
        header = (dataset.shape, dataset.count, dataset.dtypes, str(dataset.crs), tuple(dataset.transform))
        digest.update(
            repr((header, dataset.nodatavals, sorted(dataset.tags().items()))).encode("utf-8", "replace")
        )
        height, width = dataset.block_shapes[0]
        down, across = -(-dataset.height // height), -(-dataset.width // width)
        chosen = np.unique(np.linspace(0, down * across - 1, _LOOKED_AT).astype(int))
        try:
            for band in sorted({1, dataset.count}):
                for at in chosen.tolist():
                    row, col = divmod(at, across)
                    for tag in ("OFFSET", "SIZE"):
                        told = dataset.get_tag_item(f"BLOCK_{tag}_{col}_{row}", "TIFF", bidx=band)
                        digest.update(f"{told},".encode())
            for at in chosen[:: max(1, len(chosen) // _READ)].tolist():
                row, col = divmod(at, across)
                digest.update(dataset.read(1, window=dataset.block_window(1, row, col)).tobytes())
        except RasterioError as error:
            raise damaged(opened, error) from error
    return digest.hexdigest()[:16]
