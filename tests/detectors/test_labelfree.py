from pathlib import Path

import numpy as np
import pytest

from hsi_cd.datasets import open_dataset
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.evaluation import roc_auc
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import UNLABELLED, ScenePair, cube_from_array


def scored(detector, pair: ScenePair) -> np.ndarray:
    rows, cols = pair.shape
    return detector.score(*read_window(pair, slice(0, rows), slice(0, cols), radius=detector.radius))


def kappa(change: np.ndarray, truth: np.ndarray) -> float:
    known = truth != UNLABELLED
    a, b = change[known], truth[known] == 1
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return float(((a == b).mean() - chance) / (1 - chance))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.quick("1")
def test_it_beats_change_vectors_on_simulated_scenes(seed: int) -> None:
    made = simulate_pair(SimulationOptions(rows=90, cols=80, bands=40, seed=seed))
    pair = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2))
    detector, plain = fit_auto(pair), fit_cva(pair)
    score = scored(detector, pair)
    assert dict(detector.found)["reweighted"] == 1
    assert roc_auc(score, made.truth) > max(0.9, roc_auc(scored(plain, pair), made.truth))
    best = max(kappa(score >= t, made.truth) for t in np.quantile(score, np.linspace(0.3, 0.99, 100)))
    assert kappa(score >= detector.threshold, made.truth) > best - 0.06


def test_a_scene_too_small_to_reweight_is_compared_directly() -> None:
    made = simulate_pair(SimulationOptions(rows=12, cols=10, bands=20))
    pair = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2))
    detector = fit_auto(pair)
    assert dict(detector.found)["reweighted"] == 0
    assert detector.degrees is None
    assert np.isfinite(scored(detector, pair)).all()


def test_dates_with_nothing_in_common_are_compared_directly() -> None:
    rng = np.random.default_rng(0)
    pair = ScenePair(*(cube_from_array(rng.normal(size=(3, 90, 90)).astype(np.float32)) for _ in range(2)))
    assert dict(fit_auto(pair).found)["reweighted"] == 0


@pytest.mark.parametrize(("name", "auc", "best"), [("farmland", 0.98, 0.887), ("taizhou", 0.997, 0.954)])
@pytest.mark.quick("taizhou-0.997-0.954")
def test_real_scenes(shared: Path, name: str, auc: float, best: float) -> None:
    pair, labels = open_dataset(name, shared / "scenes")
    detector = fit_auto(pair)
    score = scored(detector, pair)
    assert roc_auc(score, labels.values) > auc
    assert kappa(score >= detector.threshold, labels.values) > best - 0.05
