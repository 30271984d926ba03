"""What miniatures of products show: one ground at two dates, a block of it changed; and how they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio import warp

from hsi_cd.io.raster import quiet_georeference

ROWS, COLS = 36, 48
BLOCK = np.s_[10:20, 18:34]  # changed between the dates
CLOUD = np.s_[28:32, 30:36]  # marked as cloud in both
PLACE = Affine(30, 0, 300000, 0, -30, 5810000)
EPSG = 32633


def padding() -> np.ndarray:
    """Two corners, as in a rotated swath, bool ``(rows, cols)``."""
    row, col = np.mgrid[:ROWS, :COLS]
    return (row + col < 8) | (row + col > ROWS + COLS - 10)


def ground(waves: np.ndarray, date: int) -> np.ndarray:
    """Reflectance ``(bands, rows, cols)`` of a place of four materials, at date 1 or 2."""
    rng = np.random.default_rng(7)
    knots = np.linspace(300, 2700, 9)
    spectra = np.stack([np.interp(waves, knots, rng.uniform(0.08, 0.5, 9)) for _ in range(4)])
    row, col = np.mgrid[:ROWS, :COLS]
    shares = np.stack([1.1 + np.sin(row / a + col / b + c) for a, b, c in ((5, 7, 0), (3, 9, 2), (8, 4, 4))])
    shares += rng.uniform(0, 0.5, shares.shape)  # texture, the same at both dates
    shares /= shares.sum(axis=0)
    values = np.einsum("mb,mrc->brc", spectra[:3], shares)
    if date == 2:
        values[:, *BLOCK] = spectra[3][:, None, None] * (0.9 + 0.2 * shares[0][BLOCK])
        values *= 1.02
    return values + np.random.default_rng(date).normal(0, 0.003, values.shape)


def pixel_places() -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of the pixels' centres, degrees ``(rows, cols)``."""
    row, col = np.mgrid[:ROWS, :COLS] + 0.5
    x, y = PLACE @ (col.ravel(), row.ravel())
    found = warp.transform(f"EPSG:{EPSG}", "EPSG:4326", x.tolist(), y.tolist())
    return np.reshape(found[0], (ROWS, COLS)), np.reshape(found[1], (ROWS, COLS))


def stamp(date: int) -> str:
    return {1: "20220724", 2: "20230811"}[date]


def raster(
    path: Path, values: np.ndarray, *, place: Affine = PLACE, names: tuple[str, ...] = (), **more: object
) -> Path:
    count, rows, cols = values.shape
    profile = {"driver": "GTiff", "crs": f"EPSG:{EPSG}", "transform": place} | more
    with quiet_georeference(), rasterio.open(
        path, "w", count=count, height=rows, width=cols, dtype=values.dtype, **profile
    ) as file:  # fmt: skip
        file.write(values)
        for band, name in enumerate(names, start=1):
            file.set_band_description(band, name)
    return path


def plane(where: object = None, *, dtype: str = "uint8", value: int = 1) -> np.ndarray:
    """A layer ``(1, rows, cols)`` of zeros, with a value somewhere."""
    values = np.zeros((1, ROWS, COLS), dtype=dtype)
    if where is not None:
        values[:, *where] = value
    return values
