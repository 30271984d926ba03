"""Whether the runs below two folders gave the same maps and scores: a line a run; exit code 1 where one did not.

hsi-cd benchmark --datasets A,B --methods X,Y --seeds 0 --runs OLD      (at one commit)
hsi-cd benchmark --datasets A,B --methods X,Y --seeds 0 --runs NEW      (at another)
python scripts/compare_runs.py OLD NEW
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import rasterio


def differences(old: Path, new: Path) -> tuple[int, float, float]:
    """Pixels of the change map that differ, the largest difference of a score (relative), and of a result's."""
    with rasterio.open(old / "change.tif") as a, rasterio.open(new / "change.tif") as b:
        pixels = int((a.read(1) != b.read(1)).sum())
    with rasterio.open(old / "score.tif") as a, rasterio.open(new / "score.tif") as b:
        then, now = a.read(1).astype(np.float64), b.read(1).astype(np.float64)
    if (np.isnan(then) != np.isnan(now)).any():
        return pixels, math.inf, math.inf
    known = np.isfinite(then)
    apart = np.abs(then - now)[known] / np.maximum(np.abs(then[known]), 1)
    results = [json.loads((folder / "result.json").read_text(encoding="utf-8"))["scores"] for folder in (old, new)]
    gaps = [abs(value - results[1][name]) for name, value in results[0].items() if value is not None]
    return pixels, float(apart.max(initial=0)), max(gaps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    asked = parser.parse_args()
    runs = sorted(path.parent.relative_to(asked.old) for path in asked.old.rglob("result.json"))
    print(f"{'run':<40}{'map pixels':>12}{'score':>12}{'result':>12}")
    failed = 0
    for run in runs:
        if not (asked.new / run / "result.json").is_file():
            print(f"{run!s:<40}{'absent':>12}")
            failed += 1
            continue
        pixels, score, result = differences(asked.old / run, asked.new / run)
        print(f"{run!s:<40}{pixels:>12}{score:>12.1e}{result:>12.1e}")
        failed += pixels > 0 or not max(score, result) <= asked.tolerance
    print(f"{len(runs) - failed} of {len(runs)} runs are the same to {asked.tolerance:g}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
