"""Which axis of a bare array is which: found from what is known, or asked for; never guessed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from hsi_cd.errors import AxesError, ConfigError, GridError

_log = logging.getLogger(__name__)

Axes = tuple[str, str, str]
"""The three axes of an array as it is stored, first to last."""

MATLAB_AXES: Axes = ("rows", "cols", "bands")
"""How the field stores cubes in MATLAB."""

_NAMES = frozenset(MATLAB_AXES)


@dataclass(frozen=True)
class Expected:
    """What is known of a cube's shape before it is opened: from a truth map, a partner, a catalogue.

    Attributes:
        rows: number of rows, or None.
        cols: number of columns, or None.
        bands: number of bands, or None.
    """

    rows: int | None = None
    cols: int | None = None
    bands: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return any(size is not None for size in (self.rows, self.cols, self.bands))

    def fits(self, axes: Sequence[str], shape: Sequence[int]) -> bool:
        """Whether an array of this shape, its axes so named, is such a cube."""
        return all(getattr(self, axis) in (None, size) for axis, size in zip(axes, shape, strict=True))

    def describe(self) -> str:
        """What is known in words, as ``450 rows, 140 cols``."""
        known = ((name, getattr(self, name)) for name in MATLAB_AXES)
        return ", ".join(f"{size} {name}" for name, size in known if size is not None)


def parse_axes(text: str) -> Axes:
    """Axes from words as ``rows,cols,bands``.

    Raises:
        ConfigError: they are not these three, each once.
    """
    names = tuple(part.strip().lower() for part in text.split(","))
    if len(names) != 3 or set(names) != _NAMES:
        raise ConfigError(
            f"axes are {text!r}: expected rows, cols and bands in the order stored, as bands,rows,cols"
        )
    return names[0], names[1], names[2]


def find_axes(
    shape: Sequence[int],
    *,
    axes: Axes | None = None,
    convention: Axes | None = None,
    expected: Expected | None = None,
    name: str,
) -> Axes:
    """The axes of a stored array.

    What the user says holds. Else the format's convention holds, unless what is expected contradicts it and one
    other order agrees. Without a convention, what is expected must leave one order; of two that differ by
    exchanging rows and columns, the one with rows first is taken, as all but column-major files have it.

    Args:
        shape: sizes of the three axes, as stored.
        axes: what the user says.
        convention: order that the format's users keep to.
        expected: what is known of the cube.
        name: what messages call the array.

    Raises:
        AxesError: several orders are possible; the message names the option.
        GridError: no order gives what is expected.
    """
    if axes is not None:
        return axes
    expected = expected or Expected()
    orders: list[Axes] = [(a, b, c) for a, b, c in permutations(MATLAB_AXES)]
    fitting = [order for order in orders if expected.fits(order, shape)]
    if convention is not None and (convention in fitting or not fitting):
        return convention  # where nothing fits, the comparison of the two grids says it best
    sizes = " x ".join(map(str, shape))
    if not fitting:
        raise GridError(f"{name} has {sizes} values: in no order of its axes has it {expected.describe()}")
    upright = [order for order in fitting if order.index("rows") < order.index("cols")]
    if not upright and convention is not None and expected.bands is None:
        return convention  # a truth map of another shape must not turn the cube
    upright = upright or fitting
    if len(upright) > 1 or not expected.is_known:
        known = f" ({expected.describe()} fit several)" if expected.is_known else ""
        listed = " or ".join(f"'{','.join(order)}'" for order in sorted(upright, reverse=True))
        raise AxesError(f"{name} has {sizes} values and does not tell its axes{known}: say axes={listed}")
    found = upright[0]
    level = logging.INFO if convention is None else logging.WARNING
    _log.log(level, "%s (%s) is read as %s, because of %s", name, sizes, ",".join(found), expected.describe())
    return found


def band_first(axes: Axes) -> tuple[int, int, int]:
    """Positions of bands, rows and cols in a stored array: what ``numpy.transpose`` takes."""
    return axes.index("bands"), axes.index("rows"), axes.index("cols")
