"""From values to colours: pure functions from arrays to RGB images.

White is changed and black unchanged, in the change map, the truth and the error map alike. The two errors take an
orange and a blue that the usual kinds of colour blindness tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.io.map_classes import kind_colour
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels, Split, is_changed

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
GREY: Colour = (128, 128, 128)  # nothing is known here: no label, no prediction, no data
FALSE_POSITIVE: Colour = (230, 159, 0)  # #E69F00, and
FALSE_NEGATIVE: Colour = (0, 114, 178)  # #0072B2 of Okabe and Ito's palette
TRAINING: Colour = (
    136,
    34,
    85,
)  # #882255 of Tol's palette: farthest from all others in simulated colour blindness

WRONG_KIND: Colour = (204, 121, 167)  # #CC79A7 of Okabe and Ito's palette

SPLIT_COLOURS: Mapping[str, Colour] = {
    "judges, changed": WHITE,
    "judges, unchanged": BLACK,
    "teaches, changed": (238, 51, 119),  # #EE3377 and #33BBEE of Tol's vibrant palette
    "teaches, unchanged": (51, 187, 238),
    "guard, does neither": (90, 90, 60),
    "unlabelled": GREY,
}
"""What the colours of :func:`split_image` mean."""

_CLASS_COLOURS: Mapping[int, Colour] = {UNCHANGED: BLACK, CHANGED: WHITE}
_ERROR_COLOURS: Mapping[tuple[int, int], Colour] = {
    (UNCHANGED, UNCHANGED): BLACK,
    (CHANGED, CHANGED): WHITE,
    (UNCHANGED, CHANGED): FALSE_POSITIVE,
    (CHANGED, UNCHANGED): FALSE_NEGATIVE,
}


def kind_colours(kinds: Iterable[int]) -> dict[int, Colour]:
    """Colours of kinds of change by number, as maps of them have."""
    return {kind: kind_colour(kind)[:3] for kind in kinds if kind != UNCHANGED}


def class_image(values: NDArray[np.uint8], kinds: Iterable[int] = ()) -> NDArray[np.uint8]:
    """Picture of a change map or truth.

    Args:
        values: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, or kinds of change; 255 no data or unlabelled.
        kinds: the numbers of the kinds; none for a map of two classes.

    Returns:
        uint8 ``(rows, cols, 3)``: unchanged black, changed white or in the colours of the kinds, all else mid
        grey.
    """
    colours = np.full((256, 3), GREY, dtype=np.uint8)
    for value, colour in {**_CLASS_COLOURS, **kind_colours(kinds)}.items():
        colours[value] = colour
    return colours[values]


def error_image(
    truth: NDArray[np.uint8], change: NDArray[np.uint8], *, train: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Picture of where a change map is right and wrong.

    Args:
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed (or kinds of change), 255 unlabelled.
        change: uint8 ``(rows, cols)``: the map, with the same classes; 255 no data.
        train: bool ``(rows, cols)``: training pixels, marked as such whatever they are called.

    Returns:
        uint8 ``(rows, cols, 3)``: true positive white, true negative black, false positive orange (230, 159, 0),
        false negative blue (0, 114, 178), another kind of change than the true one pink (204, 121, 167), training
        pixel wine (136, 34, 85), unlabelled or without prediction mid grey.

    Raises:
        GridError: the arrays differ in shape.
    """
    for name, array in (("change map", change), ("training mask", train)):
        if array is not None and array.shape != truth.shape:
            raise GridError(
                f"the {name} has shape {array.shape} but the truth {truth.shape}: give both on one grid"
            )
    # One look-up table over (truth, predicted), with the unknown of either as its last row and column.
    colours = np.full((3, 3, 3), GREY, dtype=np.uint8)
    for pair, colour in _ERROR_COLOURS.items():
        colours[pair] = colour
    codes = np.full(256, CHANGED)
    codes[[UNCHANGED, UNLABELLED]] = UNCHANGED, 2
    image: NDArray[np.uint8] = colours[codes[truth], codes[change]]
    image[is_changed(truth) & is_changed(change) & (truth != change)] = WRONG_KIND
    if train is not None:
        image[train] = TRAINING
    return image


def split_image(split: Split, labels: Labels) -> NDArray[np.uint8]:
    """Picture of a split: which pixels teach, which judge, and which do neither.

    Args:
        split: the split.
        labels: the truth map it divides.

    Returns:
        uint8 ``(rows, cols, 3)`` in the colours of :data:`SPLIT_COLOURS`.

    Raises:
        GridError: the labels are of another scene's shape.
    """
    test, train, changed = split.test_mask(labels), split.train_mask(), labels.values == CHANGED
    image = np.full((*split.shape, 3), SPLIT_COLOURS["unlabelled"], dtype=np.uint8)
    if split.guard is not None:
        image[split.guard & (labels.values != UNLABELLED)] = SPLIT_COLOURS["guard, does neither"]
    for role, mask in (("judges", test), ("teaches", train)):
        image[mask & ~changed] = SPLIT_COLOURS[f"{role}, unchanged"]
        image[mask & changed] = SPLIT_COLOURS[f"{role}, changed"]
    return image


def stretch_limits(
    *images: NDArray[np.floating], low: float = 2.0, high: float = 98.0
) -> tuple[tuple[float, float], ...]:
    """Common display limits of several images, one pair per channel.

    Args:
        images: float ``(channels, rows, cols)`` each, NaN where there is no data; the shapes may differ in rows,
            cols.
        low: percentile shown darkest.
        high: percentile shown brightest.

    Returns:
        ``(darkest, brightest)`` of each channel, over the finite values of all images together; (0, 1) without
        any.
    """
    limits = []
    for channel in zip(*images, strict=True):
        values = np.concatenate([values[np.isfinite(values)] for values in channel])
        darkest, brightest = np.percentile(values, [low, high]) if values.size else (0.0, 1.0)
        limits.append((float(darkest), float(brightest)))
    return tuple(limits)


def false_colour(
    values: NDArray[np.floating], *, limits: tuple[tuple[float, float], ...] | None = None
) -> NDArray[np.uint8]:
    """Three bands as red, green and blue, stretched linearly from the darkest to the brightest limit.

    Two dates are comparable by eye only under the same limits: take them from :func:`stretch_limits` of both.

    Args:
        values: float ``(3, rows, cols)``, in the order red, green, blue; NaN where there is no data.
        limits: ``(darkest, brightest)`` of each channel; the 2nd and 98th percentile of ``values`` by default.

    Returns:
        uint8 ``(rows, cols, 3)``; mid grey where a channel has no data; a constant channel is mid grey.

    Raises:
        GridError: there are not three channels.
    """
    if values.ndim != 3 or values.shape[0] != 3:
        raise GridError(f"an image of shape {values.shape}: false colour takes three bands, (3, rows, cols)")
    image = np.empty((*values.shape[1:], 3), dtype=np.uint8)
    for i, (darkest, brightest) in enumerate(limits or stretch_limits(values)):
        width = brightest - darkest
        scaled = (values[i] - darkest) / width if width > 0 else np.full(values.shape[1:], 0.5)
        image[..., i] = np.nan_to_num(np.clip(scaled, 0, 1)) * 255 + 0.5
    image[~np.isfinite(values).all(axis=0)] = GREY
    return image
