"""How often a command reads its scene: pixels that ``Cube.read`` gave, divided by those of the scene.

python scripts/count_readings.py --dataset taizhou --data-root scenes
python scripts/count_readings.py --t1 before.tif --t2 after.tif --truth truth.tif --method svm
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

from hsi_cd.cli.main import run
from hsi_cd.scene import Cube


class Counter:
    """Counts what both dates are read, and how large they are."""

    def __init__(self) -> None:
        self.pixels, self.scene = 0, 0
        self._read = Cube.read

    def __enter__(self) -> Counter:
        def read(cube: Cube, *window: slice | None) -> object:
            values = self._read(cube, *window)
            self.pixels += values.shape[1] * values.shape[2]
            self.scene = max(self.scene, 2 * cube.grid.rows * cube.grid.cols)
            return values

        Cube.read = read  # type: ignore[assignment, method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Cube.read = self._read  # type: ignore[method-assign]


def readings(*words: object) -> float:
    """Readings of the scene by a command, which must end well."""
    said = io.StringIO()
    with Counter() as counter, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run([str(word) for word in words])
    if code:
        raise SystemExit(said.getvalue())
    return counter.pixels / counter.scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--dataset", "--data-root", "--t1", "--t2", "--truth"):
        parser.add_argument(name)
    parser.add_argument("--method", default="siamese", help="what train fits")
    parser.add_argument("--detect", default="auto", help="methods without labels, with commas")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the training")
    asked = parser.parse_args()
    settings = [word for text in asked.set for word in ("--set", text)]
    named = {"--dataset": asked.dataset, "--data-root": asked.data_root, "--t1": asked.t1, "--t2": asked.t2}
    scene = [word for name, value in named.items() if value is not None for word in (name, value)]
    truth = ["--truth", asked.truth] if asked.truth else []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for method in asked.detect.split(","):
            found = readings("detect", *scene, "--method", method, "--output", place / f"{method}.tif")
            print(f"detect --method {method:<12}{found:6.2f} readings")
        found = readings("train", *scene, *truth, *settings, "--method", asked.method, "--run", place / "run")
        print(f"train --method {asked.method:<13}{found:6.2f} readings")
        found = readings(
            "predict", "--checkpoint", place / "run" / "best.pt", *scene, "--output", place / "map.tif"
        )
        print(f"predict{'':<21}{found:6.2f} readings")


if __name__ == "__main__":
    main()
