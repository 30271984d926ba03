"""What a score is called: only a probability is a probability, and a length or an angle goes by its own name."""

from __future__ import annotations

from typing import Any

PROBABILITY = "probability"
"""The ``unit`` of a detector whose scores are probabilities of change."""

_CHANCE = "probability of change"
_MEASURES: dict[str, tuple[str, str]] = {
    "auto": ("distance of each date from what the other predicts", "about 1 without change"),
    "cva": ("length of the change vector", "standard deviations"),
    "pca-cva": ("length of the change vector's leading components", "standard deviations"),
    "sam": ("spectral angle", "radians"),
    "irmad": ("length of the MAD variates", "standard deviations of no change"),
    "sfa": ("length of the slow features' difference", "standard deviations"),
    "isfa": ("length of the slow features' difference", "standard deviations of no change"),
    "celik": ("place between the cluster centres", "0 unchanged, 1 changed"),
    "superpixel": ("place between the cluster centres", "1 half-way"),
}
"""Name and unit of the scores of each method that gives no probabilities."""


def score_name(detector: Any) -> str:
    """What the scores of a detector are, as a raster's band is called: ``spectral angle (radians)``."""
    if detector.unit == PROBABILITY:
        return _CHANCE
    method = str(getattr(detector, "method", ""))
    if method not in _MEASURES:
        return f"score of {method}, higher is more change" if method else "score, higher is more change"
    return "{} ({})".format(*_MEASURES[method])
