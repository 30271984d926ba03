"""How fast methods without labels and maps are, against reading the cubes, and what a file's layout costs."""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bench_common as common
import h5py
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.irmad import fit_irmad
from hsi_cd.inference.mapping import write_maps
from hsi_cd.io import MapFiles, open_cube
from hsi_cd.io.maps import map_writers
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_ahead
from hsi_cd.scene import Grid, ScenePair

CVA_PASSES = 3  # statistics, threshold, map; that every band varies is seen in a few rows


def canonical_products(spectra: NDArray[np.float64], *, iterations: int) -> None:
    """The matrix products of IR-MAD's passes and nothing else: moments, and the differences that weigh them."""
    half = len(spectra) // 2
    weight = np.ones((half, len(spectra)))
    spectra @ spectra.T
    for _ in range(iterations - 1):
        weight @ spectra
        spectra @ spectra.T
    weight @ spectra  # the quantile of the last map


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--iterations", type=int, default=3, help="of IR-MAD")
    parser.add_argument("--height", type=int, default=4, help="of the scene, in heights of farmland")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = common.simulated(folder / "scene", rows=args.height * common.ROWS)
        pair = common.open_pair(files)

        def read() -> None:
            fresh = common.open_pair(files)  # no block decoded before is still in memory
            for block in row_blocks(*pair.shape):
                fresh.read(block)

        def mapped() -> None:
            write_maps(fit_cva(pair), pair, MapFiles(folder / "cva.tif", overwrite=True))

        block = np.random.default_rng(0).random((2 * common.BANDS, 1 << 16))
        share = pair.shape[0] * pair.shape[1] / block.shape[1]

        def products() -> None:
            with threadpool_limits(1, user_api="blas"):
                canonical_products(block, iterations=args.iterations)

        jobs = {
            "read": read,
            "cva": mapped,
            "irmad": lambda: fit_irmad(pair, options={"iterations": args.iterations}),
            "products": products,
        }
        found = common.medians(jobs, args.repeat, clock=time.process_time)
        found["products"] *= share
        maps: dict[str, float] = {}
        for turns in writers(folder, files, pair):
            maps |= common.medians(turns, args.repeat)
        per_pass = 2 * args.iterations + 2  # statistics; moments and squared differences each; the threshold
        rows = [
            ("both cubes read once (cached by the system)", f"{found['read']:.3f} s", ""),
            ("CVA, fit and map", f"{found['cva']:.3f} s", ""),
            (f"CVA / {CVA_PASSES} readings", f"{found['cva'] / found['read'] / CVA_PASSES:.1f} x", "<= 2 x"),
            (f"IR-MAD, {args.iterations} iterations", f"{found['irmad']:.3f} s", ""),
            (
                f"IR-MAD / {per_pass} readings",
                f"{found['irmad'] / found['read'] / per_pass:.1f} x",
                "<= 2 x",
            ),
            ("IR-MAD / its matrix products alone", f"{found['irmad'] / found['products']:.1f} x", ""),
            (
                "GeoTIFFs in, map and scores out as COGs / raw copy of the same files, rate",
                f"{maps['copy'] / maps['pass']:.3f} x",
                ">= 0.5 x",
            ),
            (
                f"map and scores of {SIDE} x {SIDE} pixels of noise as COGs / raw copy of the scores, rate",
                f"{maps['copy noise'] / maps['noise']:.3f} x",
                "",
            ),
        ]
        common.show(f"reading and writing, median of {args.repeat}; processor seconds, rates by the clock", rows)
        print()
        common.show(
            f"CVA, fit and map, by the layout of both files, median of {args.repeat}", layouts(folder, args)
        )


LAYOUTS: dict[str, dict[str, Any]] = {
    "GeoTIFF, band after band, not compressed": {"interleave": "band"},
    "GeoTIFF, band after band, strips": {"interleave": "band", "compress": "deflate"},
    "GeoTIFF, band after band, tiles of 512": {"interleave": "band", "compress": "deflate", "side": 512},
    "GeoTIFF, band after band, one strip": {"interleave": "band", "compress": "deflate", "strip": True},
    "GeoTIFF, pixel after pixel, strips": {"interleave": "pixel", "compress": "deflate"},
    "GeoTIFF, pixel after pixel, tiles of 512": {"interleave": "pixel", "compress": "deflate", "side": 512},
    "GeoTIFF, pixel after pixel, one strip": {"interleave": "pixel", "compress": "deflate", "strip": True},
    "HDF5, rows a chunk": {"chunk": (None, 16, None)},
    "HDF5, one band a chunk": {"chunk": (1, None, None)},
    "HDF5, one chunk": {"chunk": (None, None, None)},
}
SHAPE = (96, 512, 1024)
"""Bands, rows and columns of the scene of layouts: a tile of 512 x 512 pixels of all bands is 50 MB."""


