"""Pixels that a quality mask covers, left out of a cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.scene.cube import Cube, WindowReader
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.product import MaskReader, QualityMask

MASK_KINDS = ("cloud", "shadow", "cirrus", "haze", "snow", "water", "aerosol", "spacecraft")
"""The kinds of pixels that products mark, in one word each."""

_ROWS = 512  # rows of a mask that are counted at once


@dataclass(frozen=True)
class ArrayMask:
    """A mask that lies in memory.

    Attributes:
        values: bool ``(rows, cols)``, True where it covers.
    """

    values: NDArray[np.bool_]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)`` of a window."""
        return self.values[rows, cols]


@dataclass(frozen=True)
class Unmasked:
    """Reads windows of another reader, without the pixels that masks cover.

    Attributes:
        reader: reads stored values ``(bands, rows, cols)``.
        masks: read what is left out.
    """

    reader: WindowReader
    masks: tuple[MaskReader, ...]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)``; a masked array where some are left out."""
        values = self.reader(rows, cols)
        covered = self.masks[0](rows, cols)
        for mask in self.masks[1:]:
            covered = covered | mask(rows, cols)
        if not covered.any():
            return values
        hidden = np.broadcast_to(covered, values.shape)
        if np.ma.isMaskedArray(values):
            hidden = hidden | np.ma.getmaskarray(values)
        return np.ma.MaskedArray(np.ma.getdata(values), hidden)


def chosen_masks(cube: Cube, kinds: Sequence[str] | None) -> tuple[QualityMask, ...]:
    """The masks of a cube that are to be left out.

    Args:
        cube: the cube; one that is no product has none.
        kinds: the kinds that are wanted; None for those that its product leaves out.

    Raises:
        FormatError: the product has no mask of a kind that is wanted, or its file is missing.
    """
    own = () if cube.product is None else cube.product.masks
    if kinds is None:
        chosen = tuple(mask for mask in own if mask.hides)
    else:
        known = () if cube.product is None else cube.product.mask_names
        lacking = [kind for kind in kinds if kind not in known]
        if lacking:
            what = cube.product.title if cube.product is not None else "no product that is known"
            has = f"its masks are {', '.join(known)}" if known else "it has none"
            raise FormatError(
                f"{cube.name} ({what}) has no mask of {' or '.join(lacking)}: {has}; give mask= the file of a "
                "raster or of polygons, or mask='none'"
            )
        chosen = tuple(mask for mask in own if mask.name in kinds)
    for mask in chosen:
        if mask.missing:
            raise FormatError(
                f"{mask.missing} is missing, the product's mask of {mask.name}: copy the whole product, or say "
                "mask='none' to map without its masks"
            )
    return chosen


def without(cube: Cube, masks: Sequence[MaskReader]) -> Cube:
    """A cube without the pixels that masks cover: they hold no data."""
    if not masks:
        return cube
    return replace(cube, reader=Unmasked(cube.reader, tuple(masks)))


def shares(masks: Sequence[QualityMask], grid: Grid) -> tuple[Mapping[str, float], float]:
    """The share of a grid's pixels that masks cover: by kind, and of all together.

    Args:
        masks: the masks.
        grid: theirs.
    """
    counted = dict.fromkeys((mask.name for mask in masks), 0)
    union = 0
    for top in range(0, grid.rows, _ROWS):
        rows, cols = slice(top, min(top + _ROWS, grid.rows)), slice(0, grid.cols)
        found: dict[str, NDArray[np.bool_]] = {}
        for mask in masks:
            covered = mask.reader(rows, cols)
            found[mask.name] = found[mask.name] | covered if mask.name in found else covered
        for name, covered in found.items():
            counted[name] += int(covered.sum())
        union += int(np.logical_or.reduce(list(found.values())).sum()) if found else 0
    size = grid.rows * grid.cols
    return {name: count / size for name, count in counted.items()}, union / size
