"""How fast methods without labels and maps are, against reading the cubes and copying files."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import bench_common as common
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.irmad import fit_irmad
from hsi_cd.inference.mapping import write_maps
from hsi_cd.io import MapFiles
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
