r"""What the automatic threshold of a label-free method is worth: Kappa on the whole truth, against the best one.

    .venv/bin/python scripts/measure_thresholds.py --root scenes --output data/results/thresholds.csv \
        --scenes taizhou,rennes,farmland,irrigated,cities/bercy,cities/nantes,simulated/0/0,simulated/0.01/1

A scene is one of the catalogue, a folder of Sentinel-2 bands as ``measure_drawn.py`` takes it,
``simulated/SHARE/SEED`` (150 x 150 pixels, 40 bands, of which a share changed) or
``simulated/SHARE/SEED/SIZE/BANDS``, or one in which nothing changed, of 250 x 250 pixels of a scene's first date:
``noise/SCENE`` adds a tenth of each band's deviation to either date, ``shift/SCENE`` moves it by .3 pixels. Own is
the method's threshold where the default is not asked how much changed. The best threshold is the one with the
greatest Kappa, which only the truth knows. What stands in the output is not done again.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from measure_drawn import open_scene
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.api.change_share import change_share
from hsi_cd.api.estimators import make_estimator
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.scene import CHANGED, UNLABELLED, ScenePair

COLUMNS = ("scene", "method", "kappa", "own", "best", "called", "own_called", "true", "share", "low", "high")
ALL = "auto,cva,pca-cva,sam,irmad,sfa,isfa,celik,superpixel"


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--scenes", default="taizhou,rennes,farmland")
    parser.add_argument("--methods", default=ALL)
    parser.add_argument("--output", type=Path, default=Path("runs/thresholds.csv"))
    asked = parser.parse_args()
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if asked.output.exists():
        with asked.output.open(newline="") as file:
            done = {(row["scene"], row["method"]) for row in csv.DictReader(file)}
    else:
        asked.output.write_text(",".join(COLUMNS) + "\n")
    for scene in asked.scenes.split(","):
        missing = [method for method in asked.methods.split(",") if (scene, method) not in done]
        if not missing:
            continue
        pair, truth = open_any(asked.root, scene)
        measurement = Measurement(pair)
        for method in missing:
            with asked.output.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(measure(scene, method, measurement, truth))


def open_any(root: Path, name: str) -> tuple[ScenePair, NDArray[np.uint8]]:
    """A scene of files, or a simulated one, and its truth."""
    kind, _, how = name.partition("/")
    if kind in ("noise", "shift"):
        first = open_scene(root, how)[0].read(slice(0, 250), slice(0, 250))[0].astype(np.float32)
        dates = with_noise(first) if kind == "noise" else moved(first)
        return hc.open_pair(*dates), np.zeros(dates[0].shape[1:], dtype=np.uint8)
    if kind != "simulated":
        pair, labels = open_scene(root, name)
        return pair, labels.values
    share, seed, *size = how.split("/")
    side, bands = map(int, size or (150, 40))
    made = simulate_pair(
        SimulationOptions(rows=side, cols=side, bands=bands, changed=float(share), seed=int(seed))
    )
    return hc.open_pair(made.t1.astype(np.float32), made.t2.astype(np.float32)), made.truth


def with_noise(first: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A date twice, each with noise of its own."""
    rng, deviation = np.random.default_rng(0), 0.1 * np.nanstd(first, axis=(1, 2), keepdims=True)
    return [first + deviation * rng.standard_normal(first.shape, dtype=np.float32) for _ in range(2)]


def moved(first: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A date, and the same .3 pixels aside, by linear interpolation."""
    left, right = first[:, :, :-1], first[:, :, 1:]
    return [left, np.float32(0.7) * left + np.float32(0.3) * right]


def measure(scene: str, method: str, measurement: Measurement, truth: NDArray[np.uint8]) -> tuple[str, ...]:
    """One row of the table."""
    estimator = make_estimator(method).fit(measurement)
    found = estimator.predict(measurement.pair)
    own = estimator.detector_.decision.threshold.found.get("own", found.threshold)
    known = (truth != UNLABELLED) & np.isfinite(found.score)
    score, changed = found.score[known], truth[known] == CHANGED
    shares = [float((found.score[np.isfinite(found.score)] >= limit).mean()) for limit in (found.threshold, own)]
    limits = np.append(np.quantile(score, 1 - np.geomspace(1e-4, 0.9, 400)), [own, found.threshold])
    kappas = [kappa(score >= limit, changed) for limit in limits]
    share = change_share(estimator.detector_)
    ends = ["", "", ""] if share is None else [f"{share[1][name]:.4f}" for name in ("value", "low", "high")]
    numbers = (kappas[-1], kappas[-2], max(kappas), *shares, float(changed.mean()))
    return (scene, method, *(f"{number:.4f}" for number in numbers), *ends)


def kappa(called: NDArray[np.bool_], changed: NDArray[np.bool_]) -> float:
    """Cohen's Kappa; 0 where all is one class."""
    a, b = float(called.mean()), float(changed.mean())
    chance = a * b + (1 - a) * (1 - b)
    return 0.0 if chance == 1 else (float((called == changed).mean()) - chance) / (1 - chance)


if __name__ == "__main__":
    main()
