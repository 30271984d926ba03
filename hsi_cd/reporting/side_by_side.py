"""Figures beside the panel of one run: methods side by side, and the picture of a split."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.reporting.figures import (
    check_shapes,
    compose,
    date_panels,
    on_ground,
    picture,
    thinning,
    with_ground,
)
from hsi_cd.reporting.images import SPLIT_COLOURS, class_image, error_image, split_image
from hsi_cd.reporting.map_legend import legend_entries
from hsi_cd.scene import Grid, Labels, Split
from hsi_cd.scene.surface import pixel_aspect


def methods_figure(
    t1: NDArray[np.floating] | NDArray[np.uint8],
    t2: NDArray[np.floating] | NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.uint8]],
    *,
    truth: NDArray[np.uint8] | None = None,
    scene: str = "scene",
    note: str = "",
    grid: Grid | None = None,
    kinds: Mapping[int, str] = MappingProxyType({}),
) -> Figure:
    """Draw the change maps of several methods on one scene: error maps where there is a truth.

    Args:
        t1: the first date, as :func:`~hsi_cd.reporting.figures.panel_figure` takes it.
        t2: the second date.
        maps: change maps by the title of their panel, uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data;
            with ``kinds`` 1 to K are kinds of change, of the truth, too.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        scene: name of the scene, for the title.
        note: what stands under the title, as the protocol.
        grid: the scene's grid, for scale bar and north arrow.
        kinds: names of the kinds of change by number; none of maps of two classes.

    Returns:
        The figure.

    Raises:
        GridError: there is no map, or an array is not on the grid of the first.
    """
    if not maps:
        raise GridError("no change map to draw: give one at least")
    shape = next(iter(maps.values())).shape
    check_shapes(shape, t1=t1, t2=t2, truth=truth, **maps)
    thin = thinning(shape)
    panels = date_panels(t1, t2, thin, grid)
    if truth is not None:
        truth = truth[thin]
        panels.append(("Truth", picture(class_image(truth, kinds))))
    for name, change in maps.items():
        shown = change[thin]
        image = class_image(shown, kinds) if truth is None else error_image(truth, shown)
        panels.append((name, picture(image)))
    entries = legend_entries(
        errors=truth is not None, training=False, kinds=kinds, wrong_kinds=bool(kinds) and truth is not None
    )
    return compose(
        panels, shape, title=scene, note=with_ground(note, grid), entries=entries, tall=pixel_aspect(grid)
    )


def split_figure(split: Split, labels: Labels, *, scene: str = "scene", grid: Grid | None = None) -> Figure:
    """Draw which pixels teach and which judge.

    Args:
        split: the split.
        labels: the truth map it divides.
        scene: name of the scene, for the title.
        grid: the scene's grid, for scale bar and north arrow.

    Raises:
        GridError: the labels are of another scene's shape.
    """
    thin = thinning(split.shape)
    image = split_image(split, labels)[thin]
    taught, judged = len(split.train), int(split.test_mask(labels).sum())
    told = f"{judged:,} judge"
    if split.shapes is not None and split.all_teach(labels):
        told = f"their {len(np.unique(split.shapes)):,} shapes judge in turn"
    note = f"{split.protocol}, seed {split.seed}: {taught:,} pixels teach, {told}"
    return compose(
        [("Split", on_ground(picture(image), thin, grid))],
        split.shape,
        title=scene,
        note=with_ground(note, grid),
        entries=list(SPLIT_COLOURS.items()),
        tall=pixel_aspect(grid),
    )
