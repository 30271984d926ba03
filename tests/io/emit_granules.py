"""Miniatures of EMIT L2A, true to its layout: one ground seen from any orbit; and a reader with h5py alone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

PIXEL = 0.0005422325202530942  # degrees
LEFT, TOP = 13.0, 52.4
WAVES = np.linspace(381.006, 2493, 60).astype(np.float32)
GOOD = ~(((WAVES > 1320) & (WAVES < 1440)) | ((WAVES > 1770) & (WAVES < 1970)))
CRS = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],'
    'AUTHORITY["EPSG","4326"]]'
)
FLAGS = ["Cloud flag", "Cirrus flag", "Water flag", "Spacecraft Flag", "Dilated Cloud Flag", "AOD550",
         "H2O (g cm-2)", "Aggregate Flag"]  # fmt: skip


class Orbit(NamedTuple):
    """How the ground lies in the swath: rows of the swath fall or rise over it, and may run the other way."""

    slope: float = 0.3
    northwards: bool = False
    margin: int = 0  # pixels of ground around, of which nothing is known: another grid of the same lattice


ASCENDING, DESCENDING = Orbit(0.3), Orbit(-0.4, northwards=True, margin=3)


def places(shape: tuple[int, int], orbit: Orbit) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Rows and columns in the swath of each pixel of the ground, and the swath's shape: one for one."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    row = row + np.floor(col * orbit.slope).astype(int)
    row -= row.min()
    size = (int(row.max()) + 2, shape[1] + 1)  # a row and a column that no ground shows
    return (size[0] - 1 - row, size[1] - 1 - col, size) if orbit.northwards else (row, col, size)


def granule(
    path: Path,
    ground: np.ndarray,
    day: str,
    *,
    orbit: Orbit = ASCENDING,
    padding: np.ndarray | None = None,
    cloud: np.ndarray | None = None,
    shift: float = 0.0,
) -> Path:
    """An image (and, with ``cloud``, its mask file) of ground ``(bands, rows, cols)``, of which padding is unseen.

    ``shift`` puts its grid so many pixels to the east.
    """
    shape = ground.shape[1:]
    row, col, size = places(shape, orbit)
    swath = np.full((*size, len(WAVES)), 0.77, dtype=np.float32)  # like values, and nowhere on the ground
    swath[row, col] = ground.transpose(1, 2, 0)
    swath[..., ~GOOD] = -0.01
    gap = np.s_[5, 7]
    swath[row[gap], col[gap]] = -9999
    seen = np.ones(shape, dtype=bool) if padding is None else ~padding
    m = orbit.margin
    table = [np.pad(np.where(seen, each + 1, 0), m).astype(np.int32) for each in (row, col)]
    left, top = LEFT + (shift - m) * PIXEL, TOP + m * PIXEL
    lat, lon = (np.full(size, start) for start in (TOP, LEFT))
    down, across = np.mgrid[: shape[0], : shape[1]]
    lat[row, col], lon[row, col] = TOP - (down + 0.5) * PIXEL, LEFT + (across + 0.5 + shift) * PIXEL
    image = _written(path, "reflectance", swath, table, (left, top), day)
    with h5py.File(image, "r+") as file:
        file["location/lat"], file["location/lon"] = lat, lon
        for name, values in (
            ("wavelengths", WAVES),
            ("fwhm", np.full(len(WAVES), 36)),
            ("good_wavelengths", GOOD),
        ):
            file[f"sensor_band_parameters/{name}"] = np.asarray(values, dtype=np.float32)
    if cloud is not None:
        planes = np.zeros((*size, len(FLAGS)), dtype=np.float32)
        planes[row, col, 0] = cloud
        planes[..., 5:7] = 1.0  # no flags
        planes[..., 2] = 1  # water everywhere, which stays unless it is asked for
        mask = path.with_name(path.name.replace("_RFL_", "_MASK_"))
        _written(mask, "mask", planes, table, (left, top), day)
        with h5py.File(mask, "r+") as file:
            file["sensor_band_parameters/mask_bands"] = np.array(FLAGS, dtype=h5py.string_dtype())
    return path


def _written(
    path: Path, name: str, values: np.ndarray, table: list[np.ndarray], corner: tuple[float, float], day: str
) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["time_coverage_start"] = f"{day}T16:14:28+0000"
        file.attrs["geotransform"] = np.array([corner[0], PIXEL, 0, corner[1], 0, -PIXEL])
        file.attrs["spatial_ref"] = CRS
        file.create_dataset(name, data=values, chunks=(8, 8, min(20, values.shape[2])), compression=1)
        file[name].attrs["_FillValue"] = np.array([-9999], dtype=np.float32)
        file["location/glt_y"], file["location/glt_x"] = table
    return path


class Read(NamedTuple):
    """What a granule holds on its own grid: values ``(rows, cols, bands)``, NaN for no data, and the rest."""

    values: np.ndarray
    waves: np.ndarray
    place: np.ndarray


def read(path: Path) -> Read:
    """The granule as its table says, with nothing of the package."""
    with h5py.File(path) as file:
        row, col = (file[f"location/glt_{axis}"][...].astype(int) for axis in "yx")
        stored = file["reflectance"][...]
        good = file["sensor_band_parameters/good_wavelengths"][...] == 1
        waves, place = file["sensor_band_parameters/wavelengths"][...][good], file.attrs["geotransform"]
    out = np.full((*row.shape, int(good.sum())), np.nan, dtype=np.float32)
    for r, c in zip(*np.nonzero(row), strict=True):
        out[r, c] = stored[row[r, c] - 1, col[r, c] - 1, good]
    out[out == -9999] = np.nan
    return Read(out, waves, place)


def on_grid_of(other: Read, own: Read) -> np.ndarray:
    """The values of a granule at the centres of another's pixels, by the pixel of its table that holds them."""
    rows, cols = own.values.shape[:2]
    lon = own.place[0] + (np.arange(cols) + 0.5) * own.place[1]
    lat = own.place[3] + (np.arange(rows) + 0.5) * own.place[5]
    col = np.floor((lon - other.place[0]) / other.place[1]).astype(int)
    row = np.floor((lat - other.place[3]) / other.place[5]).astype(int)
    out = np.full((rows, cols, other.values.shape[2]), np.nan, dtype=np.float32)
    for r in range(rows):
        for c in range(cols):
            if 0 <= row[r] < other.values.shape[0] and 0 <= col[c] < other.values.shape[1]:
                out[r, c] = other.values[row[r], col[c]]
    return out
