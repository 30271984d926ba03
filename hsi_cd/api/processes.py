"""This process among others: those that torchrun started with it, and what asks it to leave.

Imports nothing heavy: a command line asks here before it knows what it must do.
"""

from __future__ import annotations

from hsi_cd.runtime.signals import Stop, heed_signals
from hsi_cd.runtime.team import ALONE, Team, first_to_speak, join_team, launched

__all__ = ["ALONE", "Stop", "Team", "first_to_speak", "heed_signals", "join_team", "launched"]
