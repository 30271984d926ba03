"""The numbers that a command tells, as outputs for QGIS's models."""

from __future__ import annotations

import json
from collections.abc import Sequence

Number = tuple[str, str, str]
"""Name of an output, its title, and where it stands in the JSON document, as ``scores/oa``."""

CALLED_CHANGED: tuple[Number, ...] = (
    ("CHANGED_SHARE", "Share of the pixels that is called changed", "pixels/share"),
    ("CHANGED_PIXELS", "Pixels that are called changed", "pixels/changed"),
    ("VALID_PIXELS", "Pixels with data", "pixels/valid"),
    ("SCORE_THRESHOLD", "Score from which a pixel is called changed", "threshold"),
)
SCORES: tuple[Number, ...] = tuple(
    (name.upper(), title, f"scores/{name}")
    for name, title in {
        "oa": "Overall accuracy", "aa": "Average accuracy", "kappa": "Kappa", "f1": "F1",
        "precision": "Precision", "recall": "Recall", "iou": "Intersection over union",
    }.items()
)  # fmt: skip


def _estimate(name: str, title: str, where: str) -> tuple[Number, ...]:
    """An estimate, and the ends of its 95 % interval."""
    return (
        (name, title, f"{where}/value"),
        (f"{name}_LOW", f"{title}: low end of the 95 % interval", f"{where}/low"),
        (f"{name}_HIGH", f"{title}: high end of the 95 % interval", f"{where}/high"),
    )


ESTIMATES: tuple[Number, ...] = (
    *_estimate("AREA", "Area changed, hectares (pixels where the CRS tells no length)", "classes/changed/area"),
    *_estimate("SHARE", "Share changed", "classes/changed/share"),
    *_estimate("OA", "Overall accuracy", "overall_accuracy"),
    *_estimate("USERS", "User's accuracy of changed", "classes/changed/users_accuracy"),
    *_estimate("PRODUCERS", "Producer's accuracy of changed", "classes/changed/producers_accuracy"),
    ("POINTS", "Points that were interpreted", "points"),
)


def numbers_in(text: str, numbers: Sequence[Number]) -> dict[str, float]:
    """The numbers that a JSON document tells; of what could not be reckoned it has null, and there is none here.

    Example:
        >>> told = '{"scores": {"oa": 0.9, "f1": null}}'
        >>> numbers_in(told, [("OA", "Overall accuracy", "scores/oa"), ("F1", "F1", "scores/f1")])
        {'OA': 0.9}
    """
    document = json.loads(text)
    found = {}
    for name, _, where in numbers:
        value = document
        for key in where.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            found[name] = value
    return found
