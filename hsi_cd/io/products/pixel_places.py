"""A latitude and longitude for each pixel, against the grid that a product tells: is it the right way up?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from hsi_cd.errors import FormatError
from hsi_cd.scene import Grid

_SIDE = 12  # rows and columns of the pixels that are looked at
_FEWEST = 8  # of them with a place, by which anything can be said
_OFF = 4.0  # pixels: what rounded degrees and other heights of the ground leave, and a mirrored image does not


def check_places(latitude: Any, longitude: Any, grid: Grid, shown: str) -> None:
    """Refuse an image whose pixels' places contradict its grid: mirrored, turned, or of another zone.

    Args:
        latitude: degrees ``(rows, cols)``, an array of which points are read; 0 or no number where there is none.
        longitude: likewise.
        grid: the grid that the product tells.
        shown: what messages call the file.

    Raises:
        FormatError: half of the pixels lie more than four pixels off.
    """
    rows, cols = (np.unique(np.linspace(0, size - 1, _SIDE).astype(int)) for size in grid.shape)
    lat, lon = (
        np.stack([np.asarray(each[row, :], dtype=np.float64)[cols] for row in rows])
        for each in (latitude, longitude)
    )
    with np.errstate(invalid="ignore"):
        known = (np.abs(lat) <= 90) & (np.abs(lon) <= 180) & ((lat != 0) | (lon != 0))
    if known.sum() < _FEWEST or (np.ptp(lat[known]) == 0 and np.ptp(lon[known]) == 0):
        return  # not told, or one place for the whole
    down, across = np.meshgrid(rows + 0.5, cols + 0.5, indexing="ij")
    col, row = _in_pixels(lon[known], lat[known], grid, shown)
    off = float(np.median(np.hypot(col - across[known], row - down[known])))
    if not off <= _OFF:
        raise FormatError(
            f"{shown}: its latitudes and longitudes lie {off:.4g} pixels off the grid that its corners and CRS "
            "tell: the image is mirrored or turned, or one of them is wrong; download it again"
        )


def _in_pixels(
    lon: NDArray[np.float64], lat: NDArray[np.float64], grid: Grid, shown: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of places in a grid."""
    if grid.transform is None or grid.crs is None:  # pragma: no cover - products have both; for the type checker
        raise FormatError(f"{shown} does not tell its place")
    try:
        x, y = transform(CRS.from_epsg(4326), grid.crs, lon.tolist(), lat.tolist())
    except (CRSError, RasterioError, ValueError) as error:
        raise FormatError(
            f"{shown}: its places cannot be brought into its CRS ({error}): download it again"
        ) from None
    col, row = ~grid.transform @ (np.asarray(x), np.asarray(y))
    return col, row
