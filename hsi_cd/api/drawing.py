"""Labels as people draw them: simulated from a truth map, and written as a vector file."""

from __future__ import annotations

from typing import Any

from hsi_cd.api.opening import read_truth
from hsi_cd.api.sources import TruthSource
from hsi_cd.datasets.simulated.draughtsman import KINDS, ShapeKind, draw_labels
from hsi_cd.scene import Labels

__all__ = ["KINDS", "draw"]


def draw(labels: Any, shapes: int = 15, *, kind: ShapeKind = "squares", seed: int = 0) -> Labels:
    """Draw labels over a truth map as people do: few shapes, in clear places, in the part that is looked at.

    Shapes lie inside objects of the truth, away from their borders and from one another where that is possible,
    as many of each class, in a view of half the scene's rows and columns that shows both classes; the view moves
    when nothing is left to draw in it. The first k shapes of a larger drawing with the same seed are the drawing
    of k.

    Args:
        labels: the truth map, in any form that :func:`hsi_cd.open_labels` takes.
        shapes: shapes of each class.
        kind: ``points`` are one pixel each, ``squares`` 3 x 3, ``blobs`` irregular connected areas of 5 to 40.
        seed: of the draw; the same seed draws the same.

    Returns:
        Labels: all but what is drawn is unlabelled, and ``shapes`` numbers the shape of each labelled pixel, from
        1: odd numbers are changed, even ones unchanged.

    Raises:
        ConfigError: no such kind, fewer than one shape, or a negative seed.
        LabelError: the truth lacks a class, or has no room for so many shapes.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> truth = np.zeros((40, 40), dtype=np.uint8)
        >>> truth[10:25, 5:20] = 1
        >>> hc.draw(truth, 3).counts()
        (27, 27, 1546)
    """
    return draw_labels(read_truth(TruthSource(labels)), shapes, kind=kind, seed=seed)
