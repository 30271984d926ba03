"""A shift between the dates is undone by every method that registers them, in fitting and in scoring."""

from functools import cache

import numpy as np
import pytest
import scipy.stats
import torch

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulatedPair, SimulationOptions, simulate_pair
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.registry import METHODS
from hsi_cd.detectors.siamese import fit_siamese
from hsi_cd.inference import score_scene
from hsi_cd.scene import ScenePair, cube_from_array

ROWS, COLS, MARGIN = 64, 60, 3
# How like the two maps must be, as Spearman's rank correlation. Without registration none comes above 0.89, and
# the forest, whose votes jump from one fit to the next, not above 0.72.
ALIKE = {"auto": 0.95, "superpixel": 0.95, "svm": 0.92, "forest": 0.82, "logistic": 0.95}
NETWORKS = {"siamese": 0.95, "self-trained": 0.95}


@cache
def simulated() -> SimulatedPair:
    """Ground without noise to speak of and with soft edges, whose dates lie on one another."""
    still = {"shift": 0.0, "stripes": 0.0, "gain": 0.0, "path_radiance": 0.0, "drift": 0.0}
    size = {"rows": ROWS + 2 * MARGIN, "cols": COLS + 2 * MARGIN, "bands": 8}
    return simulate_pair(SimulationOptions(**size, **still, mixing=1.0, snr=1000.0, dtype="float32", seed=3))  # type: ignore[arg-type]


def scene(down: int, right: int) -> ScenePair:
    """The same ground, with date 2 cut out elsewhere: what was at a pixel is now so many rows and columns on."""
    rows, cols = slice(MARGIN, MARGIN + ROWS), slice(MARGIN, MARGIN + COLS)
    moved = slice(MARGIN - down, MARGIN - down + ROWS), slice(MARGIN - right, MARGIN - right + COLS)
    t1, t2 = simulated().t1[:, rows, cols], simulated().t2[:, *moved]
    return ScenePair(cube_from_array(t1.copy()), cube_from_array(t2.copy()))


def fitted(name: str, pair: ScenePair) -> Detector:
    """A method's detector; a network as it begins, which is a function of the components like any other."""
    method = METHODS[name]
    if method.fit is None:
        torch.manual_seed(0)
        detector = fit_siamese(pair, resolve([("test", {"method": name, "model": {"members": 2}})]))
        detector.network.eval()
        return detector
    taught: tuple[np.ndarray, ...] = ()
    if method.needs_labels:
        truth = simulated().truth[MARGIN:-MARGIN, MARGIN:-MARGIN].ravel().astype(np.int64)
        rng = np.random.default_rng(0)
        of = [rng.choice(np.flatnonzero(truth == code), 30, replace=False) for code in (0, 1)]
        taught = np.concatenate(of), np.repeat([0, 1], 30)
    return method.fit(pair, *taught, options={"trees": 20} if name == "forest" else None, seed=1)


@pytest.mark.parametrize("name", [*ALIKE, *NETWORKS])
@pytest.mark.quick("auto", "siamese")
def test_a_shifted_scene_gives_the_map_of_the_scene_at_its_place(name: str) -> None:
    maps = [score_scene(fitted(name, pair), pair)[4:-4, 4:-4] for pair in (scene(0, 0), scene(1, -1))]
    alike = scipy.stats.spearmanr(maps[0].ravel(), maps[1].ravel()).statistic
    assert alike > (ALIKE | NETWORKS)[name]


def test_every_method_that_says_so_is_looked_at() -> None:
    """The textbook methods compare pixels where they lie; all others register."""
    textbook = {"cva", "pca-cva", "sam", "irmad", "sfa", "isfa", "celik"}
    assert {*ALIKE, *NETWORKS} == METHODS.keys() - textbook
