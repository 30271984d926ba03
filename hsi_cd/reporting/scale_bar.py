"""How large a pixel is on the ground and where north lies, and the scale bar and arrow that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from affine import Affine
from matplotlib import patheffects
from matplotlib.axes import Axes
from rasterio.errors import RasterioError
from rasterio.transform import from_gcps

from hsi_cd.scene import Grid
from hsi_cd.scene.surface import column_step, pixel_aspect

_HALO = [patheffects.withStroke(linewidth=2.0, foreground="black")]


def ground_of(grid: Grid) -> Ground | None:
    """Pixel size and north of a grid; None where it is not georeferenced, or has no CRS to tell metres by.

    Both are taken at the middle of the scene: the size on the ellipsoid of the CRS, north as that of the grid.
    """
    transform, crs = grid.transform, grid.crs
    if transform is None and len(grid.gcps) >= 3:
        try:
            transform, crs = from_gcps(list(grid.gcps)), grid.gcp_crs
        except (RasterioError, ValueError):
            return None
    if transform is None or crs is None or transform.determinant == 0:
        return None
    middle = grid.cols / 2, grid.rows / 2
    metres = column_step(transform, crs, col=middle[0], row=middle[1])
    if metres is None:
        return None
    # A degree of longitude is shorter than one of latitude; what a projected unit is does not turn north.
    shorter = math.cos(crs.units_factor[1] * (transform @ middle)[1]) if crs.is_geographic else 1.0
    to_metres = Affine.scale(shorter, 1) @ transform
    if to_metres.determinant == 0:
        return None
    col, row = _direction(~to_metres, 0, 1)
    length = math.hypot(col, row)
    return Ground(metres=metres, north=(col / length, row / length), tall=pixel_aspect(grid))


def why_no_bar(grid: Grid | None) -> str:
    """Why a picture on this grid has no scale bar; empty where it has one, or nobody told of a grid."""
    if grid is None or ground_of(grid) is not None:
        return ""
    if not grid.is_georeferenced:
        return "no scale bar: nothing tells where the scene lies"
    if grid.crs is None and grid.gcp_crs is None:
        return "no scale bar: the scene has no CRS"
    return "no scale bar: the scene's CRS tells no length"


def nice_length(metres: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most ``metres``.

    Example:
        >>> nice_length(3700.0)
        2000.0
    """
    power = 10.0 ** math.floor(math.log10(metres))
    return max(power * step for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9))


def draw_ground(axes: Axes, ground: Ground, *, shape: tuple[int, ...]) -> None:
    """Draw a scale bar in the lower left corner of a panel, and a north arrow in its upper right corner.

    Args:
        axes: the panel, with an image in pixel coordinates.
        ground: pixel size and north.
        shape: ``(rows, cols)`` of the image.
    """
    rows, cols = shape
    # Sizes in columns of the image that look the same in every panel; a row is as high as some columns are wide.
    box = axes.get_window_extent()
    inch = axes.figure.dpi * cols / box.width
    high = inch / ground.tall
    if min(box.width, box.height) < 0.55 * axes.figure.dpi:
        return  # too small a panel to write into
    length = nice_length(max(0.3 * cols, min(0.25 * inch, 0.6 * cols)) * ground.metres)
    pixels = length / ground.metres
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    left, bottom = 0.08 * inch - 0.5, rows - 0.5 - 0.09 * high
    common: dict[str, Any] = {"color": "white", "path_effects": _HALO, "clip_on": True}
    axes.plot(
        [left, left + pixels],
        [bottom, bottom],
        linewidth=2.2,
        solid_capstyle="butt",
        scalex=False,
        scaley=False,
        **common,
    )
    axes.text(left, bottom - 0.05 * high, text, fontsize=6.5, va="bottom", ha="left", **common)
    across, down = ground.north
    half = 0.13 * inch / math.hypot(across, down * ground.tall)
    x, y = cols - 0.5 - 0.2 * inch, 0.3 * high - 0.5
    axes.annotate(
        "",
        xy=(x + half * across, y + half * down),
        xytext=(x - half * across, y - half * down),
        arrowprops={
            "arrowstyle": "-|>",
            "color": "white",
            "linewidth": 1.2,
            "path_effects": _HALO,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
    axes.text(
        x - 1.9 * half * across, y - 1.9 * half * down, "N", fontsize=6.5, va="center", ha="center", **common
    )
    axes.set_xlim(-0.5, cols - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def _direction(transform: Affine, x: float, y: float) -> tuple[float, float]:
    """A vector (not a point) through a transform."""
    return transform.a * x + transform.b * y, transform.d * x + transform.e * y


@dataclass(frozen=True)
class Ground:
    """Pixels on the ground.

    Attributes:
        metres: from one column to the next.
        north: unit vector to the north, in columns to the right and rows down.
        tall: from one row to the next, over that from one column to the next.
    """

    metres: float
    north: tuple[float, float]
    tall: float = 1.0

    def thinned(self, step: int | None) -> Ground:
        """The same for an image of every ``step``-th pixel."""
        return replace(self, metres=self.metres * (step or 1))
