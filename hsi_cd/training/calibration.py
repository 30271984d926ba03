"""From held-out logits to probabilities that mean something, and to the threshold of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.network_calibration import Calibration

_PRIOR = 8.0  # pixels' worth of belief that the logits are right as they are: few labels must not overturn them


def uncalibrated(threshold: str | float = "validation") -> Calibration:
    """Logits taken at their word; the threshold is the one that is set, else a probability of one half."""
    return Calibration() if isinstance(threshold, str) else Calibration(threshold=threshold)


def calibrate(
    logits: NDArray[np.float64], target: NDArray[np.float64], *, threshold: str | float = "validation"
) -> Calibration:
    """Fit Platt's sigmoid to held-out logits, then choose the threshold.

    The slope and offset maximise the likelihood of the held-out labels (Platt 1999), drawn towards 1 and 0 so
    that ten labels give a sane result. The threshold is the one whose Kappa, expected from the probabilities
    themselves, is greatest: counted on the few labels it would jump from pixel to pixel.

    Args:
        logits: of pixels that the network was not trained on, ``(N,)``.
        target: 1 changed, 0 unchanged, ``(N,)``.
        threshold: ``validation`` chooses it so; a probability is kept; ``learned`` leaves the logits as they are,
            so that the head's own bias, learned with all else, decides: changed from logit 0 on.

    Returns:
        The calibration.
    """
    if threshold == "learned":
        return uncalibrated()

    # A slope below 0.05 would turn the order of the scores into chance.
    slope, offset = likeliest([logits], target, usual=[1.0], bounds=[(0.05, 20.0)])
    probability = scipy.special.expit(slope * logits + offset)
    return Calibration(slope, offset, _chosen(threshold, probability))


def likeliest(
    columns: Sequence[NDArray[np.float64]],
    target: NDArray[np.float64],
    *,
    usual: Sequence[float],
    bounds: Sequence[tuple[float, float]],
) -> list[float]:
    """The weights of several log-odds, and an offset, by which labels are likeliest.

    Args:
        columns: log-odds of the labelled pixels, each ``(N,)``.
        target: 1 changed, 0 unchanged, ``(N,)``.
        usual: weights that few labels hardly move, as if eight pixels said so; the offset's is 0.
        bounds: of each weight.

    Returns:
        The weights, then the offset.
    """
    start = np.array([*usual, 0.0])

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        *weights, offset = parameters
        z = sum(weight * column for weight, column in zip(weights, columns, strict=True)) + offset
        off, pulled = scipy.special.expit(z) - target, parameters - start
        value = float(np.sum(np.logaddexp(0, z) - target * z) + _PRIOR / 2 * sum(each**2 for each in pulled))
        return value, np.array([*(off @ column for column in columns), off.sum()]) + _PRIOR * pulled

    found = scipy.optimize.minimize(loss, start, jac=True, bounds=[*bounds, (-20, 20)])
    return [float(value) for value in found.x]


def threshold_for(
    z: NDArray[np.float64], target: NDArray[np.float64], *, share: float | None, threshold: str | float
) -> tuple[float, float]:
    """What to add to calibrated log-odds for a scene of a known share of change, and the threshold.

    Args:
        z: log-odds of the labelled pixels, ``(N,)``.
        target: 1 changed, 0 unchanged, ``(N,)``.
        share: as for :func:`with_share`; None where the labels tell it.
        threshold: as for :func:`calibrate`.
    """
    if share is None:
        return 0.0, _chosen(threshold, scipy.special.expit(z))
    moved = with_share(uncalibrated(threshold), z, target, share=share, threshold=threshold)
    return moved.offset, moved.threshold


def _chosen(
    threshold: str | float, probability: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> float:
    return best_expected_threshold(probability, weight) if isinstance(threshold, str) else threshold


def with_share(
    calibration: Calibration,
    logits: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    share: float,
    threshold: str | float = "validation",
) -> Calibration:
    """A calibration for a scene in which change is as common as ``share``, not as among the labels.

    By Bayes' rule the log-odds move by the difference of the classes' log-odds (Saerens et al. 2002,
    doi 10.1162/089976602753284446); the threshold is the best one for pixels of that share.

    Args:
        calibration: fitted to labels as they were drawn.
        logits: of the labelled pixels, held out, ``(N,)``.
        target: 1 changed, 0 unchanged, ``(N,)``, both present.
        share: of changed pixels in the scene, between 0 and 1.
        threshold: as for :func:`calibrate`.
    """
    if threshold == "learned":
        return calibration
    drawn = target.mean()
    offset = calibration.offset + float(scipy.special.logit(share) - scipy.special.logit(drawn))
    weight = np.where(target == 1, share / drawn, (1 - share) / (1 - drawn))
    probability = scipy.special.expit(calibration.slope * logits + offset)
    return replace(calibration, offset=offset, threshold=_chosen(threshold, probability, weight))


def best_expected_threshold(probability: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """The threshold at which Kappa, expected under the probabilities, is greatest.

    If the probabilities are right, the pixels at or above a threshold hold ``sum p`` changed ones; the whole
    confusion matrix follows, and with it Kappa, without a label.

    Args:
        probability: calibrated change probabilities, ``(N,)``.
        weight: how many pixels each stands for, ``(N,)``; one by default.

    Returns:
        A threshold half-way between two of the probabilities; 0.5 where there are not two.
    """
    if len(probability) < 2:
        return 0.5
    order = np.argsort(probability)[::-1]
    p, w = probability[order], np.ones(len(order)) if weight is None else weight[order]
    n, changed = w.sum(), (w * p).sum()
    flagged, true_positive = np.cumsum(w)[:-1], np.cumsum(w * p)[:-1]
    agree = (true_positive + (n - flagged) - (changed - true_positive)) / n
    chance = (flagged * changed + (n - flagged) * (n - changed)) / n**2
    best = int(np.argmax((agree - chance) / np.maximum(1 - chance, 1e-12)))
    return float((p[best] + p[best + 1]) / 2)