def layouts(folder: Path, args: argparse.Namespace) -> list[tuple[str, str, str]]:
    """One scene in every layout: seconds, and how many times the best."""
    drawn = np.random.default_rng(0)
    first = drawn.integers(900, 1100, SHAPE, dtype=np.uint16)
    dates = first, first + drawn.integers(0, 30, SHAPE, dtype=np.uint16)
    found: dict[str, float] = {}
    for name, how in LAYOUTS.items():
        paths = [write_layout(folder / f"layout{i}", values, **how) for i, values in enumerate(dates)]

        def mapped(paths: list[Path] = paths) -> None:
            pair = ScenePair(*(open_cube(path) for path in paths), name="layout")
            write_maps(fit_cva(pair), pair, MapFiles(folder / "cva.tif", overwrite=True))

        found |= common.medians({name: mapped}, args.repeat, clock=time.process_time)
        for path in paths:
            path.unlink()
    best = min(found.values())
    return [
        (name, f"{seconds:.2f} s, {seconds / best:.1f} x the best", "<= 2 x") for name, seconds in found.items()
    ]


def write_layout(
    path: Path,
    values: NDArray[np.uint16],
    *,
    interleave: str = "",
    compress: str = "none",
    side: int | None = None,
    strip: bool = False,
    chunk: tuple[int | None, int | None, int | None] | None = None,
) -> Path:
    """One date: HDF5 where chunks are told (None for all of an axis), else a GeoTIFF."""
    if chunk is not None:
        size = tuple(whole if part is None else part for part, whole in zip(chunk, values.shape, strict=True))
        with h5py.File(path, "w") as file:
            file.create_dataset("cube", data=values, chunks=size, compression="gzip", compression_opts=1)
            file["wavelength"] = np.linspace(400, 2500, len(values))
        return path
    count, rows, cols = values.shape
    profile: dict[str, Any] = {"count": count, "height": rows, "width": cols, "dtype": values.dtype}
    profile |= {"interleave": interleave, "compress": compress} | ({"zlevel": 1} if compress == "deflate" else {})
    profile |= {"blockysize": rows} if strip else {}
    profile |= {} if side is None else {"tiled": True, "blockxsize": side, "blockysize": side}
    profile |= {"crs": "EPSG:32633", "transform": Affine(30, 0, 4e5, 0, -30, 58e5)}
    with rasterio.Env(GDAL_CACHEMAX=512), rasterio.open(path, "w", "GTiff", **profile) as raster:
        raster.write(values)
    return path


SIDE = 4096


def writers(folder: Path, files: PairFiles, pair: ScenePair) -> list[dict[str, Callable[[], None]]]:
    """Reading and writing without computing, and copies of the same bytes: of a scene, and of noise.

    One after the other: while the system still writes the noise to disk, copies are no measure.
    """
    noise = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    np.save(folder / "raw.npy", noise)
    maps = folder / "m.tif", folder / "s.tif"

    def write(grid: Grid, parts: Iterable[tuple[int, NDArray[np.float32]]]) -> None:
        with map_writers(*maps, grid=grid, cog=True, overwrite=True) as opened:
            for row, scores in parts:
                opened.change.write(row, (scores > 0.5).astype(np.uint8))
                opened.score.write(row, scores)  # type: ignore[union-attr]

    def through() -> None:
        """Every number is read, one band of each date is compared."""
        blocks = read_ahead((block.start, pair.read(block)) for block in row_blocks(*pair.shape))
        write(pair.grid, ((row, np.abs(t1[0] - t2[0])) for row, (t1, t2) in blocks))

    def copy() -> None:
        for path in (files.t1, files.t2, *maps):
            shutil.copyfile(path, folder / f"copy-{path.name}")

    def copy_noise() -> None:
        shutil.copyfile(folder / "raw.npy", folder / "copy.npy")

    return [
        {"pass": through, "copy": copy},
        {"noise": lambda: write(Grid(SIDE, SIDE), [(0, noise)]), "copy noise": copy_noise},
    ]


if __name__ == "__main__":
    main()
