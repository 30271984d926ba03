"""What a training writes while it learns, and what an interrupted one left to go on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hsi_cd.training.tracking import Tracker

Learner = TypeVar("Learner")


@dataclass(frozen=True)
class Journal(Generic[Learner]):
    """The curves and checkpoints of one training.

    Attributes:
        tracker: takes the curves.
        save: writes a checkpoint called ``last`` or ``best`` of what learns, with what a resumed training needs.
        earlier: what an interrupted training saved, to go on to the same weights, bit for bit; None begins anew.
    """

    tracker: Tracker
    save: Callable[[str, Learner, dict[str, Any]], None]
    earlier: dict[str, Any] | None = None
