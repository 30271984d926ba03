"""The coordinate floor: by a loop, and as measured on the benchmarks' truth maps."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation import (
    UndefinedScoreWarning,
    coordinate_floor,
    count_confusion,
    majority_counts,
    measure_baselines,
)
from hsi_cd.scene import LabelScheme

TRUTH = Path(__file__).parents[2].parent / "shared" / "truth"


def p1_split(labels, fraction, seed):
    random = np.random.RandomState(seed)
    drawn = []
    for value in (0, 1):
        of_class = np.flatnonzero(labels == value)
        drawn.append(random.choice(of_class, int(fraction * of_class.size), replace=False))
    train = np.concatenate(drawn)
    test = labels != 255
    test.flat[train] = False
    return train, test


@pytest.mark.skipif(not TRUTH.is_dir(), reason="no ../shared/truth beside the project")
@pytest.mark.parametrize(
    ("file", "key", "changed", "unchanged", "fraction", "oa", "kappa"),
    [
        ("GTChina1.mat", "label", 2, 1, 0.01, 0.884, 0.719),
        ("GTChina1.mat", "label", 2, 1, 0.05, 0.925, 0.818),
        ("SaGT.mat", "GT", 1, 2, 0.01, 0.867, 0.617),
        ("Rivergt.mat", "gt", 2, 1, 0.01, 0.912, 0.443),
    ],
    ids=["farmland", "farmland at 5 %", "hermiston", "river"],
)
def test_the_floor_is_the_measured_one(file, key, changed, unchanged, fraction, oa, kappa):
    labels = LabelScheme(unchanged=(unchanged,), changed=(changed,)).encode(loadmat(TRUTH / file)[key])
    floors = [
        measure_baselines(train, labels, test) for train, test in (p1_split(labels, fraction, s) for s in range(3))
    ]
    assert np.mean([floor.floor_oa for floor in floors]) == pytest.approx(oa, abs=0.01)
    assert np.mean([floor.floor_kappa for floor in floors]) == pytest.approx(kappa, abs=0.01)
    assert floors[0].majority_oa == pytest.approx((labels == 0).mean(), abs=1e-4)


def test_the_floor_is_that_of_a_loop():
    random = np.random.default_rng(3)
    labels = random.choice([0, 1, 255], size=(9, 14), p=[0.5, 0.3, 0.2]).astype(np.uint8)
    train = random.choice(np.flatnonzero(labels != 255), 6, replace=False)
    test = random.random(labels.shape) < 0.7
    test.flat[train] = False
    places = np.argwhere(np.ones_like(labels))
    predicted = labels.copy()
    for place, (row, col) in enumerate(places):
        distance = ((places[train] - (row, col)) ** 2).sum(axis=1)
        nearest = labels.flat[train[distance == distance.min()]]
        if len(set(nearest.tolist())) > 1:
            test[row, col] = False  # a tie between classes: either is right
        predicted.flat[place] = nearest[0]
    assert coordinate_floor(train, labels, test) == count_confusion(labels, predicted, where=test)


def test_majority_class():
    labels = np.array([[0, 1, 1, 255, 0]], dtype=np.uint8)
    everywhere = np.ones(labels.shape, dtype=bool)
    assert majority_counts(labels, everywhere).tn == 2, "a tie goes to unchanged"
    held_out = np.array([[False, True, True, True, True]])
    counts = majority_counts(labels, held_out)
    assert (counts.tn, counts.fp, counts.fn, counts.tp) == (0, 1, 0, 2)


def test_no_labelled_test_pixel_is_undefined():
    labels = np.array([[0, 1, 255]], dtype=np.uint8)
    with pytest.warns(UndefinedScoreWarning):
        baselines = measure_baselines(np.array([0, 1]), labels, labels == 255)
    assert np.isnan([baselines.floor_oa, baselines.floor_kappa, baselines.majority_oa]).all()


def test_wrong_training_pixels_are_refused():
    labels = np.array([[0, 1, 255]], dtype=np.uint8)
    test = np.ones(labels.shape, dtype=bool)
    with pytest.raises(LabelError, match="no training pixel"):
        coordinate_floor(np.array([], dtype=int), labels, test)
    with pytest.raises(LabelError, match="from 0 to 3 in a map of 3"):
        coordinate_floor(np.array([0, 3]), labels, test)
    with pytest.raises(LabelError, match="1 of 3 training pixels have no label"):
        coordinate_floor(np.array([0, 1, 2]), labels, test)
    with pytest.raises(GridError, match="test mask"):
        coordinate_floor(np.array([0]), labels, test.T)


def test_without_training_there_is_no_floor():
    labels = np.array([[0, 0, 1, 255]], dtype=np.uint8)
    baselines = measure_baselines(np.empty(0, np.int64), labels, labels != 255)
    assert np.isnan([baselines.floor_oa, baselines.floor_kappa]).all()
    assert baselines.majority_oa == pytest.approx(2 / 3)
