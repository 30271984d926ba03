"""Where pixels lie: shape, CRS and transform of a raster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from hsi_cd.errors import GridError

_TOLERANCE = 1e-3  # pixels: below this, two transforms are one transform written with other digits


@dataclass(frozen=True)
class Grid:
    """Shape and georeference of a raster.

    Attributes:
        rows: number of rows (lines).
        cols: number of columns (samples).
        crs: coordinate reference system of ``transform``, or None where the file has none.
        transform: affine map from (col, row) to CRS coordinates, or None where the file has none.
        gcps: ground control points, used where there is no transform.
        gcp_crs: coordinate reference system of the ground control points.
        rpcs: rational polynomial coefficients of the sensor, or None; they place pixels roughly, beside or in
            place of the others.
    """

    rows: int
    cols: int
    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcp_crs: CRS | None = None
    rpcs: RPC | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        return self.rows, self.cols

    @property
    def is_georeferenced(self) -> bool:
        """Whether the pixels can be placed on the ground."""
        return self.transform is not None or bool(self.gcps) or self.rpcs is not None

    def georeference(self) -> dict[str, Any]:
        """The keywords with which rasterio writes this georeference: crs with transform or gcps, and rpcs."""
        sensor = {} if self.rpcs is None else {"rpcs": self.rpcs}
        if self.transform is not None:
            return {"crs": self.crs, "transform": self.transform, **sensor}
        if self.gcps:
            return {"crs": self.gcp_crs, "gcps": list(self.gcps), **sensor}
        return sensor


def check_same_grid(first: Grid, second: Grid, *, names: tuple[str, str]) -> None:
    """Refuse two rasters that do not lie on one grid.

    A raster without a georeference (a MATLAB file) is compared by shape alone.

    Args:
        first: grid of the first raster.
        second: grid of the second raster.
        names: what the two are called in the message, as ``("t1", "t2")``.

    Raises:
        GridError: with the difference in pixels and the remedy.
    """
    a, b = names
    if first.shape != second.shape:
        raise GridError(
            f"{a} has {first.rows} x {first.cols} pixels but {b} has {second.rows} x {second.cols}: "
            "both must cover the same pixels; crop or resample one to the other's grid"
        )
    if first.crs is not None and second.crs is not None and first.crs != second.crs:
        raise GridError(
            f"{a} is in {_crs_name(first.crs)} but {b} in {_crs_name(second.crs)}: "
            f"reproject {b} to the CRS and grid of {a}"
        )
    if first.transform is not None and second.transform is not None:
        shift = _largest_shift(first, second)
        if shift > _TOLERANCE:
            raise GridError(
                f"the grids of {a} and {b} differ by up to {shift:.3g} pixels: resample {b} to the grid of {a}"
            )


def _largest_shift(first: Grid, second: Grid) -> float:
    """The largest distance, in pixels of the first grid, between the same corner of two rasters."""
    if first.transform is None or second.transform is None:
        return 0.0
    to_pixels = ~first.transform
    corners = [(0, 0), (first.cols, 0), (0, first.rows), (first.cols, first.rows)]
    return max(math.dist(to_pixels @ (second.transform @ corner), corner) for corner in corners)


def _crs_name(crs: CRS) -> str:
    """A short name: ``EPSG:32651`` where there is a code, else the name inside the WKT."""
    code = crs.to_epsg()
    if code is not None:
        return f"EPSG:{code}"
    wkt: str = crs.to_wkt()
    return wkt.split('"')[1] if '"' in wkt else wkt[:40]
