"""By what a file at an address or in an archive is known again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError

from hsi_cd.io.byte_sources import open_bytes, size_of
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.raster import damaged, open_raster
from hsi_cd.io.raster_formats import locate_raster
from hsi_cd.io.stac import item_assets, read_item

_LOOKED_AT = 64  # blocks whose place in the file is digested, spread over the first and the last band
_PART = 1 << 15  # bytes of each part of an HDF5 file
_READ = 4  # of them, whose values are, too: an address tells neither its changes nor its copies


def place_digest(path: Path) -> str:
    """A digest of what a raster's header says, of where its blocks lie, how large they are, and of four of them.

    Of an HDF5 file, it is one of its length and of four parts of it; of a STAC item, one of it and its assets.

    Args:
        path: its place, see :mod:`hsi_cd.places`.

    Raises:
        FormatError: it cannot be reached, or is of no kind that is read there.
    """
    digest = hashlib.sha256()
    item = read_item(path)
    if item is not None:
        digest.update(json.dumps(item, sort_keys=True).encode())
        for asset in item_assets(path, item):
            digest.update(place_digest(asset).encode())
        return digest.hexdigest()[:16]
    kind = file_kind(path)
    if kind is FileKind.HDF5:
        return _parts_digest(path)
    opened, driver = locate_raster(path, kind)
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


def _parts_digest(path: Path) -> str:
    with open_bytes(path) as handle:
        size = handle.seek(0, 2)
        digest = hashlib.sha256(f"{size}:{size_of(path)}:".encode())
        for start in np.linspace(0, max(0, size - _PART), _READ).astype(int).tolist():
            handle.seek(start)
            digest.update(handle.read(_PART))
    return digest.hexdigest()[:16]
