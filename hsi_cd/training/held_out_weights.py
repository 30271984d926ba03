"""How much counts beside a network's word on a pixel: weights by the labels that its members held out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.surroundings import Surroundings, log_odds_around
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.prepare.padding import mirror_index
from hsi_cd.training.beside_labels import Beside
from hsi_cd.training.calibration import likeliest, threshold_for
from hsi_cd.training.patches import PatchSource
from hsi_cd.training.training_set import TrainingSet

log = logging.getLogger(__name__)

_ROWS = 64  # scored at a time
_HALF = 0.5  # weight of a pixel, and of its surroundings, before any label; label-free detectors begin at 0
_SURELY = 1.645  # standard errors, one-sided 95 %


def weigh_beside(
    network: Ensemble,
    source: PatchSource,
    taught: TrainingSet,
    beside: Beside,
    folds: NDArray[np.int64],
    plain: Calibration,
    *,
    threshold: str | float = "validation",
) -> Calibration | None:
    """Weigh what counts beside the network by the labels that its members held out.

    The weights are the likeliest by these labels, drawn towards half a pixel, half its surroundings, and no
    label-free detector, as if eight pixels said so. Labels of folds that they were not fitted to must be told
    better than by the network alone, and surely so: by 1.645 standard errors of the difference, 19 times of 20.

    Args:
        network: the trained ensemble, in evaluation mode.
        source: the scene's components, on the network's device.
        taught: the labels.
        beside: what is weighed.
        folds: the fold that each label is held out in, ``(N,)``.
        plain: the calibration of the network alone.
        threshold: see :func:`~hsi_cd.training.calibration.calibrate`.

    Returns:
        The calibration of both; None where the network alone is as good, or no label was held out.
    """
    own, around = held_out_log_odds(network, source, taught.pixels, folds, plain, reach=beside.reach)
    seen = np.isfinite(own)
    if not seen.any():
        return None
    alone = Terms((own[seen],), (1.0,), (20.0,))
    names, terms = ["own"], Terms((own[seen],), (_HALF if beside.reach else 1.0,), (20.0,))
    if beside.reach:
        names, terms = [*names, "around"], terms.also(around[seen], usual=_HALF, most=20.0)
    if beside.prior is not None:
        names, terms = [*names, "prior"], terms.also(beside.known[seen], usual=0.0, most=1.0)
    truth = taught.target[seen].astype(np.float64)
    gain = _losses(alone, truth, folds[seen]) - _losses(terms, truth, folds[seen])
    error = gain.std() / np.sqrt(len(gain))
    log.info("held-out labels: %.4f +- %.4f less loss with what counts beside the network", gain.mean(), error)
    if not gain.mean() > _SURELY * error:
        return None
    *weights, offset = terms.fit(truth)
    z = terms.log_odds([*weights, offset])
    moved, chosen = threshold_for(z, truth, share=taught.share, threshold=threshold)
    found = {"around": 0.0, "prior": 0.0} | dict(zip(names, weights, strict=True))
    surroundings = Surroundings(beside.reach, found["own"], found["around"], offset + moved)
    return replace(plain, threshold=chosen, prior=found["prior"], surroundings=surroundings)


@dataclass(frozen=True)
class Terms:
    """Log-odds of labels by several who say something of them, each with a weight.

    Attributes:
        columns: log-odds, each ``(N,)``.
        usual: weights before any label.
        most: the largest weights; the smallest are 0.
    """

    columns: tuple[NDArray[np.float64], ...]
    usual: tuple[float, ...]
    most: tuple[float, ...]

    def also(self, column: NDArray[np.float64], *, usual: float, most: float) -> Terms:
        """The same and one more."""
        return Terms((*self.columns, column), (*self.usual, usual), (*self.most, most))

    def of(self, labels: NDArray[np.bool_]) -> Terms:
        """The same of some of the labels."""
        return replace(self, columns=tuple(column[labels] for column in self.columns))

    def fit(self, target: NDArray[np.float64]) -> list[float]:
        """The likeliest weights and an offset, see :func:`~hsi_cd.training.calibration.likeliest`."""
        return likeliest(self.columns, target, usual=self.usual, bounds=[(0.0, end) for end in self.most])

    def log_odds(self, weights: list[float]) -> NDArray[np.float64]:
        """What they say together, ``(N,)``, by the weights and offset of :meth:`fit`."""
        *each, offset = weights
        return np.asarray(sum(w * column for w, column in zip(each, self.columns, strict=True)) + offset)


def _losses(terms: Terms, target: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy of each label, ``(N,)``, by weights fitted to the labels of the other folds."""
    losses = np.empty(len(target))
    for fold in np.unique(folds):
        held = folds == fold
        z = terms.of(held).log_odds(terms.of(~held).fit(target[~held]))
        losses[held] = np.logaddexp(0, z) - target[held] * z
    return losses


def held_out_log_odds(
    network: Ensemble,
    source: PatchSource,
    pixels: NDArray[np.int64],
    folds: NDArray[np.int64],
    plain: Calibration,
    *,
    reach: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the members that held a pixel out say of it, and of the mean around it; each ``(N,)``, NaN for none."""
    _, cols = source.shape
    count = int(folds.max()) + 1
    parts = [[m for m in range(len(network.members)) if m % count == fold] for fold in range(count)]
    own, around = np.full(len(pixels), np.nan), np.full(len(pixels), np.nan)
    for block, logits, valid in _blocks(network, source, reach=reach):
        inside = np.flatnonzero((pixels >= block.start * cols) & (pixels < block.stop * cols))
        row, col = np.divmod(pixels[inside], cols)
        for fold, members in enumerate(parts):
            if members:
                z = plain.slope * logits[members].mean(dim=0) + plain.offset
                mean = log_odds_around(z, valid, reach)
                held = folds[inside] == fold
                at = torch.from_numpy(row[held] - block.start), torch.from_numpy(col[held])
                own[inside[held]] = z[at[0] + reach, at[1] + reach].double().numpy()
                around[inside[held]] = mean[at].double().numpy()
    return own, around


def _blocks(network: Ensemble, source: PatchSource, *, reach: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of the scene; the members' logits and validity there and ``reach`` around, mirrored at edges."""
    rows, cols = source.shape
    aside = torch.from_numpy(mirror_index(-reach, cols + reach, cols))
    for start in range(0, rows, _ROWS):
        stop = min(start + _ROWS, rows)
        wanted = mirror_index(start - reach, stop + reach, rows)
        low, high = int(wanted.min()), int(wanted.max()) + 1
        window = slice(low, high + 2 * source.radius)
        with torch.inference_mode():
            seen = source.t1[None, :, window], source.t2[None, :, window], source.valid[None, None, window]
            logits = network.each(*seen)[0].float().cpu()
        r = source.radius
        valid = source.valid[low + r : high + r, r : r + cols].cpu()
        below = torch.from_numpy(wanted - low)
        yield slice(start, stop), logits[:, below][:, :, aside], valid[below][:, aside]
