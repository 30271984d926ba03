"""Validation believes each member only about the pixels that did not teach it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hsi_cd.training.beside_labels import Beside
from hsi_cd.training.calibration import calibrate, uncalibrated, with_share
from hsi_cd.training.pseudo_labels import PseudoLabels
from hsi_cd.training.training_set import TrainingSet
from hsi_cd.training.validation import validate


class Opinion(nn.Module):
    """A member that has learned the pixels outside its own fold by heart, and says the opposite of its own."""

    def __init__(self, taught: np.ndarray, target: np.ndarray, *, inside: float) -> None:
        super().__init__()
        right = np.where(target == 1, 4.0, -4.0)
        self.logits = torch.from_numpy(np.where(taught, right, inside * right))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.logits[pixels][:, None, None, None]


class Opinions(nn.Module):
    def __init__(self, members: list[Opinion]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)


@dataclass
class Numbers:
    """A source whose patches are the numbers of the pixels."""

    valid: Tensor

    def cut(self, pixels: Tensor) -> tuple[Tensor]:
        return (pixels,)


def judged(
    *,
    members: int,
    folds: int,
    inside: float,
    share: float | None = None,
    odds: np.ndarray | None = None,
    beside: Beside | None = None,
    **options: Any,
) -> Any:
    target = np.arange(60) % 3 == 0
    fold = np.arange(60) // 7 % folds
    network = Opinions([Opinion(fold != m % folds, target, inside=inside) for m in range(members)])
    taught = TrainingSet(np.arange(60), target.astype(np.int64), share=share, odds=odds, beside=beside)
    source: Any = Numbers(torch.ones(1))
    return validate(network, source, taught, fold, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("members", "folds"), [(2, 2), (3, 3), (5, 2), (3, 5)])
def test_what_a_member_was_taught_does_not_speak_for_it(members: int, folds: int) -> None:
    """All know their lessons, and are as wrong as can be about the fold they held out."""
    assert judged(members=members, folds=folds, inside=-1.0).kappa < 0
    assert judged(members=members, folds=folds, inside=1.0).kappa == 1


def test_held_out_pixels_of_several_members_are_the_mean_of_what_they_say() -> None:
    """Members 0 and 2 hold out one fold, 1 the other; calibrated on the mean, not on the sum."""
    one, several = (judged(members=m, folds=2, inside=1.0) for m in (2, 4))
    assert several.calibration == one.calibration and several.loss == one.loss


def test_without_folds_nothing_is_said() -> None:
    source: Any = Numbers(torch.ones(1))
    taught = TrainingSet(np.arange(4), np.array([0, 1, 0, 1]))
    found = validate(Opinions([]), source, taught, None, threshold=0.3)  # type: ignore[arg-type]
    assert np.isnan([found.kappa, found.loss, found.uncertainty]).all()
    assert found.calibration.threshold == 0.3 and found.calibration.slope == 1


def test_the_loss_is_the_cross_entropy_of_the_calibrated_logits() -> None:
    found = judged(members=2, folds=2, inside=0.5)
    target = np.arange(60) % 3 == 0
    z = found.calibration.slope * np.where(target, 2.0, -2.0) + found.calibration.offset
    p = 1 / (1 + np.exp(-z))
    assert found.loss == pytest.approx(-np.log(np.where(target, p, 1 - p)).mean())
    assert found.uncertainty >= 0


def test_a_share_moves_the_probabilities_and_not_what_judges() -> None:
    drawn, rarer = judged(members=2, folds=2, inside=0.3), judged(members=2, folds=2, inside=0.3, share=0.05)
    assert (rarer.loss, rarer.kappa, rarer.uncertainty) == (drawn.loss, drawn.kappa, drawn.uncertainty)
    moved = np.log(0.05 / 0.95) - np.log(20 / 40)
    assert rarer.calibration.offset - drawn.calibration.offset == pytest.approx(moved)


@pytest.mark.parametrize("share", [None, 0.05])
def test_what_a_score_says_is_calibrated_together_with_the_logits(share: float | None) -> None:
    """A quarter of its log-odds counts, and the slope is of both. Where the head alone decides, none does."""
    odds = np.linspace(-6, 6, 60).astype(np.float32)[np.random.default_rng(0).permutation(60)]
    target = (np.arange(60) % 3 == 0).astype(np.float64)
    found = judged(members=2, folds=2, inside=0.5, share=share, odds=odds).calibration
    both = np.where(target == 1, 2.0, -2.0) + 0.25 * odds
    wanted = calibrate(both, target)
    if share is not None:
        wanted = with_share(wanted, both, target, share=share)
    assert (found.slope, found.offset) == (wanted.slope, wanted.offset) and wanted.slope != 1
    assert found.prior == pytest.approx(min(0.25 * wanted.slope, 1)) and found.threshold == wanted.threshold
    head = judged(members=2, folds=2, inside=0.5, odds=odds, threshold="learned").calibration
    assert (head.slope, head.offset, head.prior) == (1, 0, 0)


@pytest.mark.parametrize("share", [None, 0.05])
def test_what_is_weighed_at_the_end_does_not_count_before(share: float | None) -> None:
    beside = Beside(2, None, np.zeros(60))
    assert judged(members=2, folds=2, inside=0.5, share=share, beside=beside).calibration.prior == 0


def test_beside_pseudo_labels_logits_are_taken_at_their_word() -> None:
    """They are calibrated at the end; a few shapes cannot tell epochs apart, so that the last one stays."""
    target = np.arange(60) % 3 == 0
    fold = np.arange(60) // 7 % 2
    network = Opinions([Opinion(fold != m, target, inside=0.5) for m in range(2)])
    none: Any = None
    pseudo = PseudoLabels(np.arange(4), np.zeros(4, dtype=np.float32), np.arange(60), 0.5, 0.2, none, none, none)
    taught = TrainingSet(np.arange(60), target.astype(np.int64), pseudo, share=0.1)
    source: Any = Numbers(torch.ones(1))
    found = validate(network, source, taught, fold)  # type: ignore[arg-type]
    assert found.uncertainty == np.inf and found.calibration == uncalibrated()
    assert validate(network, source, taught, None).calibration == uncalibrated()  # type: ignore[arg-type]
