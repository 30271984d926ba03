"""What counts beside the network's word on a pixel, weighed by the labels that its members held out."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import Tensor

from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.training.beside_labels import Beside
from hsi_cd.training.calibration import best_expected_threshold
from hsi_cd.training.held_out_weights import held_out_log_odds, weigh_beside
from hsi_cd.training.patches import PatchSource
from hsi_cd.training.training_set import TrainingSet

ROWS, COLS = 150, 24  # more rows than are scored at once


class Said:
    """An ensemble each of whose members says one of the components."""

    def __init__(self, members: int) -> None:
        self.members = [None] * members

    def each(self, t1: Tensor, t2: Tensor, valid: Tensor) -> Tensor:
        return t1


def saying(logits: np.ndarray, valid: np.ndarray | None = None) -> tuple[Any, PatchSource]:
    """The ensemble that says these logits ``(members, rows, cols)``, and its source."""
    known = np.ones((1, ROWS, COLS), dtype=bool) if valid is None else valid[None]
    maps = torch.from_numpy(logits.astype(np.float32))
    return Said(len(logits)), PatchSource.of(maps, maps, torch.from_numpy(known), radius=0)


def drawn(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return np.sort(random.choice(ROWS * COLS, number, replace=False)), random.integers(0, 3, number)


def test_each_label_is_told_by_the_members_that_held_it_out() -> None:
    """Four members, three folds: two of them hold out the first."""
    random = np.random.default_rng(0)
    logits, valid = random.normal(0, 2, (4, ROWS, COLS)), random.random((ROWS, COLS)) < 0.9
    pixels, folds = drawn(1, 400)
    plain = Calibration(slope=1.3, offset=-0.4)
    own, around = held_out_log_odds(*saying(logits, valid), pixels, folds, plain, reach=3)
    for at, fold, said, mean in zip(pixels, folds, own, around, strict=True):
        row, col = divmod(int(at), COLS)
        z = 1.3 * (logits[[0, 3]].mean(axis=0) if fold == 0 else logits[fold]) - 0.4
        padded, known = (np.pad(each, 3, mode="symmetric") for each in (z, valid))
        square = slice(row, row + 7), slice(col, col + 7)
        expected = expit(padded[square])[known[square]].mean()
        assert said == pytest.approx(z[row, col], abs=1e-5)
        assert mean == pytest.approx(logit(expected), abs=1e-4)


def test_a_fold_that_no_member_holds_out_says_nothing() -> None:
    pixels, folds = drawn(1, 90)
    own, around = held_out_log_odds(*saying(np.zeros((2, ROWS, COLS))), pixels, folds, Calibration(), reach=1)
    np.testing.assert_array_equal(np.isnan(own), folds == 2)
    np.testing.assert_array_equal(np.isnan(around), folds == 2)


def tried(
    logits: np.ndarray, truth: np.ndarray, known: np.ndarray | None = None, *, reach: int = 2, **how: Any
) -> Calibration | None:
    pixels, folds = drawn(2, 900)
    prior: Any = None if known is None else "somebody"
    odds = np.zeros(900) if known is None else known.ravel()[pixels]
    taught = TrainingSet(pixels, truth.ravel()[pixels].astype(np.int64), share=how.pop("share", None))
    beside = Beside(reach, prior, odds)
    return weigh_beside(*saying(logits), taught, beside, folds, Calibration(threshold=0.3), **how)


def weighed(*told: np.ndarray, **how: Any) -> Calibration:
    found = tried(*told, **how)
    assert found is not None
    return found


def patches() -> np.ndarray:
    """Change in squares of 12 pixels."""
    row, col = np.indices((ROWS, COLS))
    return (row // 12 % 3 == 0) & (col // 12 == 0)


def test_where_pixels_are_noisy_and_change_comes_in_patches_the_surroundings_weigh_more() -> None:
    truth, random = patches(), np.random.default_rng(3)
    said = np.where(truth, 1.0, -2.0) + random.normal(0, 2, (3, ROWS, COLS))
    found = weighed(said, truth)
    assert found.surroundings is not None and found.surroundings.around > 2 * found.surroundings.own
    assert found.reach == 2 and found.prior == 0.0
    scattered = random.random((ROWS, COLS)) < 0.2
    assert tried(np.where(scattered, 2.0, -2.0) + random.normal(0, 1, (3, ROWS, COLS)), scattered) is None


def test_a_label_free_detector_weighs_what_it_is_worth() -> None:
    truth, random = patches(), np.random.default_rng(4)
    said = np.where(truth, 0.5, -0.5) + random.normal(0, 2, (3, ROWS, COLS))
    right, wrong = np.where(truth, 2.0, -2.0), np.where(truth, -2.0, 2.0)
    assert weighed(said, truth, right).prior > 0.5
    assert weighed(said, truth, wrong).prior == 0.0
    assert tried(said, truth, wrong, reach=0) is None
    alone = weighed(said, truth, right, reach=0)
    assert alone.reach == 0 and alone.surroundings is not None and alone.surroundings.around == 0.0


def test_the_threshold_is_that_of_all_together_or_the_one_that_is_set() -> None:
    truth, random = patches(), np.random.default_rng(5)
    said = np.where(truth, 1.0, -2.0) + random.normal(0, 2, (3, ROWS, COLS))
    found, fixed = weighed(said, truth), weighed(said, truth, threshold=0.7)
    assert fixed.threshold == 0.7 and fixed.surroundings == found.surroundings is not None
    pixels, folds = drawn(2, 900)
    own, around = held_out_log_odds(*saying(said), pixels, folds, Calibration(), reach=2)
    each = found.surroundings
    expected = best_expected_threshold(expit(each.own * own + each.around * around + each.offset))
    assert found.threshold == pytest.approx(expected)
    # Change that is rarer in the scene than among the labels moves the log-odds by Bayes' rule.
    rarer, share = weighed(said, truth, share=0.02), truth.ravel()[pixels].mean()
    assert rarer.surroundings is not None
    assert rarer.surroundings.offset - each.offset == pytest.approx(logit(0.02) - logit(share))
