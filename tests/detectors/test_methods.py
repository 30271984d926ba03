"""What holds for every method but the network, which has tests of its own."""

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.registry import METHODS
from hsi_cd.detectors.siamese import fit_siamese
from hsi_cd.errors import CheckpointError, ConfigError, LabelError, UnknownNameError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.patches import scene_patches

ROWS, COLS = 37, 29
FITTED = [name for name, method in METHODS.items() if method.fit is not None]
LABEL_FREE = [name for name in FITTED if not METHODS[name].needs_labels]
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


@cache
def fitted(name: str) -> Any:
    fit = METHODS[name].fit
    assert fit is not None
    taught = labels() if METHODS[name].needs_labels else ()
    return fit(scene()[0], *taught, options=QUICK.get(name), seed=1)


def window(detector: Any, rows: slice, cols: slice) -> np.ndarray:
    return detector.score(*read_window(scene()[0], rows, cols, radius=detector.radius))


@cache
def whole(name: str) -> np.ndarray:
    return window(fitted(name), slice(0, ROWS), slice(0, COLS))


@pytest.mark.parametrize("name", FITTED)
class TestEveryMethod:
    def test_the_map_does_not_depend_on_the_tiling(self, name: str) -> None:
        detector, expected = fitted(name), whole(name)
        for height, width in ((10, 13), (7, 29), (37, 4)):
            tiled = np.empty_like(expected)
            for r in range(0, ROWS, height):
                for c in range(0, COLS, width):
                    rows, cols = slice(r, min(r + height, ROWS)), slice(c, min(c + width, COLS))
                    tiled[rows, cols] = window(detector, rows, cols)
            np.testing.assert_allclose(tiled, expected, rtol=1e-5, atol=1e-5)
        for r, c in ((0, 0), (0, 28), (17, 3), (36, 14), (5, 6), (21, 12)):
            one = window(detector, slice(r, r + 1), slice(c, c + 1))
            np.testing.assert_allclose(one[0, 0], expected[r, c], rtol=1e-5, atol=1e-5)

    def test_pixels_without_data_have_no_score(self, name: str) -> None:
        score = whole(name)
        assert score.dtype == np.float32
        for pixel in ((4, 5), (20, 11), (21, 11), (0, 0)):
            assert np.isnan(score[pixel])
        if fitted(name).radius == 0:
            assert np.isnan(score).sum() == 4
        # Undoing the shift needs up to four neighbours; nothing else spreads a gap.
        assert np.isnan(score).sum() <= 4 * 16
        assert np.isfinite(score[10, 20])

    def test_the_state_is_all_that_is_needed(self, name: str) -> None:
        detector = fitted(name)
        file = io.BytesIO()
        torch.save(detector.state(), file)
        file.seek(0)
        again = METHODS[name].from_state(torch.load(file, weights_only=True), device=torch.device("cpu"))
        assert (again.radius, again.threshold, again.unit) == (detector.radius, detector.threshold, detector.unit)
        assert again.bands == detector.bands
        assert again.parameters() == detector.parameters() > 0
        np.testing.assert_array_equal(window(again, slice(0, ROWS), slice(0, COLS)), whole(name))

    def test_a_damaged_state_is_refused(self, name: str) -> None:
        state = fitted(name).state()
        for key in state:
            if key not in ("found", "method"):
                with pytest.raises(CheckpointError, match="cannot be rebuilt"):
                    METHODS[name].from_state({k: v for k, v in state.items() if k != key})

    def test_probabilities_rise_with_the_score(self, name: str) -> None:
        detector = fitted(name)
        score = np.sort(whole(name)[np.isfinite(whole(name))])
        probability = detector.probability(score)
        assert probability.dtype == np.float32
        assert (np.diff(probability) >= 0).all()
        assert probability.min() >= 0
        assert probability.max() <= 1
        assert np.isnan(detector.probability(np.array([np.nan], dtype=np.float32))).all()

    def test_change_scores_higher(self, name: str) -> None:
        score, truth = whole(name), scene()[1]
        known = np.isfinite(score)
        assert score[known & (truth == 1)].mean() > score[known & (truth == 0)].mean()

    def test_an_unknown_option_is_refused(self, name: str) -> None:
        fit = METHODS[name].fit
        assert fit is not None
        taught = labels() if METHODS[name].needs_labels else ()
        with pytest.raises(UnknownNameError, match="did you mean 'drop_constant'"):
            fit(scene()[0], *taught, options={"drop_constants": True})
        with pytest.raises(ConfigError, match="expected bool"):
            fit(scene()[0], *taught, options={"drop_constant": "yes"})

    def test_it_is_described(self, name: str) -> None:
        method = METHODS[name]
        assert method.name == name
        assert "doi:10." in method.reference
        assert "drop_constant" in method.options
        assert len(method.summary) <= 110


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
def test_a_pixel_is_lost_however_the_file_says_so(name: str) -> None:
    """The fit and the map are the same, to the last bit, whatever stands where there is no data."""
    expected = fitted_map(name, spoilt("nodata"))
    assert np.isnan([expected[at] for at in LOST]).all()
    for kind in ("zero", "saturated", "one band"):
        np.testing.assert_array_equal(fitted_map(name, spoilt(kind)), expected)


