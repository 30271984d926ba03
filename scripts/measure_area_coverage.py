r"""How often the 95 % intervals of `hsi-cd area` hold the truth: samples of maps whose truth is known.

    .venv/bin/python scripts/measure_area_coverage.py --draws 500 --seed 0

A map of a million pixels has a given share of change, user's accuracy and producer's accuracy of change. Of
each, ``--draws`` samples are drawn without return, interpreted without error, and estimated
(``estimate_accuracy``, which ``hsi-cd area`` calls). The table gives, in %, how many intervals hold the truth:
those of the area of change, of the overall accuracy, of the user's and the producer's accuracy of change; the
same of the area for plus or minus 1.96 standard errors, which is what tables usually print; and the median
width of the interval of the area, as a multiple of the area. By chance alone, 500 draws of an interval that
covers 95 % tell 93 to 97 %.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from hsi_cd.evaluation import estimate_accuracy
from hsi_cd.prepare.stratified_sample import Stratum, allocate

PIXELS = 1_000_000
DESIGNS: Mapping[str, Mapping[str, int]] = {
    "30 a class": {"per_stratum": 30},
    "50 a class": {"per_stratum": 50},
    "100 a class": {"per_stratum": 100},
    "500, at least 50": {"per_stratum": 50, "total": 500},
}
"""How a sample is drawn, by the words of the table."""


@dataclass(frozen=True)
class MapTruth:
    """A map and what is there: pixels that the map calls unchanged (first) and changed, and those that changed."""

    called: tuple[int, int]
    changed: tuple[int, int]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shares", default="0.01,0.05,0.2", help="of change")
    parser.add_argument("--accuracies", default="0.95/0.9,0.8/0.7", help="user's and producer's, of change")
    asked = parser.parse_args()
    print("| change | user's / producer's | points | area | overall | user's | producer's | 1.96 SE | width |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for share, accuracies, design in product(asked.shares.split(","), asked.accuracies.split(","), DESIGNS):
        users, producers = map(float, accuracies.split("/"))
        truth = map_truth(float(share), users, producers)
        told = coverage(truth, DESIGNS[design], draws=asked.draws, seed=asked.seed)
        cells = [f"{100 * told[name]:.1f}" for name in ("area", "overall", "users", "producers", "usual")]
        print(
            f"| {100 * float(share):g} % | {users:g} / {producers:g} | {design} | {' | '.join(cells)} "
            f"| {told['width']:.2f} |",
            flush=True,
        )


def map_truth(share: float, users: float, producers: float) -> MapTruth:
    """A map with these shares, to the nearest pixel.

    Args:
        share: of change in the truth.
        users: user's accuracy of change: share of what the map calls changed that is.
        producers: producer's accuracy of change: share of what changed that the map calls so.
    """
    changed = round(share * PIXELS)
    hit = round(producers * changed)
    called = round(hit / users)
    return MapTruth((PIXELS - called, called), (changed - hit, hit))


def coverage(truth: MapTruth, design: Mapping[str, int], *, draws: int, seed: int) -> dict[str, float]:
    """Shares of the draws whose intervals hold the truth, and the median width of that of the area."""
    random = np.random.default_rng(seed)
    pixels, changed = np.array(truth.called), np.array(truth.changed)
    given = allocate(tuple(Stratum(code, n, float(n)) for code, n in enumerate(truth.called)), **design)
    sizes = np.array([given[0], given[1]])
    true = {
        "area": changed.sum() / PIXELS,
        "overall": (pixels[0] - changed[0] + changed[1]) / PIXELS,
        "users": changed[1] / pixels[1],
        "producers": changed[1] / changed.sum(),
    }
    held: dict[str, list[bool]] = {name: [] for name in (*true, "usual")}
    widths = []
    for _ in range(draws):
        hits = random.hypergeometric(changed, pixels - changed, sizes)
        found = estimate_accuracy(np.stack((sizes - hits, hits), axis=1), pixels / PIXELS, pixels=pixels)
        area = found.shares[1]
        told = {"area": area, "overall": found.overall, "users": found.users[1], "producers": found.producers[1]}
        for name, each in told.items():
            held[name].append(bool(each.interval.low <= true[name] <= each.interval.high))
        held["usual"].append(bool(abs(area.value - true["area"]) <= 1.96 * area.standard_error))
        widths.append((area.interval.high - area.interval.low) / true["area"])
    return {name: float(np.mean(each)) for name, each in held.items()} | {"width": statistics.median(widths)}


if __name__ == "__main__":
    main()
