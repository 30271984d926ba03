"""What a training is given by the process it runs in, whatever it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hsi_cd.runtime.signals import Stop
from hsi_cd.runtime.team import ALONE, Team

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Circumstances:
    """Where, with whom and by which draws something is learned.

    Attributes:
        generator: source of every draw; torch's own state serves dropout and noise.
        device: where a network computes.
        team: the processes that learn together, each given the same; by default one alone.
        stop: says when to save, after the step under way, and leave; by default nothing does.
    """

    generator: np.random.Generator
    device: torch.device
    team: Team = ALONE
    stop: Stop = field(default_factory=Stop)
