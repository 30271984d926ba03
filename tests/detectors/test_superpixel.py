import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans

from hsi_cd.detectors import superpixel
from hsi_cd.detectors.slic import region_means, segment
from hsi_cd.detectors.superpixel import (
    SuperpixelDetector,
    features_of,
    fit_superpixel,
    merge_clusters,
    robust_scale,
    superpixel_from_state,
)
from hsi_cd.errors import CheckpointError, ConfigError, PairError, UnknownNameError
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array

ROWS, COLS = 48, 40
PLAIN: dict[str, Any] = {"registration": False}
# Of six spectra in five bands any change is one linear map, and the default has nothing to go by.
NEAREST: dict[str, Any] = {"threshold": "nearest"}


def dates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six fields; one of them changes as a whole, all grow brighter, and every value has noise."""
    rng = np.random.default_rng(0)
    field = (np.arange(ROWS)[:, None] // 16) * 2 + np.arange(COLS)[None] // 20
    spectra = rng.normal(0, 1, (7, 5))
    t1 = spectra[field].transpose(2, 0, 1)
    truth = field == 3
    t2 = 1.2 * spectra[np.where(truth, 6, field)].transpose(2, 0, 1) + 0.3
    noisy = (x + rng.normal(0, 0.1, x.shape) for x in (t1, t2))
    return *(x.astype(np.float32) for x in noisy), truth


def scene() -> tuple[ScenePair, np.ndarray]:
    t1, t2, truth = dates()
    return ScenePair(cube_from_array(t1), cube_from_array(t2)), truth


def scores(detector: SuperpixelDetector, pair: ScenePair) -> np.ndarray:
    rows, cols = (slice(0, length) for length in pair.shape)
    return detector.score(*read_window(pair, rows, cols, radius=detector.radius))


def test_the_changed_field_is_found_and_nothing_else() -> None:
    pair, truth = scene()
    detector = fit_superpixel(pair, options=NEAREST)
    change = scores(detector, pair) >= detector.threshold
    assert detector.threshold == 1
    assert (change != truth).mean() < 0.01


def test_a_pixel_belongs_to_the_nearest_centre() -> None:
    pair, _ = scene()
    detector = fit_superpixel(pair, options=PLAIN)
    window = read_window(pair, slice(0, ROWS), slice(0, COLS), radius=detector.radius)
    first, second = detector.frontend.apply(*window)
    score = detector.score(*window)
    for r, c in itertools.product(range(0, ROWS, 5), range(0, COLS, 5)):
        difference = first[:, r, c].astype(np.float64) - second[:, r, c]
        feature = np.sqrt(1 + np.abs(difference - detector.usual) / detector.scale) - 1
        squared = [float(np.sum((feature - centre) ** 2)) for centre in detector.centres]
        nearest = int(np.argmin(squared))
        assert (score[r, c] >= 1) == detector.changed[nearest]
        near, far = (
            min(d for d, k in zip(squared, detector.changed, strict=True) if k == g) for g in (True, False)
        )
        place = (far - near) / detector.gap**2
        np.testing.assert_allclose(score[r, c], place + np.hypot(place, 1), rtol=1e-4)


def test_with_two_clusters_the_places_of_the_centres_are_known() -> None:
    pair, _ = scene()
    detector = fit_superpixel(pair, options=PLAIN | {"clusters": 2})
    quiet, loud = detector.centres
    assert detector.gap == pytest.approx(np.linalg.norm(loud - quiet))
    assert detector.changed.tolist() == [False, True]
    score = scores(detector, pair)
    np.testing.assert_array_less(score[:12, :16], 1)
    # t = -1 and 1 at the centres: the scores there are sqrt(2) - 1 and sqrt(2) + 1.
    assert np.median(score) == pytest.approx(np.sqrt(2) - 1, abs=0.1)


def test_the_centres_are_those_of_the_regions_weighted_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, _ = scene()
    kept: dict[str, Any] = {}
    sample = superpixel._sample

    def spy(*args: Any, **options: Any) -> Any:
        kept["means"], kept["size"] = sample(*args, **options)
        return kept["means"], kept["size"]

    monkeypatch.setattr(superpixel, "_sample", spy)
    detector = fit_superpixel(pair, options=PLAIN | {"clusters": 2}, seed=5)
    means, size = kept["means"], kept["size"].astype(int)
    assert size.sum() == ROWS * COLS
    assert 15 < size.mean() < 40
    # A weight is as many copies of the region.
    features = features_of(means, detector.usual, detector.scale).T
    copies = KMeans(2, n_init=10, random_state=0).fit(np.repeat(features, size, axis=0)).cluster_centers_
    copies = copies[np.argsort(np.linalg.norm(copies, axis=1))]
    np.testing.assert_allclose(detector.centres, copies, rtol=1e-6)


def test_regions_keep_to_the_edges() -> None:
    key = np.zeros((2, 30, 30), dtype=np.float32)
    key[0, :, 13:] = 5
    key[1, 17:] = 5
    labels = segment(key, region=25)
    quarter = 2 * (np.arange(30)[:, None] >= 17) + (np.arange(30)[None] >= 13)
    for label in np.unique(labels):
        assert len(np.unique(quarter[labels == label])) == 1
    assert 15 < labels.size / len(np.unique(labels)) < 40


def test_regions_do_not_depend_on_the_brightest_pixel_of_their_block() -> None:
    rng = np.random.default_rng(1)
    key = rng.normal(0, 0.2, (3, 40, 60)).astype(np.float32)  # three keys: not to be taken for colours
    key[0, :, 30:] += 3
    brighter = key.copy()
    brighter[0, -1, -1] = 60
    alike = segment(key, region=25)[:, :25], segment(brighter, region=25)[:, :25]
    np.testing.assert_array_equal(*(np.unique(x, return_inverse=True)[1] for x in alike))


@pytest.mark.parametrize("shape", [(1, 50), (2, 3), (1, 1), (40, 1)])
def test_narrow_blocks_have_regions_too(shape: tuple[int, int]) -> None:
    key = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    assert segment(key, region=25).shape == shape
    assert segment(np.zeros_like(key), region=25).shape == shape


def test_means_of_regions() -> None:
    values = np.arange(12.0).reshape(2, 6)
    means, size = region_means(values, np.array([4, 0, 4, 2, 2, 2]))
    np.testing.assert_array_equal(size, [1, 3, 2])
    np.testing.assert_allclose(means, [[1, 4, 1], [7, 10, 7]])


def test_the_scale_is_that_of_the_unchanged_half_but_no_less_than_the_noise() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal([[0.5], [0.0]], [[2.0], [0.01]], (2, 4000))
    means[:, :1200] += 50  # change
    usual, scale = robust_scale(means, np.array([0.3, 0.3], dtype=np.float32))
    assert usual[0] == pytest.approx(0.5 + 2.0 * 0.57, abs=0.3)  # 5/7 quantile of the rest
    assert 2 < scale[0] < 5
    assert scale[1] == pytest.approx(0.3 * np.sqrt(2))


def test_features_are_the_same_for_regions_and_pixels() -> None:
    difference = np.random.default_rng(3).normal(size=(3, 4, 5))
    usual, scale = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    features = features_of(difference, usual, scale)
    np.testing.assert_array_equal(features_of(difference[:, 2, 3], usual, scale), features[:, 2, 3])
    assert features_of(usual, usual, scale).tolist() == [0, 0, 0]
    assert features_of(usual + 3 * scale, usual, scale).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("magnitude", "weight", "changed"),
    [
        ([1, 2], [1, 9], [False, True]),  # two clusters leave no choice
        ([1, 2, 9, 10], [40, 40, 10, 10], [False, False, True, True]),
        ([0.1, 5, 6, 7], [30, 30, 30, 10], [False, False, True, True]),  # at most half of a scene is change
        ([1, 2, 3, 30], [50, 30, 18, 2], [False, False, False, True]),
        ([1, 8, 9], [10, 20, 70], [False, False, True]),  # no cut leaves half: the uppermost alone
    ],
)
def test_clusters_are_merged(magnitude: list[float], weight: list[float], changed: list[bool]) -> None:
    assert merge_clusters(np.array(magnitude, float), np.array(weight, float)).tolist() == changed


def test_the_seed_decides() -> None:
    pair, _ = scene()
    one, two = (fit_superpixel(pair, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.centres, two.centres)
    assert one.decision == two.decision


def test_a_scene_of_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, truth = scene()
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 7 * COLS)
    detector = fit_superpixel(pair, options=NEAREST)
    assert ((scores(detector, pair) >= 1) != truth).mean() < 0.01
    monkeypatch.setattr(superpixel, "_SAMPLE", 30)
    few = fit_superpixel(pair, options=NEAREST)
    assert few.decision.threshold.found["regions"] <= 45
    assert ((scores(few, pair) >= 1) != truth).mean() < 0.02


def test_blocks_without_data_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 8 * COLS)
    t1, t2, _ = dates()
    alone = PLAIN | {"reach": 0}  # no pixel sees its neighbours: the rest is as if it were the whole scene
    rest = fit_superpixel(ScenePair(cube_from_array(t1[:, :40]), cube_from_array(t2[:, :40])), options=alone)
    t1[:, 40:] = np.nan
    pair = ScenePair(cube_from_array(t1), cube_from_array(t2))
    detector = fit_superpixel(pair, options=alone)
    np.testing.assert_allclose(detector.centres, rest.centres, rtol=1e-6)
    score = scores(detector, pair)
    assert np.isnan(score[40:]).all()
    assert np.isfinite(score[:40]).all()


def test_single_gaps_do_not_reach_the_regions() -> None:
    t1, t2, _ = dates()
    t1[:, ::7, ::5] = np.nan
    gap = np.isnan(t1[0])
    pair = ScenePair(cube_from_array(t1), cube_from_array(t2))
    detector = fit_superpixel(pair, options=PLAIN)
    assert np.isfinite(detector.centres).all()
    np.testing.assert_array_equal(np.isnan(scores(detector, pair)), gap)


@pytest.mark.parametrize("threshold", ["auto", "otsu", "kmeans", "share"])
def test_other_thresholds_can_be_asked_for(threshold: str) -> None:
    pair, truth = scene()
    detector = fit_superpixel(pair, options=PLAIN | {"threshold": threshold})
    assert detector.decision.threshold.method == threshold
    change = scores(detector, pair) >= detector.threshold
    assert 0.05 < change.mean() < 0.3
    assert change[truth].mean() > 0.5


def test_a_score_that_is_not_chi_square_has_no_such_quantile() -> None:
    with pytest.raises(ConfigError, match="known distribution"):
        fit_superpixel(scene()[0], options=PLAIN | {"threshold": "chi2"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, "option clusters of superpixel is 1: expected 2 or more"),
        ({"region": 3}, "option region of superpixel is 3: expected 4 or more"),
        ({"components": 0}, "option components of superpixel is 0: expected 1 or more"),
        ({"reach": -1}, "option reach of superpixel is -1: expected 0 to 64"),
        ({"range": 0.0}, "option range of superpixel is 0.0: expected more than 0"),
        ({"range": float("nan")}, "option range of superpixel is nan: expected more than 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_superpixel(scene()[0], options=options)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'clusters'"):
        fit_superpixel(scene()[0], options={"cluster": 3})


def test_the_same_date_twice_is_refused() -> None:
    t1, _, _ = dates()
    with pytest.raises(PairError, match="hold the same values everywhere"):
        fit_superpixel(ScenePair(cube_from_array(t1), cube_from_array(t1)), options=PLAIN)


def test_a_state_whose_parts_do_not_fit_is_refused() -> None:
    pair, _ = scene()
    state = fit_superpixel(pair, options=PLAIN).state()
    for broken in (
        {"centres": state["centres"][:, :-1]},
        {"scale": state["scale"][1:]},
        {"changed": state["changed"] | True},
        {"changed": state["changed"].double()},
        {"gap": 0.0},
        {"gap": float("nan")},
    ):
        with pytest.raises(CheckpointError, match="cannot be rebuilt"):
            superpixel_from_state(state | broken)


@pytest.mark.slow
def test_the_library_is_loaded_only_to_fit() -> None:
    code = "import sys, hsi_cd.detectors.registry; sys.exit('skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
