"""A trained network on another scene, with that scene's statistics."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese, siamese_from_state
from hsi_cd.errors import BandError, CheckpointError
from hsi_cd.inference import score_scene
from hsi_cd.scene import ScenePair, cube_from_array

PREPARED = {
    "default": {},
    "minmax": {"scaling": "minmax"},
    "joint": {"statistics": "joint"},
    "clipped": {"clip_percent": 1.0},
    "no projection": {"projection": "none"},
}


def simulated(**options: Any) -> np.ndarray:
    scene = simulate_pair(SimulationOptions(rows=40, cols=36, bands=12, dtype="float32", **options))
    return np.stack([scene.t1, scene.t2])


def as_pair(dates: np.ndarray) -> ScenePair:
    return ScenePair(*(cube_from_array(date) for date in dates), name="target")


def untrained(dates: np.ndarray, **prepare: Any) -> SiameseDetector:
    """A network with random weights: where it is asked to score the same components, it gives the same scores."""
    torch.manual_seed(0)
    model = {"members": 2, "attention": {"window": 5, "channels": 4}, "backbone": {"width": 8, "depth": 2}}
    config = resolve([("test", {"prepare": {"components": 5} | prepare, "model": model})])
    detector = fit_siamese(as_pair(dates), config)
    detector.calibration = Calibration(slope=1.5, offset=-0.2, threshold=0.4)
    return detector


@pytest.fixture(scope="module")
def dates() -> np.ndarray:
    return simulated(shift=0.5)


def seen_otherwise(dates: np.ndarray, *, joint: bool = False) -> np.ndarray:
    """The same ground through another gain and offset for each band and date."""
    rng = np.random.default_rng(1)
    gain, offset = rng.uniform(0.6, 1.6, (2, 12, 1, 1)), rng.uniform(-0.1, 0.2, (2, 12, 1, 1))
    if joint:
        gain[1], offset[1] = gain[0], offset[0]
    return (dates * gain + offset).astype(np.float32)


@pytest.mark.parametrize("prepare", PREPARED.values(), ids=PREPARED)
def test_the_same_ground_through_other_air_scores_the_same(dates, prepare) -> None:
    detector = untrained(dates, **prepare)
    other = seen_otherwise(dates, joint="statistics" in prepare)
    before = score_scene(detector, as_pair(dates))
    as_it_is = score_scene(detector, as_pair(other))
    refitted = score_scene(refit_statistics(detector, as_pair(other)), as_pair(other))
    np.testing.assert_allclose(refitted, before, atol=2e-3)
    assert np.abs(as_it_is - before).max() > 0.05


def test_the_shift_is_measured_anew_and_all_else_is_kept(dates) -> None:
    detector = untrained(dates)
    target = simulated(shift=0.9, seed=5)
    moved = refit_statistics(detector, as_pair(target))
    assert moved.frontend.shift != detector.frontend.shift
    assert moved.frontend.shift == pytest.approx(untrained(target).frontend.shift, abs=0.1)
    assert (moved.network, moved.calibration, moved.bands) == (
        detector.network,
        detector.calibration,
        detector.bands,
    )
    unregistered = untrained(dates, registration=False)
    assert refit_statistics(unregistered, as_pair(target)).frontend.shift == (0.0, 0.0)


def test_a_refitted_detector_does_not_depend_on_the_tiling(dates) -> None:
    target = simulated(seed=6)
    moved = refit_statistics(untrained(dates), as_pair(target))
    whole = score_scene(moved, as_pair(target), rows=40)
    for rows in (1, 7, 16):
        np.testing.assert_allclose(score_scene(moved, as_pair(target), rows=rows), whole, atol=1e-5)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def test_what_a_refit_needs_travels_in_the_checkpoint(dates) -> None:
    detector, target = untrained(dates, clip_percent=0.5), as_pair(simulated(seed=7))
    rebuilt = siamese_from_state(through_a_file(detector.state()))
    assert rebuilt.prepare == detector.prepare
    expected = score_scene(refit_statistics(detector, target), target)
    np.testing.assert_array_equal(score_scene(refit_statistics(rebuilt, target), target), expected)


@pytest.mark.parametrize("lacking", ["prepare", "centre"])
def test_an_older_checkpoint_scores_but_refuses_a_refit(dates, lacking: str) -> None:
    detector, target = untrained(dates), as_pair(dates)
    state = detector.state()
    inner = state if lacking == "prepare" else state["transform"]
    del inner[lacking]
    older = siamese_from_state(through_a_file(state))
    np.testing.assert_array_equal(score_scene(older, target), score_scene(detector, target))
    with pytest.raises(CheckpointError, match=r"does not hold the band statistics .* older version"):
        refit_statistics(older, target)


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", torch.ones(2, 11)), ("centre", torch.ones(12)), ("scale", torch.zeros(2, 12))],
)
def test_damaged_statistics_are_refused(dates, name: str, value: torch.Tensor) -> None:
    state = untrained(dates).state()
    state["transform"][name] = value
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        siamese_from_state(state)


def test_what_cannot_be_refitted_is_refused(dates) -> None:
    target = np.array(dates)
    with pytest.raises(CheckpointError, match="a trained network alone"):
        refit_statistics(fit_cva(as_pair(dates)), as_pair(target))
    detector = untrained(dates)
    with pytest.raises(BandError, match=r"12 bands .* 11"):
        refit_statistics(detector, as_pair(target[:, :11]))
    target[1, 4] = 0.25
    with pytest.raises(BandError, match=r"band 5 of t2 of target is 0\.25 everywhere"):
        refit_statistics(detector, as_pair(target))
