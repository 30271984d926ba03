"""What the members say of the labels that they held out: it calibrates, and judges an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.evaluation import NO_DATA, count_confusion, kappa, kappa_standard_error
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.runtime.team import ALONE, Team
from hsi_cd.training.calibration import calibrate, uncalibrated, with_share
from hsi_cd.training.folds import OutOfFold
from hsi_cd.training.many_patches import Patches
from hsi_cd.training.patches import PatchSource
from hsi_cd.training.pseudo_labels import PseudoLabels
from hsi_cd.training.training_set import TrainingSet


@dataclass(frozen=True)
class Validation:
    """How an epoch did on the labels inside the budget.

    Attributes:
        calibration: fitted to them.
        loss: their mean binary cross-entropy, calibrated, whatever the training's own loss; NaN without folds.
        kappa: theirs; NaN without folds.
        uncertainty: standard error of the Kappa; infinite where shapes cannot tell epochs apart.
    """

    calibration: Calibration = Calibration()  # noqa: RUF009 - frozen
    loss: float = math.nan
    kappa: float = math.nan
    uncertainty: float = math.nan


def validate(
    network: Ensemble,
    source: Patches,
    taught: TrainingSet,
    folds: NDArray[np.int64] | None,
    *,
    threshold: str | float = "validation",
    team: Team = ALONE,
) -> Validation:
    """Calibrate on the pixels that each member held out, and score them.

    Args:
        network: the ensemble; it is left in evaluation mode.
        source: the scene's components, on the network's device.
        taught: the labelled pixels, and the share of the scene that changed where they do not tell it.
        folds: the fold that each of them is held out in, ``(N,)``; None holds nothing out, and nothing is said.
        threshold: see :func:`~hsi_cd.training.calibration.calibrate`.
        team: the processes that do this together, each its own part of the held-out pixels.
    """
    # Where the head's own bias decides, nothing else does.
    stays = 0.0 if threshold == "learned" else Calibration.prior
    if folds is None:
        return Validation(replace(uncalibrated(threshold), prior=stays))
    held_out = held_out_logits(network, source, taught.pixels, folds, team=team)
    seen = ~np.isnan(held_out)
    logits, truth = held_out[seen], taught.target[seen].astype(np.float64)
    if taught.odds is not None:
        logits = logits + stays * taught.odds[seen]
    pseudo = isinstance(taught.certain, PseudoLabels)  # it is calibrated at the end, see drawn_calibration
    calibration = uncalibrated(threshold) if pseudo else calibrate(logits, truth, threshold=threshold)
    if taught.beside is not None:
        calibration = replace(calibration, prior=0.0)  # it is weighed at the end, see beside_labels
    z = calibration.slope * logits + calibration.offset
    change = (1 / (1 + np.exp(-z)) >= calibration.threshold).astype(np.uint8)
    counts = count_confusion(truth.astype(np.uint8)[None], change[None])
    loss = float(np.mean(np.logaddexp(0, z) - truth * z))
    if pseudo:  # a few shapes, whose pixels are nearly copies, cannot tell epochs apart: the last one stays
        return Validation(calibration, loss, kappa(counts), math.inf)
    if taught.share is not None:  # the labels judge as they were drawn; the scene is mapped as it is
        calibration = with_share(calibration, logits, truth, share=taught.share, threshold=threshold)
    if taught.odds is not None:  # the slope was fitted to the sum of both
        calibration = replace(calibration, prior=min(calibration.slope * stays, 1.0))
    return Validation(calibration, loss, kappa(counts), kappa_standard_error(counts))


def held_out_logits(
    network: Ensemble,
    source: Patches,
    pixels: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    team: Team = ALONE,
) -> NDArray[np.float64]:
    """Mean logit of each labelled pixel over the members that held it out.

    Args:
        network: the ensemble; it is left in evaluation mode.
        source: the scene's components, on the network's device.
        pixels: flat indices, int64 ``(N,)``.
        folds: the fold that each of them is held out in, ``(N,)``.
        team: the processes that do this together, each its own part of the held-out pixels.

    Returns:
        float64 ``(N,)``; NaN for a pixel that no member held out.
    """
    network.eval()
    total, votes = np.zeros(len(folds)), np.zeros(len(folds), dtype=np.int64)
    with torch.inference_mode():
        for member, module in enumerate(network.members):
            held = np.flatnonzero(folds == member % (folds.max() + 1))
            held = held[team.part(len(held))]
            for chunk in np.array_split(held, -(-len(held) // 4096)) if held.size else []:
                logits = module(*source.cut(torch.from_numpy(pixels[chunk]).to(source.valid.device)))
                total[chunk] += logits[:, 0, 0, 0].cpu().numpy()
                votes[chunk] += 1
    total, votes = team.sum(total), team.sum(votes)
    said = np.full(len(folds), np.nan)
    said[votes > 0] = total[votes > 0] / votes[votes > 0]
    return said


def out_of_fold(
    detector: SiameseDetector, logits: NDArray[np.float64], taught: TrainingSet, folds: NDArray[np.int64]
) -> OutOfFold:
    """What the members that held a shape out say of it, calibrated and decided as the map is.

    Args:
        detector: the trained detector, calibrated.
        logits: of the labelled pixels, by those members, ``(N,)``; NaN for none.
        taught: the labelled pixels with their shapes.
        folds: the fold that each of them is held out in, ``(N,)``.
    """
    found = detector.calibration
    odds = taught.certain.known if isinstance(taught.certain, PseudoLabels) else taught.odds
    known = 0.0 if odds is None else found.prior * odds
    probability = scipy.special.expit(found.slope * logits + found.offset + known)
    change = np.where(np.isnan(probability), NO_DATA, probability >= found.threshold).astype(np.uint8)
    return OutOfFold(change, probability.astype(np.float32), int(folds.max()) + 1)


def dense_probability(network: Ensemble, source: PatchSource) -> NDArray[np.float32]:
    """Change probabilities of the scene as the network stands, ``(rows, cols)``, for the curves' pictures."""
    network.eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, source.shape[0], 64):
            window = slice(start, min(start + 64, source.shape[0]) + 2 * source.radius)
            logits = network(
                source.t1[None, :, window], source.t2[None, :, window], source.valid[None, None, window]
            )
            rows.append(torch.sigmoid(logits)[0, 0].cpu().numpy())
    return np.concatenate(rows)
