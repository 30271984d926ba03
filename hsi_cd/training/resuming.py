"""The detector of an interrupted run, checked against the scene that it goes on with."""

from __future__ import annotations

from typing import Any

import numpy as np

from hsi_cd.config import RunConfig
from hsi_cd.detectors.siamese import SiameseDetector, siamese_from_state
from hsi_cd.errors import CheckpointError


def resumed(
    detector: SiameseDetector,
    state: dict[str, Any],
    config: RunConfig,
    *,
    elsewhere: str = "the run folder's checkpoint is of another scene than this one: resume with the same files",
) -> SiameseDetector:
    """The detector of an interrupted run, ready to be trained on as it was.

    Args:
        detector: fitted anew on the scene.
        state: what the interrupted run saved of its own.
        config: the run's configuration.
        elsewhere: the message where it is of another scene.

    Raises:
        CheckpointError: the state is damaged, or of another scene.
    """
    saved = siamese_from_state(state, augment=config.train.augment)
    then, now = saved.transform.weight, detector.transform.weight
    if then.shape != now.shape or not np.allclose(then, now, rtol=1e-3, atol=1e-6):
        raise CheckpointError(elsewhere)
    return saved
