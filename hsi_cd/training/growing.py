"""How a training grows with its labels, where nobody said how long it is or what it is made of.

One configuration is meant for a handful of labels and for ten thousand. What regularises a network that has few,
and bounds its steps, holds one back that has many: beyond ``train.many`` labels of the rarer class it takes more
steps, in proportion, mixes less, and sees which date came first.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.config import RunConfig, TrainConfig

log = logging.getLogger(__name__)

LONGEST = 2.5
"""Times the steps of few labels, at most."""

_MIXUP = 0.2
"""Of the augmentation: many labels themselves show what lies between."""


def growth(target: NDArray[np.integer], config: TrainConfig, *, places: NDArray[np.int64] | None = None) -> float:
    """How many times as long as with few labels a training is: 1 up to ``train.many`` labels of the rarer class.

    It goes by the rarer class: what change looks like is learned from the changed labels alone, however many
    unchanged ones surround them.

    Args:
        target: classes of the labels, 0 unchanged, 1 changed, ``(N,)``.
        config: the loop's configuration.
        places: for each label a number that it shares with those beside it, ``(N,)``, where labels lie in areas:
            those of a place then count as one. By default each counts.

    Returns:
        ``rarer / many``, within 1 and :data:`LONGEST`.
    """
    if config.many is None:
        return 1.0
    by_class = [target == code for code in (0, 1)]
    rarer = min(int(own.sum()) if places is None else len(np.unique(places[own])) for own in by_class)
    return min(max(rarer / config.many, 1.0), LONGEST)


def grown(config: RunConfig, times: float) -> RunConfig:
    """The configuration of a training that is so many times as long as with few labels.

    Settings that are not the defaults are kept: somebody chose them. With many labels the dates are told apart:
    change then has a direction, as from field to roof.

    Args:
        config: the run's configuration.
        times: what :func:`growth` gives; 1 changes nothing.
    """
    if times <= 1:
        return config
    default, model, train, augment = RunConfig(), config.model, config.train, config.train.augment
    bounds, usual = ("epochs", "min_steps", "max_steps"), default.train.augment
    unasked = all(getattr(train, name) == getattr(default.train, name) for name in bounds)
    steps = {"max_steps": round(times * default.train.max_steps)} if unasked and default.train.max_steps else {}
    varied: dict[str, Any] = {"mixup": _MIXUP} if augment.mixup == usual.mixup else {}
    if model.head == default.model.head and augment.date_swap == usual.date_swap:
        model = model.model_copy(update={"head": "directed_mlp"})
        varied["date_swap"] = False
    log.info("many labels: %.2f times as many steps as with few, head %s", times, model.head)
    train = train.model_copy(update=steps | {"augment": augment.model_copy(update=varied)})
    return config.model_copy(update={"model": model, "train": train})
