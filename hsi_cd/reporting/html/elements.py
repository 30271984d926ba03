"""What the templates draw: pictures and tables as values."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS = 1200
"""Pixels a side from which maps are thinned out for a page."""


@dataclass(frozen=True)
class Picture:
    """An image inside the page.

    Attributes:
        words: what it shows, for those who do not see it too.
        width: of the picture as it is shown, pixels.
        height: the same.
        png: the file, in base 64.
    """

    words: str
    width: int
    height: int
    png: str


@dataclass(frozen=True)
class Sheet:
    """A table: titles of its columns, rows of a label and its cells, and what stands above.

    Attributes:
        head: titles of the columns; none where the rows speak for themselves.
        rows: a label and its cells each.
        caption: what it says, or nothing.
        words: whether the cells hold words, which wrap, and not numbers.
    """

    head: Sequence[str]
    rows: Sequence[tuple[str, Iterable[str]]]
    caption: str = ""
    words: bool = False


def make_picture(image: NDArray[np.uint8], words: str, *, tall: float = 1.0) -> Picture:
    """An image, uint8 ``(rows, cols, 3)``, thinned out where it is too large for a page.

    Its pixels are shown ``tall`` times as high as wide, as they are on the ground
    (:func:`~hsi_cd.scene.surface.pixel_aspect`).
    """
    step = step_of(image.shape[:2])
    shown = np.ascontiguousarray(image[::step, ::step])
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "PNG", optimize=True)
    rows, cols = shown.shape[:2]
    return Picture(words, cols, max(1, round(rows * tall)), base64.b64encode(buffer.getvalue()).decode("ascii"))


def step_of(shape: tuple[int, ...]) -> int:
    """Every how manyth pixel of a scene is shown."""
    return max(1, math.ceil(max(shape) / MAX_PIXELS))
