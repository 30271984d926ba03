"""Options, thresholds and lost pixels of the methods; what holds for all of them is in test_contract.py."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.registry import METHODS
from hsi_cd.detectors.siamese import fit_siamese, preparation
from hsi_cd.errors import ConfigError, LabelError, UnknownNameError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.patches import scene_patches

ROWS, COLS = 37, 29
FITTED = [name for name, method in METHODS.items() if method.fit is not None]
LEARNED = [name for name in FITTED if METHODS[name].needs_labels]
QUICK: dict[str, dict[str, Any]] = {"forest": {"trees": 20}}


@cache
def scene() -> tuple[ScenePair, np.ndarray]:
    made = simulate_pair(SimulationOptions(rows=ROWS, cols=COLS, bands=12, dtype="float32", seed=3))
    t1, t2 = made.t1.copy(), made.t2.copy()
    t1[:, 4, 5] = np.nan
    t2[3, 20:22, 11] = np.nan  # one band is enough
    t2[:, 0, 0] = np.nan
    return ScenePair(cube_from_array(t1), cube_from_array(t2)), made.truth


def labels(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    truth = scene()[1].ravel()
    rng = np.random.default_rng(0)
    pixels = np.concatenate([rng.choice(np.flatnonzero(truth == c), count // 2, replace=False) for c in (0, 1)])
    return pixels.astype(np.int64), truth[pixels].astype(np.int64)


def window(detector: Any, rows: slice, cols: slice) -> np.ndarray:
    return detector.score(*read_window(scene()[0], rows, cols, radius=detector.radius))


@pytest.mark.parametrize("name", FITTED)
def test_an_unknown_option_is_refused(name: str) -> None:
    fit = METHODS[name].fit
    assert fit is not None
    taught = labels() if METHODS[name].needs_labels else ()
    with pytest.raises(UnknownNameError, match="did you mean 'drop_constant'"):
        fit(scene()[0], *taught, options={"drop_constants": True})
    with pytest.raises(ConfigError, match="expected bool"):
        fit(scene()[0], *taught, options={"drop_constant": "yes"})


LOST = ((4, 5), (20, 11), (0, 0), (30, 3))


def spoilt(kind: str, *, other_date: int = 0) -> ScenePair:
    """The scene with four pixels lost in one date, told in one of the ways that there are."""
    made = simulate_pair(SimulationOptions(rows=ROWS, cols=COLS, bands=12, dtype="uint16", seed=3))
    t1, t2 = made.t1.copy(), made.t2.copy()
    assert 7 not in t1 and 7 not in t2
    for i, at in enumerate(LOST):
        lost, other = (t1, t2) if i % 2 else (t2, t1)
        lost[:, *at] = {"nodata": 7, "zero": 0, "saturated": 65535, "one band": 9000 + i}[kind]
        if kind == "one band":
            lost[3, *at] = 7
        if other_date:
            other[:, *at] = other_date
    return ScenePair(*(cube_from_array(values, nodata=7) for values in (t1, t2)))


def fitted_map(name: str, pair: ScenePair) -> np.ndarray:
    """The map of a method fitted on a spoilt scene, taught by pixels far from what is lost."""
    fit = METHODS[name].fit
    assert fit is not None
    pixels, target = labels()
    far = [max(abs(p // COLS - r), abs(p % COLS - c)) > 6 for p in pixels for r, c in LOST]
    kept = np.reshape(far, (len(pixels), len(LOST))).all(axis=1)
    taught = (pixels[kept], target[kept]) if METHODS[name].needs_labels else ()
    return score_scene(fit(pair, *taught, options=QUICK.get(name), seed=1), pair)


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.quick("cva")
def test_a_pixel_is_lost_however_the_file_says_so(name: str) -> None:
    """The fit and the map are the same, to the last bit, whatever stands where there is no data."""
    expected = fitted_map(name, spoilt("nodata"))
    assert np.isnan([expected[at] for at in LOST]).all()
    for kind in ("zero", "saturated", "one band"):
        np.testing.assert_array_equal(fitted_map(name, spoilt(kind)), expected)


@pytest.mark.parametrize("name", [name for name in FITTED if name not in ("auto", "superpixel")])
@pytest.mark.quick("pca-cva", "logistic")
def test_what_the_other_date_holds_there_enters_no_statistics(name: str) -> None:
    """It reaches only those neighbours into which the undone shift mixes it.

    Of two methods these neighbours enter the fit, because it is made on the registered dates.
    """
    first, second = (fitted_map(name, spoilt("nodata", other_date=value)) for value in (3000, 40000))
    assert np.isnan([first[at] for at in LOST]).all()
    row, col = np.indices((ROWS, COLS))
    far = np.all([np.maximum(abs(row - r), abs(col - c)) > 6 for r, c in LOST], axis=0)
    np.testing.assert_array_equal(first[far], second[far])


@pytest.mark.parametrize("clip", [0.0, 2.0])
@pytest.mark.quick("2.0")
def test_the_network_sees_the_same_however_a_pixel_is_lost(clip: float) -> None:
    config = resolve([("test", {"model": {"members": 1}, "prepare": {"clip_percent": clip}})])
    detector = fit_siamese(spoilt("nodata"), config)
    patches = scene_patches(detector, spoilt("nodata"))
    valid = Measurement(spoilt("nodata")).valid(preparation(config))
    assert sorted(map(tuple, np.argwhere(~valid))) == sorted(LOST)
    for kind in ("zero", "saturated", "one band"):
        again = fit_siamese(spoilt(kind), config)
        np.testing.assert_array_equal(Measurement(spoilt(kind)).valid(preparation(config)), valid)
        assert again.frontend.shift == detector.frontend.shift
        seen = scene_patches(again, spoilt(kind))
        for name in ("t1", "t2", "valid"):
            assert torch.equal(getattr(seen, name), getattr(patches, name))
    a, b = (fit_siamese(spoilt("nodata", other_date=value), config) for value in (3000, 40000))
    assert a.frontend.shift == b.frontend.shift
    for name in ("weight", "offset", "clip", "noise"):
        np.testing.assert_array_equal(getattr(a.transform, name), getattr(b.transform, name))


@pytest.mark.parametrize("threshold", ["otsu", "kmeans", "share", "auto", "chi2"])
@pytest.mark.quick("auto")
def test_each_threshold_can_be_asked_for(threshold: str) -> None:
    fit = METHODS["irmad"].fit
    assert fit is not None
    detector = fit(scene()[0], options={"threshold": threshold})
    score = window(detector, slice(0, ROWS), slice(0, COLS))
    flagged = (score >= detector.threshold).mean()
    assert 0 < flagged < 0.9
    if threshold == "share":
        assert flagged == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("name", LEARNED)
def test_labels_of_one_class_are_refused(name: str) -> None:
    fit = METHODS[name].fit
    assert fit is not None
    pixels, _ = labels()
    with pytest.raises(LabelError, match="0 unchanged and 60 changed"):
        fit(scene()[0], pixels, np.ones(60, dtype=np.int64))
    with pytest.raises(LabelError, match="59 unchanged and 1 changed"):
        fit(scene()[0], pixels, (np.arange(60) == 0).astype(np.int64))