@pytest.mark.parametrize("name", [name for name in FITTED if name not in ("auto", "superpixel")])
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
def test_the_network_sees_the_same_however_a_pixel_is_lost(clip: float) -> None:
    config = resolve([("test", {"model": {"members": 1}, "prepare": {"clip_percent": clip}})])
    detector, valid = fit_siamese(spoilt("nodata"), config)
    patches = scene_patches(detector, spoilt("nodata"))
    assert sorted(map(tuple, np.argwhere(~valid))) == sorted(LOST)
    for kind in ("zero", "saturated", "one band"):
        again, still = fit_siamese(spoilt(kind), config)
        np.testing.assert_array_equal(still, valid)
        assert again.shift == detector.shift
        seen = scene_patches(again, spoilt(kind))
        for name in ("t1", "t2", "valid"):
            assert torch.equal(getattr(seen, name), getattr(patches, name))
    a, b = (fit_siamese(spoilt("nodata", other_date=value), config)[0] for value in (3000, 40000))
    assert a.shift == b.shift
    for name in ("weight", "offset", "clip", "noise"):
        np.testing.assert_array_equal(getattr(a.transform, name), getattr(b.transform, name))


@pytest.mark.parametrize("name", LABEL_FREE)
def test_half_of_the_probability_lies_at_the_threshold(name: str) -> None:
    detector = fitted(name)
    at = np.array([detector.threshold], dtype=np.float32)
    assert detector.unit == "score"
    np.testing.assert_allclose(detector.probability(at), 0.5, atol=1e-4)


@pytest.mark.parametrize("threshold", ["otsu", "kmeans", "share", "auto", "chi2"])
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


def test_the_network_is_fitted_elsewhere() -> None:
    assert METHODS["siamese"].fit is None
    assert METHODS["siamese"].needs_labels


@pytest.mark.parametrize("name", ["auto", "irmad", "isfa", "celik"])
def test_a_scene_too_large_to_keep_gives_the_same_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 5 * COLS)
    fit = METHODS[name].fit
    assert fit is not None
    kept = fit(scene()[0], seed=1)
    monkeypatch.setattr("hsi_cd.detectors.frontend._CACHE_BYTES", 0)
    monkeypatch.setattr("hsi_cd.detectors.reweighting._IN_MEMORY", 0)
    read_again = fit(scene()[0], seed=1)
    assert read_again.threshold == kept.threshold
    everything = slice(0, ROWS), slice(0, COLS)
    np.testing.assert_array_equal(window(read_again, *everything), window(kept, *everything))


@pytest.mark.parametrize("name", FITTED)
def test_scoring_in_several_threads_gives_the_same_map(name: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        score = score_scene(fitted(name), scene()[0], rows=4)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(score, whole(name), rtol=1e-5, atol=1e-5)
