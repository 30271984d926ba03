"""The raster of a series of dates, and the style by which a GIS shows it.

Both appear together, or neither; a style that somebody made stays, as beside every other output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_cd.io import qml
from hsi_cd.io.atomic import atomic_paths
from hsi_cd.io.cube_files import write_cube
from hsi_cd.io.maps import make_cog
from hsi_cd.io.outputs import GEOTIFF, check_outputs
from hsi_cd.io.sidecars import remove_stale, style_path, styles_beside, write_beside
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.product import Product

_EARLIEST, _MIDDLE, _LATEST = (68, 1, 84), (33, 145, 140), (253, 231, 37)  # viridis, for those who see no red


@dataclass(frozen=True)
class SeriesFiles:
    """What is written of a series.

    Attributes:
        raster: the GeoTIFF; its style lies beside it, with the ending ``.qml``.
        cog: write a Cloud Optimized GeoTIFF, with overviews.
        overwrite: whether existing files may be replaced.
        kinds: file of the map of kinds of change (GeoTIFF), or None.
    """

    raster: Path
    cog: bool = False
    overwrite: bool = False
    kinds: Path | None = None

    @property
    def style(self) -> Path:
        """The style file, which QGIS reads when it opens the raster."""
        return style_path(self.raster)

    def check(self, *, inputs: Iterable[Path] = ()) -> None:
        """Refuse files that could not be written so, before any long work.

        Raises:
            OutputError: a file is an input, exists, or cannot be written.
            FormatError: the name's ending promises another format.
        """
        inputs = list(inputs)
        rasters = {"the raster": self.raster, "the map of kinds": self.kinds}
        check_outputs(rasters, kind=GEOTIFF, inputs=inputs, overwrite=self.overwrite)
        styles = {"its style": self.style}
        if self.kinds is not None:
            styles["the style of the map of kinds"] = style_path(self.kinds)
        check_outputs(styles, inputs=inputs, overwrite=True)  # one that is not ours stays


def write_series(
    files: SeriesFiles,
    reader: WindowReader,
    *,
    grid: Grid,
    bands: Sequence[str],
    days: Mapping[int, str],
    tags: Mapping[str, str],
) -> None:
    """Write the raster of a series window by window, and its style.

    Args:
        files: where to, and how.
        reader: gives the bands in a window, float32 ``(bands, rows, cols)``, NaN for no data.
        grid: shape and georeference.
        bands: description of each band.
        days: what each number of the first band stands for, in the order of the legend.
        tags: text to store in the raster.

    Raises:
        OutputError: a file exists or cannot be written.
    """
    cube = Cube(
        name=files.raster.name,
        grid=grid,
        bands=Bands(len(bands), names=tuple(bands)),
        dtype=np.dtype(np.float32),
        reader=reader,
        product=Product("series of dates"),  # whose zeros are numbers
    )
    with (
        styles_beside([files.raster]) as styles,
        atomic_paths([files.raster], overwrite=files.overwrite) as (raster,),
    ):
        write_cube(raster, cube, like=cube, tags=tags)
        if files.cog:
            make_cog(raster, "NEAREST")
        for style in styles.values():
            write_beside(style, _style(days))
    remove_stale([files.raster])


def _style(days: Mapping[int, str]) -> str:
    """A style of QGIS: the date of the largest change in colours, the later the lighter."""
    colours, names = {0: qml.GREY}, {0: "no change"}
    for place, (code, label) in enumerate(days.items()):
        colours[code] = _between(place / max(1, len(days) - 1))
        names[code] = f"largest change by {label}"
    return qml.classes_qml(colours, names)


def _between(share: float) -> qml.Colour:
    low, high, part = (_EARLIEST, _MIDDLE, share * 2) if share < 0.5 else (_MIDDLE, _LATEST, share * 2 - 1)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return red, green, blue, 255
