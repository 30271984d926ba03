"""How well a series of simulated dates gives back the dates of change that were put in.

python scripts/measure_series.py --seeds 0-4 --method auto
"""

from __future__ import annotations

import argparse

import numpy as np

import hsi_cd as hc
from hsi_cd.batch.matrix import parse_seeds
from hsi_cd.datasets.simulated.simulated_series import SimulatedSeries, simulate_series
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.inference.series_rule import BOTH, RETURNED, STAYED, UNTOUCHED


def days(count: int) -> list[str]:
    return [f"{2019 + place}-06-01" for place in range(count)]


def figures(truth: SimulatedSeries, bands: np.ndarray) -> dict[str, float]:
    """Shares of pixels that a series tells as they were put in."""
    year = np.where(bands[0] > 0, bands[0] // 1000 - 2019, 0)  # the interval, from 1
    put, back = truth.changed_at, truth.back_at
    changed, once = put > 0, (put > 0) & (back == 0)
    kind = np.where(put == 0, UNTOUCHED, np.where(back > 0, RETURNED, STAYED))
    times = (put > 0) + (back > 0).astype(int)
    return {
        "interval of all pixels": float(np.mean((year == put) | (changed & (back > 0) & (year == back)))),
        "interval, changed once": float(np.mean(year[once] == put[once])),
        "interval, came back": float(np.mean(((year == put) | (year == back))[back > 0])),
        "unchanged told so": float(np.mean(bands[1][put == 0] == 0)),
        "number of changes": float(np.mean(bands[1] == times)),
        "came back told so": float(np.mean(bands[5][back > 0] == RETURNED)),
        "stayed told so": float(np.mean(bands[5][once] == STAYED)),
        "stayed or both": float(np.mean(np.isin(bands[5][once], (STAYED, BOTH)))),
        "kind of all pixels": float(np.mean(bands[5] == kind)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--dates", type=int, default=5)
    parser.add_argument("--size", type=int, default=120, help="rows and columns")
    parser.add_argument("--every-pair", action="store_true")
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    for seed in parse_seeds(asked.seeds):
        options = SimulationOptions(rows=asked.size, cols=asked.size, bands=40, seed=seed)
        truth = simulate_series(options, dates=asked.dates)
        opened = hc.open_series(truth.images, dates=days(asked.dates))
        bands = hc.series(opened, asked.method, every_pair=asked.every_pair).read()
        for name, share in figures(truth, bands).items():
            found.setdefault(name, []).append(share)
    for name, shares in found.items():
        print(f"{name:<26}{np.mean(shares):.3f}  ({min(shares):.3f} to {max(shares):.3f})")


if __name__ == "__main__":
    main()
