"""How much of a scene changed, as a detector without labels estimates it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hsi_cd.detectors.decision import told_share


def change_share(detector: object) -> tuple[str, dict[str, Any]] | None:
    """The share of change in words, and as plain values; None where the threshold estimates none.

    Args:
        detector: a fitted detector.

    Returns:
        As ``1.7 % (0.5 to 2.4 %)`` or ``no change found (at most 0.01 %)``, and ``found``, ``value``, ``low`` and
        ``high``, shares of the scene's pixels that have data.
    """
    share = told_share(detector)
    return None if share is None else (str(share), {"found": share.value > 0, **asdict(share)})
