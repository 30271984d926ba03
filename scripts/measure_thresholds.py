r"""What the automatic threshold of a label-free method is worth: Kappa on the whole truth, against the best one.

    .venv/bin/python scripts/measure_thresholds.py --root scenes --output data/results/thresholds.csv \
        --scenes taizhou,rennes,farmland,irrigated,cities/bercy,cities/nantes,simulated/0/0,simulated/0.01/1

A scene is one of the catalogue, a folder of Sentinel-2 bands as ``measure_drawn.py`` takes it, or
``simulated/SHARE/SEED``: 150 x 150 pixels, 40 bands, of which a share changed. The best threshold is the one with
the greatest Kappa, which only the truth knows. What stands in the output is not done again.
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
from hsi_cd.scene import CHANGED, UNLABELLED, ScenePair

COLUMNS = ("scene", "method", "kappa", "best", "called", "true", "share", "low", "high")


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--scenes", default="taizhou,rennes,farmland")
    parser.add_argument("--methods", default="auto,cva")
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
        pair, truth = open_any(asked.root, scene) if missing else (None, None)
        for method in missing:
            with asked.output.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(measure(scene, method, pair, truth))


def open_any(root: Path, name: str) -> tuple[ScenePair, NDArray[np.uint8]]:
    """A scene of files, or a simulated one, and its truth."""
    kind, _, how = name.partition("/")
    if kind != "simulated":
        pair, labels = open_scene(root, name)
        return pair, labels.values
    share, seed = how.split("/")
    made = simulate_pair(SimulationOptions(rows=150, cols=150, bands=40, changed=float(share), seed=int(seed)))
    return hc.open_pair(made.t1.astype(np.float32), made.t2.astype(np.float32)), made.truth


def measure(scene: str, method: str, pair: ScenePair, truth: NDArray[np.uint8]) -> tuple[str, ...]:
    """One row of the table."""
    estimator = make_estimator(method).fit(pair)
    found = estimator.predict(pair)
    known = (truth != UNLABELLED) & np.isfinite(found.score)
    score, changed = found.score[known], truth[known] == CHANGED
    called = float((found.score >= found.threshold)[np.isfinite(found.score)].mean())
    limits = np.append(np.quantile(score, 1 - np.geomspace(1e-4, 0.9, 400)), found.threshold)
    kappas = [kappa(score >= limit, changed) for limit in limits]
    share = change_share(estimator.detector_)
    ends = ["", "", ""] if share is None else [f"{share[1][name]:.4f}" for name in ("value", "low", "high")]
    numbers = (kappas[-1], max(kappas), called, float(changed.mean()))
    return (scene, method, *(f"{number:.4f}" for number in numbers), *ends)


def kappa(called: NDArray[np.bool_], changed: NDArray[np.bool_]) -> float:
    """Cohen's Kappa; 0 where all is one class."""
    a, b = float(called.mean()), float(changed.mean())
    chance = a * b + (1 - a) * (1 - b)
    return 0.0 if chance == 1 else (float((called == changed).mean()) - chance) / (1 - chance)


if __name__ == "__main__":
    main()
