"""A few labels, drawn at random: what counts beside the network's word on a pixel, as held-out labels weigh it.

A hundred labels at random hold a handful of changed ones, from which the network learns what single pixels look
like. Two things are known beyond: change comes in patches, so that the pixels around tell, too; and the label-free
detectors see change of their own. How much either is worth differs between scenes, and the labels that the members
of the ensemble held out say it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.config import RunConfig
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.prior import Prior
from hsi_cd.prepare.measurement import Measurement

_ROWS = 64  # scored at a time


@dataclass(frozen=True)
class Beside:
    """What counts beside the network's own word on a pixel.

    Attributes:
        reach: rows and columns around a pixel that have a say; 0 for none.
        prior: label-free detectors that stay in the score, or None.
        known: their log-odds of change at the labelled pixels, float64 ``(labels,)``; 0 where they have no data.
    """

    reach: int
    prior: Prior | None
    known: NDArray[np.float64]


def beside_labels(measurement: Measurement, pixels: NDArray[np.int64], config: RunConfig) -> Beside | None:
    """What counts beside the network, by the configuration; None for nothing.

    Args:
        measurement: of the scene.
        pixels: flat indices of the labelled pixels, int64 ``(N,)``.
        config: the run's configuration.
    """
    reach, known, prior = config.model.around // 2, np.zeros(len(pixels)), None
    if config.train.prior:
        how = {"drop_constant": config.bands.drop_constant}
        # The mean of both: neither is better everywhere, and their mistakes differ.
        prior = Prior(fit_auto(measurement, options=how), (fit_cva(measurement, options=how),), (0.5, 0.5))
        cols = measurement.pair.shape[1]
        for rows, odds in prior.of_scene(measurement, rows=_ROWS):
            inside = np.flatnonzero((pixels >= rows.start * cols) & (pixels < rows.stop * cols))
            known[inside] = np.nan_to_num(odds.ravel()[pixels[inside] - rows.start * cols])
    return Beside(reach, prior, known) if reach or prior is not None else None
