"""What the product of an archive says beside its cube: which it is, its quality masks, the bands left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hsi_cd.scene.cube import Cube
    from hsi_cd.scene.grid import Grid

MaskReader = Callable[[slice, slice], NDArray[np.bool_]]
"""Reads ``(rows, cols)`` slices, with plain non-negative bounds, as bool ``(rows, cols)``: True where covered."""


@dataclass(frozen=True)
class QualityMask:
    """Pixels of one kind, as a product marks them.

    Attributes:
        name: the kind, in one word for all products: ``cloud``, ``shadow``, ``snow``, ``cirrus``, ``haze``,
            ``water``.
        reader: reads a window of it.
        hides: whether its pixels are left out unless the user says otherwise.
        source: where the product keeps it, in its own words, as ``QL_QUALITY_CLOUD``.
        missing: the file that should hold it, where it is not there; else empty.
    """

    name: str
    reader: MaskReader = field(repr=False)
    hides: bool = True
    source: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Product:
    """What is known of a cube because it is a product.

    Attributes:
        title: what people call it, with its level, as ``EnMAP L2A``.
        quantity: what its values are, ``reflectance`` (0-1), ``radiance`` (W/m2/sr/um) or one with another unit in
            its name.
        masks: its quality masks, on the cube's grid.
        told: in words, what was decided on opening: bands left out and why, how an overlap was resolved.
        onto: of a swath, puts it on another grid of the ground: nearest lookup, no pixel invented. None where the
            product lies on a map's grid.
    """

    title: str
    quantity: str = "reflectance"
    masks: tuple[QualityMask, ...] = ()
    told: tuple[str, ...] = ()
    onto: Callable[[Grid], Cube] | None = field(default=None, repr=False)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """The names of its masks, each once, in its own order."""
        return tuple(dict.fromkeys(mask.name for mask in self.masks))
