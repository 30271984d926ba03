"""From a network that learned beside pseudo-labels to probabilities of change in its scene.

A few shapes, as many of each class, say neither how common change is nor where the network is to be trusted less
than what was known without them. Shapes that were held out say how the two compare; the scene says the rest.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import scipy.optimize
import scipy.special
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.evaluation import shape_rates
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.prepare.drawn_shapes import count_shapes
from hsi_cd.training.calibration import best_expected_threshold, uncalibrated
from hsi_cd.training.many_patches import Patches
from hsi_cd.training.pseudo_labels import PseudoLabels

log = logging.getLogger(__name__)

_SHARE_COUNTS = 10  # shapes of each class, which weigh as much as the scene's share: see docs/methods.md
_FEWEST = 3  # shapes of a class that can tell two maps apart
_WEIGHED = 0.5  # weight of label-free detectors that the labels have weighed already: docs/methods.md, Whole areas
_OFFSET = 4.0  # log-odds, the deviation of what labels may find missing, see there
_STRANGE = 0.03  # of the labels of a class, which no line tells from the other
_OFFSETS = np.linspace(0.0, 12.0, 241)  # log-odds: beyond, nothing is left to be missed
_CHUNK = 1024  # patches at once


def calibrate_drawn(
    network: Ensemble,
    source: Patches,
    target: NDArray[np.int64],
    pseudo: PseudoLabels,
    *,
    held_out: NDArray[np.float64] | None,
    share: float | None = None,
    threshold: str | float = "validation",
) -> Calibration:
    """Weigh the label-free detector beside the network, and say from where on its scene is changed.

    Shapes that people drew, as many of each class, leave it to the scene how common change is. Labels of whole
    areas hold the classes as these do: they say where change is missed, and the map is the one whose Kappa,
    expected from the scene's own probabilities, is greatest.

    Args:
        network: the trained ensemble, in evaluation mode.
        source: the scene's components, on the network's device.
        target: classes of the labelled pixels, 0 unchanged, 1 changed, ``(N,)``.
        pseudo: what taught beside them, and their shapes.
        held_out: logits of the labelled pixels by members that did not learn from their shapes, ``(N,)``; None
            where nothing was held out, so that labels weigh nothing.
        share: of the scene that changed, where somebody knows it.
        threshold: a probability is kept; ``learned`` leaves the logits as they are; else one half.
    """
    plain = uncalibrated(threshold)
    if threshold == "learned":
        return plain
    if held_out is not None and label_free_is_better(held_out, pseudo.known, target, pseudo.shapes):
        return replace(plain, slope=0.0, prior=1.0)
    if pseudo.worth is not None:
        plain = replace(plain, prior=_WEIGHED)
    elif held_out is not None:
        plain = replace(plain, prior=prior_weight(held_out, pseudo.known, target, pseudo.shapes))
        log.info("the label-free map's log-odds weigh %.2f beside the network's", plain.prior)
    everywhere = pseudo.everywhere
    z = mean_logits(network, source, everywhere.pixels) + plain.prior * everywhere.odds
    if share is not None:
        return replace(plain, offset=-float(np.quantile(z, 1 - share)))
    if pseudo.share is not None:
        weight = share_weight(min(count_shapes(target, pseudo.shapes)))
        return replace(plain, offset=-weight * float(np.quantile(z, 1 - pseudo.share)))
    if held_out is not None and pseudo.worth is not None:
        missed = missed_offset(held_out + plain.prior * pseudo.known, target, worth=pseudo.worth)
        log.info("labels that were held out move the log-odds of change by %.2f", missed)
        plain = replace(plain, offset=missed)
    if isinstance(threshold, str):
        plain = replace(plain, threshold=best_expected_threshold(scipy.special.expit(z + plain.offset)))
    return plain


def missed_offset(logits: NDArray[np.floating], target: NDArray[np.integer], *, worth: float) -> float:
    """By how much log-odds of change are too low, by labels that were held out.

    The likeliest offset, normal around 0 with deviation 4 before, and never below 0: label-free thresholds are
    strict, so that what is missed is to be found. What is called changed too often is not, by a few places: one
    field that ripened would silence all other change. Nor has the line to follow a kind of change that nothing
    else shows: 3 % of the labels may be on its wrong side, however far.

    Args:
        logits: log-odds of labelled pixels by who did not learn from their shapes, ``(N,)``; NaN for none.
        target: 1 changed, 0 unchanged, ``(N,)``.
        worth: of one label.

    Returns:
        Log-odds, to .05.
    """
    known = np.isfinite(logits)
    said, sign = logits[known], np.where(target[known] == 1, 1.0, -1.0)

    def loss(offset: float) -> float:
        right = _STRANGE + (1 - 2 * _STRANGE) * scipy.special.expit(sign * (said + offset))
        return -worth * float(np.log(right).sum()) + (offset / _OFFSET) ** 2 / 2

    # Such a loss may have several minima.
    return float(_OFFSETS[np.argmin([loss(offset) for offset in _OFFSETS])])


def share_weight(shapes: int) -> float:
    """How far the logits move towards those at which the scene's share is called changed, 0 to 1.

    Args:
        shapes: of the class that has fewer.

    Example:
        >>> share_weight(10)
        0.5
    """
    return _SHARE_COUNTS / (_SHARE_COUNTS + shapes)


def label_free_is_better(
    logits: NDArray[np.floating],
    log_odds: NDArray[np.floating],
    target: NDArray[np.integer],
    shapes: NDArray[np.integer],
) -> bool:
    """Whether the label-free map tells shapes better than networks that did not learn from them; logged if so.

    Both are compared shape by shape, and both classes count alike. Better means by more than twice the standard
    error of the difference, of at least three shapes of each class: one shape, or two, may be chance.

    Args:
        logits: of labelled pixels, by networks that did not learn from their shapes, ``(N,)``; NaN for none.
        log_odds: of the label-free map, ``(N,)``; NaN for none.
        target: 1 changed, 0 unchanged, ``(N,)``.
        shapes: number of each pixel's shape, ``(N,)``.
    """
    known = np.isfinite(logits) & np.isfinite(log_odds)
    with_labels, without = (
        shape_rates(target[known], shapes[known], (said[known] >= 0).astype(np.uint8))
        for said in (logits, log_odds)
    )
    gains, variance = [], 0.0
    for ours, free in ((with_labels.unchanged, without.unchanged), (with_labels.changed, without.changed)):
        if len(ours) < _FEWEST:
            return False
        gains.append(float(np.mean(free - ours)))
        variance += float(np.var(free - ours, ddof=1)) / len(ours)
    if not sum(gains) > 2 * math.sqrt(variance):
        return False
    log.warning(
        "shapes that were held out are told better by the label-free map (%.0f %% of the unchanged, %.0f %% of "
        "the changed ones right) than by networks that learned from the others (%.0f %%, %.0f %%): the map is the "
        "label-free one; draw more shapes",
        *(100 * float(part.mean()) for each in (without, with_labels) for part in (each.unchanged, each.changed)),
    )
    return True


def prior_weight(
    logits: NDArray[np.floating],
    log_odds: NDArray[np.floating],
    target: NDArray[np.integer],
    shapes: NDArray[np.integer],
    *,
    usual: float = Calibration.prior,
) -> float:
    """How much the label-free detector's log-odds are worth beside a network's logits, by shapes held out.

    The likeliest factor, given the labels, which are changed with probability ``1 / (1 + exp(-(logits + weight
    log_odds)))``, every shape counting as one label. Its own logarithm is taken to be normal around that of
    ``usual`` with deviation 1, so that a few shapes, or shapes that are all told easily, leave it near.

    Args:
        logits: of labelled pixels, by networks that did not learn from their shapes, ``(N,)``; NaN for none.
        log_odds: the label-free detector's, ``(N,)``; NaN for none.
        target: 1 changed, 0 unchanged, ``(N,)``.
        shapes: number of each pixel's shape, ``(N,)``.
        usual: the weight where no shape says otherwise, above 0.

    Returns:
        A weight above 0 and at most 1.
    """
    known = np.isfinite(logits) & np.isfinite(log_odds)
    _, shape, pixels = np.unique(shapes[known], return_inverse=True, return_counts=True)
    worth, sign = 1 / pixels[shape], np.where(target[known] == 1, -1.0, 1.0)

    def loss(log_ratio: float) -> float:
        z = logits[known] + usual * np.exp(log_ratio) * log_odds[known]
        return float(worth @ np.logaddexp(0, sign * z)) + log_ratio**2 / 2

    found = scipy.optimize.minimize_scalar(loss, bounds=(-5.0, -np.log(usual)), method="bounded")
    return min(1.0, usual * float(np.exp(found.x)))


def mean_logits(network: Ensemble, source: Patches, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean logit of all members at pixels of the scene, as the map has it, ``(N,)``.

    Args:
        network: the ensemble, in evaluation mode.
        source: the scene's components, on the network's device.
        pixels: flat indices, int64 ``(N,)``.
    """
    said = np.empty(len(pixels))
    with torch.inference_mode():
        for start in range(0, len(pixels), _CHUNK):
            chunk = torch.from_numpy(pixels[start : start + _CHUNK]).to(source.valid.device)
            said[start : start + _CHUNK] = network(*source.cut(chunk))[:, 0, 0, 0].double().cpu().numpy()
    return said
