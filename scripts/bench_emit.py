"""Make a pair of EMIT L2A granules of full size, of opposite orbits, and measure how a map is made of them.

Each is 1280 x 1242 pixels of 285 bands in NetCDF, in chunks as those of the archive, with its lookup table. A
square of the ground changes. Told are the peak memory, the time, and how the map agrees with the square.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import rasterio
from numpy.typing import NDArray

ROWS, COLS, BANDS = 1280, 1242, 285
CHUNKS = (256, 249, 57)
PIXEL = 0.0005422325202530942  # degrees
CORNER = (13.0, 52.4)
WAVES = np.linspace(381.006, 2492.924, BANDS)
GOOD = ~(((WAVES > 1320) & (WAVES < 1440)) | ((WAVES > 1770) & (WAVES < 1970)))
CRS = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'
)
SQUARE = np.s_[700:860, 900:1100]  # of the ground, that changed


def table(degrees: float, rows: int, cols: int, *, turned: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows and columns of a slanted swath, counted from 1, of each pixel of the ground; 0 for none."""
    angle, size = np.deg2rad(degrees), int(np.hypot(rows, cols))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    row = np.rint(np.cos(angle) * y - np.sin(angle) * x + (rows - 1) / 2).astype(np.int32)
    col = np.rint(np.sin(angle) * y + np.cos(angle) * x + (cols - 1) / 2).astype(np.int32)
    if turned:
        row, col = rows - 1 - row, cols - 1 - col
    seen = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    return np.where(seen, row + 1, 0).astype(np.int32), np.where(seen, col + 1, 0).astype(np.int32)


def make_granule(path: Path, date: int, *, scale: float) -> None:
    """Write one date: a mixture of three materials, the same ground in both."""
    rows, cols = int(ROWS * scale), int(COLS * scale)
    glt_y, glt_x = table((35, -35)[date - 1], rows, cols, turned=date == 2)
    ground_row = np.zeros((rows, cols), dtype=np.float32)
    ground_col, changed = np.zeros_like(ground_row), np.zeros((rows, cols), dtype=bool)
    seen = glt_y > 0
    down, across = np.nonzero(seen)
    at = glt_y[seen] - 1, glt_x[seen] - 1
    ground_row[at], ground_col[at] = down, across
    square = np.zeros(glt_y.shape, dtype=bool)
    square[tuple(slice(int(s.start * scale), int(s.stop * scale)) for s in SQUARE)] = True
    changed[at] = square[seen]
    rng = np.random.default_rng(7)
    spectra = np.stack([np.interp(WAVES, np.linspace(300, 2700, 9), rng.uniform(0.08, 0.5, 9)) for _ in range(4)])
    tile = np.random.default_rng(date).standard_normal((32, cols, BANDS), dtype=np.float32) * np.float32(0.003)
    step = max(1, min(CHUNKS[0], rows))
    with h5py.File(path, "w") as file:
        file.attrs["time_coverage_start"] = ("2023-08-20T16:14:28+0000", "2024-09-01T09:02:11+0000")[date - 1]
        file.attrs["geotransform"] = np.array([CORNER[0], PIXEL, 0, CORNER[1], 0, -PIXEL])
        file.attrs["spatial_ref"] = CRS
        chunks = (step, min(CHUNKS[1], cols), CHUNKS[2])
        image = file.create_dataset(
            "reflectance", (rows, cols, BANDS), "f4", chunks=chunks, compression="lzf", shuffle=True
        )
        image.attrs["_FillValue"] = np.array([-9999], dtype=np.float32)
        for top in range(0, rows, step):
            part = slice(top, min(top + step, rows))
            height = part.stop - top
            r, c = ground_row[part], ground_col[part]
            shares = np.stack([1.1 + np.sin(r / a + c / b) for a, b in ((5, 7), (13, 9), (8, 21))], axis=-1)
            shares /= shares.sum(axis=-1, keepdims=True)
            values = (shares @ spectra[:3]).astype(np.float32)
            if date == 2:
                values[changed[part]] = spectra[3]
                values *= np.float32(1.02)
            values += np.resize(np.roll(tile, top, axis=1), (height, cols, BANDS))
            np.rint(values * np.float32(8192), out=values)  # so that it compresses, as real ones do
            values /= np.float32(8192)
            values[..., ~GOOD] = -0.01
            image[part] = values
        for name, listed in (("wavelengths", WAVES), ("fwhm", np.full(BANDS, 8.5)), ("good_wavelengths", GOOD)):
            file[f"sensor_band_parameters/{name}"] = np.asarray(listed, dtype=np.float32)
        for name, values in (("glt_y", glt_y), ("glt_x", glt_x)):
            file.create_dataset(f"location/{name}", data=values, compression=1, chunks=True)


def agreement(path: Path, scale: float) -> float:
    """Intersection over union of the map with the square, where both dates were seen."""
    with rasterio.open(path) as file:
        change = file.read(1)
    square = np.zeros(change.shape, dtype=bool)
    square[tuple(slice(int(s.start * scale), int(s.stop * scale)) for s in SQUARE)] = True
    changed, seen = change == 1, change != 255
    return float((changed & square & seen).sum() / ((changed | square) & seen).sum())


def main() -> None:
    """Make the pair, map it, tell what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the granules' sides, 1 for full size")
    parser.add_argument("--folder", type=Path, help="for 6 GB of temporary files; by default the system's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        dates = [Path(folder) / f"EMIT_L2A_RFL_001_{day}.nc" for day in ("20230820T161428", "20240901T090211")]
        for number, path in enumerate(dates, start=1):
            make_granule(path, number, scale=options.scale)
        out = Path(folder) / "change.tif"
        words = ["detect", "--t1", str(dates[0]), "--t2", str(dates[1]), "--output", str(out), "--cog"]
        started = time.monotonic()
        # os.wait4 tells of this one process, whatever was started before.
        process = subprocess.Popen([sys.executable, "-m", "hsi_cd", *words], env=os.environ | {"TMPDIR": folder})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(process.returncode)
        told = {
            "files_gb": round(sum(path.stat().st_size for path in dates) / 1e9, 2),
            "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),
            "seconds": round(time.monotonic() - started, 1),
            "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "agreement": round(agreement(out, options.scale), 4),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
