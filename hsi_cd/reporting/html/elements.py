"""Pieces of a page: images inside it, legends, rows of tables."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hsi_cd.reporting.images import BLACK, FALSE_NEGATIVE, FALSE_POSITIVE, GREY, TRAINING, WHITE, Colour

MAX_PIXELS = 1200
"""Pixels a side from which maps are thinned out for a page."""

MAP_COLOURS: Mapping[str, Colour] = {
    "changed, true positive": WHITE,
    "unchanged, true negative": BLACK,
    "false positive": FALSE_POSITIVE,
    "false negative": FALSE_NEGATIVE,
    "training pixel": TRAINING,
    "unlabelled or no data": GREY,
}


def image_element(image: NDArray[np.uint8], words: str) -> str:
    """An image, uint8 ``(rows, cols, 3)``, inside the page, with what it shows in words."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    rows, cols = image.shape[:2]
    return f'<img alt="{escape(words)}" width="{cols}" height="{rows}" src="data:image/png;base64,{data}">'


def legend(colours: Mapping[str, Colour]) -> str:
    """What colours mean."""
    items = (
        f'<li><span style="background:rgb{colour}"></span>{escape(words)}</li>'
        for words, colour in colours.items()
    )
    return f'<ul class="legend" aria-label="Legend">{"".join(items)}</ul>'


def table_head(titles: Iterable[str]) -> str:
    """The head of a table."""
    return "<thead><tr>" + "".join(f'<th scope="col">{escape(title)}</th>' for title in titles) + "</tr></thead>"


def table_row(label: str, cells: Iterable[str]) -> str:
    """A row of a table: its label, then its cells."""
    body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(label)}</th>{body}</tr>'


def step_of(shape: tuple[int, ...]) -> int:
    """Every how manyth pixel of a scene is shown."""
    return max(1, math.ceil(max(shape) / MAX_PIXELS))


def escape(words: object) -> str:
    """Text as it stands in a page; nothing in it is taken as an element."""
    return html.escape(str(words))
