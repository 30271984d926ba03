"""Where pixels lie: shape, CRS and transform of a raster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC


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

    def part(self, rows: slice, cols: slice | None = None) -> Grid:
        """The grid of some of its rows and columns, which lie where they lie in the whole.

        Args:
            rows: the rows, with plain bounds inside the grid.
            cols: the columns, likewise; all by default.
        """
        cols = cols or slice(0, self.cols)
        rpcs = self.rpcs
        if rpcs is not None:
            moved = {"line_off": rpcs.line_off - rows.start, "samp_off": rpcs.samp_off - cols.start}
            rpcs = RPC(**rpcs.to_dict() | moved)
        return replace(
            self,
            rows=rows.stop - rows.start,
            cols=cols.stop - cols.start,
            transform=None
            if self.transform is None
            else self.transform @ Affine.translation(cols.start, rows.start),
            gcps=tuple(
                GroundControlPoint(p.row - rows.start, p.col - cols.start, p.x, p.y, p.z, p.id, p.info)
                for p in self.gcps
            ),
            rpcs=rpcs,
        )
