r"""How often the 95 % intervals of `hsi-cd area` hold the truth: samples of maps whose truth is known.

    .venv/bin/python scripts/measure_area_coverage.py --draws 500 --seed 0

A map of a million pixels has a given share of change, user's accuracy and producer's accuracy of change. Samples
of it are drawn without return, interpreted without error, and estimated (``estimate_accuracy``, which
``hsi-cd area`` calls). The table gives, in %, how many intervals hold the truth: those of the area of change, of
the overall accuracy, of the user's and the producer's accuracy of change; and the same of the area for plus or
minus 1.96 standard errors, which is what tables usually print. Each is told twice: reckoned, over all samples that
there could be, each by its probability; and, in brackets, of ``--draws`` samples that were drawn. Last, the mean
width of the interval of the area, as a multiple of the area. A line for each quantity below tells how many of the
designs are reckoned below 93 %, in 93 to 97 %, and above.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.stats

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
QUANTITIES = "area", "overall", "users", "producers"
WANTED = 0.93, 0.97
NEGLIGIBLE = 1e-7
"""Probability below which an outcome of a stratum is left out."""


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
    reckoned = []
    for share, accuracies, design in product(asked.shares.split(","), asked.accuracies.split(","), DESIGNS):
        users, producers = map(float, accuracies.split("/"))
        truth = map_truth(float(share), users, producers)
        told = coverage(truth, DESIGNS[design], draws=asked.draws, seed=asked.seed)
        cells = [f"{100 * true:.1f} ({100 * drawn:.1f})" for true, drawn in list(told.values())[:-1]]
        print(
            f"| {100 * float(share):g} % | {users:g} / {producers:g} | {design} | {' | '.join(cells)} "
            f"| {told['width'][0]:.2f} |",
            flush=True,
        )
        reckoned.append([told[name][0] for name in QUANTITIES])
    print()
    for name, found in zip(QUANTITIES, np.array(reckoned).T, strict=True):
        below, above = (found < WANTED[0]).sum(), (found > WANTED[1]).sum()
        print(
            f"{name}: {100 * found.min():.1f} to {100 * found.max():.1f} %; of {len(found)} designs {below} below "
            f"93, {len(found) - below - above} in 93 to 97, {above} above"
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


def coverage(
    truth: MapTruth, design: Mapping[str, int], *, draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Share of the samples whose intervals hold the truth: of all that there could be, and of those drawn.

    Returns:
        By quantity, with ``usual`` for the usual interval of the area; and ``width``, the mean width of the area's
        own as a multiple of it.
    """
    random = np.random.default_rng(seed)
    pixels, changed = np.array(truth.called), np.array(truth.changed)
    given = allocate(tuple(Stratum(code, n, float(n)) for code, n in enumerate(truth.called)), **design)
    sizes = np.array([given[0], given[1]])
    populations = zip(sizes, pixels, changed, strict=True)
    chances = [scipy.stats.hypergeom.pmf(np.arange(n + 1), of, hits, n) for n, of, hits in populations]
    likely = [np.flatnonzero(each > NEGLIGIBLE) for each in chances]
    outcomes = {hits: judged(hits, truth, sizes) for hits in product(*(each.tolist() for each in likely))}
    weight = np.array([chances[0][first] * chances[1][second] for first, second in outcomes])
    true = weight @ np.array(list(outcomes.values())) / weight.sum()
    drawn = [tuple(random.hypergeometric(changed, pixels - changed, sizes).tolist()) for _ in range(draws)]
    seen = np.mean([outcomes.get(hits) or judged(hits, truth, sizes) for hits in drawn], axis=0)
    names = (*QUANTITIES, "usual", "width")
    return {name: (float(a), float(b)) for name, a, b in zip(names, true, seen, strict=True)}


def judged(hits: tuple[int, ...], truth: MapTruth, sizes: np.ndarray) -> tuple[float, ...]:
    """Of one sample: 1 for each interval that holds the truth, else 0, and the width; in the order of coverage."""
    pixels, changed, found = np.array(truth.called), np.array(truth.changed), np.array(hits)
    true = (
        changed.sum() / PIXELS,
        (pixels[0] - changed[0] + changed[1]) / PIXELS,
        changed[1] / pixels[1],
        changed[1] / changed.sum(),
    )
    told = estimate_accuracy(np.stack((sizes - found, found), axis=1), pixels / PIXELS, pixels=pixels)
    area = told.shares[1]
    held = [
        float(each.interval.low <= value <= each.interval.high)
        for each, value in zip((area, told.overall, told.users[1], told.producers[1]), true, strict=True)
    ]
    usual = float(abs(area.value - true[0]) <= 1.96 * area.standard_error)
    return (*held, usual, (area.interval.high - area.interval.low) / true[0])


if __name__ == "__main__":
    main()
