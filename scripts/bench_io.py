"""How fast methods without labels and maps are, against reading the cubes and copying files."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from pathlib import Path

import bench_common as common
import numpy as np

from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.irmad import fit_irmad
from hsi_cd.inference.predict import write_maps
from hsi_cd.io.maps import map_writers
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.scene import Grid, ScenePair

CVA_PASSES = 4  # usable bands (at most one), statistics, threshold, map


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--iterations", type=int, default=3, help="of IR-MAD, two passes each")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = common.simulated(folder / "scene")
        pair = common.open_pair(files)

        def read() -> None:
            for block in row_blocks(*pair.shape):
                pair.read(block)

        def mapped(scene: ScenePair) -> None:
            write_maps(fit_cva(scene), scene, change=folder / "cva.tif", overwrite=True)

        jobs = {
            "read": read,
            "cva": lambda: mapped(pair),
            "irmad": lambda: fit_irmad(pair, options={"iterations": args.iterations}),
        }
        found = common.medians(jobs, args.repeat, clock=time.process_time)
        side = 4096
        scores = np.random.default_rng(0).random((side, side), dtype=np.float32)
        np.save(folder / "raw.npy", scores)

        def write() -> None:
            grid = Grid(side, side)
            maps = folder / "m.tif", folder / "s.tif"
            with map_writers(*maps, grid=grid, cog=True, overwrite=True) as writers:
                writers.change.write(0, (scores > 0.5).astype(np.uint8))
                writers.score.write(0, scores)  # type: ignore[union-attr]

        def copy() -> None:
            shutil.copyfile(folder / "raw.npy", folder / "copy.npy")

        maps = common.medians({"write": write, "copy": copy}, args.repeat)
        per_pass = 2 * args.iterations + 3
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
            (
                f"map and scores of {side} x {side} pixels of noise as COGs / raw copy of the scores, rate",
                f"{maps['copy'] / maps['write']:.3f} x",
                ">= 0.5 x",
            ),
        ]
        common.show(f"reading and writing, processor seconds, median of {args.repeat}", rows)


if __name__ == "__main__":
    main()
