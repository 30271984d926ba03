"""A simulated scene on disk, in the layout that ``hsi-cd train --t1 --t2 --truth`` reads."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

import hsi_cd
from hsi_cd.datasets.simulated.simulation import CHUNK, SCALE, Simulation, SimulationOptions
from hsi_cd.errors import OutputError
from hsi_cd.io.atomic import atomic_paths, check_output
from hsi_cd.io.sidecars import remove_stale
from hsi_cd.paths import as_path
from hsi_cd.progress import Bar, progress

CRS_NAME = "EPSG:32651"
PIXEL = 30.0
"""Side of a pixel, metres, as Hyperion's."""

_ORIGIN = (255_000.0, 3_695_000.0)  # upper left corner, metres: farmland near Yancheng, as the benchmark shows
_TIMES = {1: "the earlier date", 2: "the later date"}


@dataclass(frozen=True)
class PairFiles:
    """Where a written scene lies.

    Attributes:
        t1: GeoTIFF of the earlier date.
        t2: GeoTIFF of the later date.
        truth: GeoTIFF of the truth: 0 unchanged, 1 changed.
        record: JSON with all options and the versions that made the scene.
    """

    t1: Path
    t2: Path
    truth: Path
    record: Path


def pair_files(directory: str | os.PathLike[str]) -> PairFiles:
    """The names :func:`write_pair` gives its files in a folder."""
    folder = as_path(directory)
    return PairFiles(folder / "t1.tif", folder / "t2.tif", folder / "truth.tif", folder / "simulation.json")


def write_pair(
    directory: str | os.PathLike[str], options: SimulationOptions | None = None, *, overwrite: bool = False
) -> PairFiles:
    """Simulate a scene and write it: all four files, or none.

    The cubes are GeoTIFFs without compression (noise does not compress, and rows are read fastest so), made and
    written by blocks of rows: memory holds a few bytes a pixel, not the cubes. Each band's tags name its
    ``wavelength`` and ``fwhm`` in nanometres; the file's tags name the ``scale``.

    Args:
        directory: folder to write to; made if it does not exist.
        options: what to simulate; the defaults if None.
        overwrite: whether a scene that lies there already may be replaced.

    Returns:
        The files that were written.

    Raises:
        OutputError: the folder holds such a scene already, or cannot be written.
    """
    options = options or SimulationOptions()
    files = pair_files(directory)
    targets = (files.t1, files.t2, files.truth, files.record)
    try:
        as_path(directory).mkdir(parents=True, exist_ok=True)
        if overwrite:
            _check_whose(targets, files.record)
        for target in targets:
            check_output(target, overwrite=overwrite)
        scene = Simulation(options)
        with atomic_paths(targets, overwrite=overwrite) as (t1, t2, truth, record):
            bar: Bar[None] = progress((), total=2 * options.rows, unit="rows", desc="simulate")
            with bar:
                _write_cube(t1, scene, 1, bar)
                _write_cube(t2, scene, 2, bar)
            _write_truth(truth, scene)
            record.write_text(json.dumps(_record(scene), indent=2) + "\n", encoding="utf-8")
        remove_stale([files.t1, files.t2, files.truth])
    except OutputError:
        raise
    except (OSError, rasterio.errors.RasterioError) as error:
        raise OutputError(f"{directory} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return files


def _check_whose(targets: Iterable[Path], record: Path) -> None:
    """Refuse to replace files of these names that are none of a simulated scene: no record lies beside them.

    Raises:
        OutputError: so it is.
    """
    there = [target for target in targets if target.exists()]
    if there and record not in there:
        raise OutputError(
            f"{there[0]} was not simulated (there is no {record.name} beside it): name another folder"
        )


def _profile(options: SimulationOptions, **more: Any) -> dict[str, Any]:
    """What rasterio must know to make a file on the scene's grid."""
    return {
        "driver": "GTiff",
        "width": options.cols,
        "height": options.rows,
        "crs": CRS_NAME,
        "transform": Affine(PIXEL, 0, _ORIGIN[0], 0, -PIXEL, _ORIGIN[1]),
        "bigtiff": "IF_SAFER",
        **more,
    }


def _write_cube(path: Path, scene: Simulation, date: Literal[1, 2], bar: Bar[Any]) -> None:
    """Write one date by blocks of rows."""
    options = scene.options
    whole = options.dtype == "uint16"
    profile = _profile(
        options,
        count=options.bands,
        dtype=options.dtype,
        nodata=0 if whole else None,
        interleave="band",
        blockysize=CHUNK,
    )
    fwhm = float(scene.wavelengths[1] - scene.wavelengths[0])
    with rasterio.open(path, "w", **profile) as out:
        # Tags come first: written after the pixels they would be appended, and the file's head written twice.
        out.update_tags(
            scale=str(SCALE if whole else 1),
            scale_meaning="reflectance = stored value / scale",
            software=f"hsi-cd {hsi_cd.__version__}",
            content=f"simulated scene, {_TIMES[date]}",
        )
        for band, centre in enumerate(scene.wavelengths, start=1):
            out.set_band_description(band, f"{centre:.2f} nm")
            out.update_tags(band, wavelength=f"{centre:.2f}", wavelength_units="Nanometers", fwhm=f"{fwhm:.2f}")
        for start, values in scene.chunks(date):
            out.write(values, window=Window(0, start, options.cols, values.shape[1]))
            bar.update(values.shape[1])


def _write_truth(path: Path, scene: Simulation) -> None:
    with rasterio.open(path, "w", **_profile(scene.options, count=1, dtype="uint8", compress="deflate")) as out:
        out.update_tags(software=f"hsi-cd {hsi_cd.__version__}", values="0 unchanged, 1 changed")
        out.set_band_description(1, "change")
        out.write(scene.truth, 1)


def _record(scene: Simulation) -> dict[str, Any]:
    """All that is needed to make the same scene again, and what came of it."""
    options = asdict(scene.options)
    if math.isinf(scene.options.snr):
        options["snr"] = None  # JSON has no infinity
    changed = int(np.count_nonzero(scene.truth))
    return {
        "options": options,
        "shift_rows_cols": list(scene.shift),
        "materials": [material.name for material in scene.materials],
        "changed_pixels": changed,
        "unchanged_pixels": int(scene.truth.size) - changed,
        "versions": {
            "hsi-cd": hsi_cd.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "rasterio": rasterio.__version__,
        },
    }
