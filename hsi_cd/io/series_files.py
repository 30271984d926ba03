"""The raster of a series of dates, and the style by which a GIS shows it; both appear together, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from hsi_cd.io.atomic import atomic_paths
from hsi_cd.io.cube_files import write_cube
from hsi_cd.io.maps import make_cog
from hsi_cd.io.outputs import GEOTIFF, check_outputs
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.product import Product

_UNCHANGED = "#e6e6e6"
_EARLIEST, _MIDDLE, _LATEST = (68, 1, 84), (33, 145, 140), (253, 231, 37)  # viridis, for those who see no red


@dataclass(frozen=True)
class SeriesFiles:
    """What is written of a series.

    Attributes:
        raster: the GeoTIFF; its style lies beside it, with the ending ``.qml``.
        cog: write a Cloud Optimized GeoTIFF, with overviews.
        overwrite: whether existing files may be replaced.
    """

    raster: Path
    cog: bool = False
    overwrite: bool = False

    @property
    def style(self) -> Path:
        """The style file, which QGIS reads when it opens the raster."""
        return self.raster.with_suffix(".qml")

    def check(self, *, inputs: Iterable[Path] = ()) -> None:
        """Refuse files that could not be written so, before any long work.

        Raises:
            OutputError: a file is an input, exists, or cannot be written.
            FormatError: the name's ending promises another format.
        """
        inputs = list(inputs)
        check_outputs({"the raster": self.raster}, kind=GEOTIFF, inputs=inputs, overwrite=self.overwrite)
        check_outputs({"its style": self.style}, inputs=inputs, overwrite=self.overwrite)


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
    with atomic_paths([files.raster, files.style], overwrite=files.overwrite) as (raster, style):
        write_cube(raster, cube, like=cube, tags=tags)
        if files.cog:
            make_cog(raster, "NEAREST")
        style.write_text(_style(days), encoding="utf-8")


def _style(days: Mapping[int, str]) -> str:
    """A style of QGIS: the date of the largest change in colours, the later the lighter."""
    root = ElementTree.Element("qgis", version="3.22", styleCategories="AllStyleCategories")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    entries = [("0", _UNCHANGED, "no change")]
    for place, (code, label) in enumerate(days.items()):
        share = place / max(1, len(days) - 1)
        entries.append((str(code), _between(share), f"largest change by {label}"))
    for value, colour, label in entries:
        ElementTree.SubElement(palette, "paletteEntry", value=value, color=colour, label=label, alpha="255")
    ElementTree.indent(root)
    header = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return header + ElementTree.tostring(root, encoding="unicode") + "\n"


def _between(share: float) -> str:
    low, high, part = (_EARLIEST, _MIDDLE, share * 2) if share < 0.5 else (_MIDDLE, _LATEST, share * 2 - 1)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(low, high, strict=True))
