"""The classes of labelled pixels that a protocol draws from: unchanged and changed, or unchanged and each kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, KindTable, Labels

MOST_KINDS = UNLABELLED - 1
"""Kinds of change that a map can hold: uint8, of which 0 is unchanged and 255 no data."""

_NEEDED = 2  # labelled pixels of a kind: one to teach, one to judge


@dataclass(frozen=True)
class Stratum:
    """Labelled pixels of one class.

    Attributes:
        name: what messages call the class.
        pixels: flat (row-major) indices, int64, in ascending order.
        is_kind: whether it is one kind of change of several.
    """

    name: str
    pixels: NDArray[np.int64]
    is_kind: bool = False

    def __len__(self) -> int:
        return len(self.pixels)


def strata_of(labels: Labels, *, kinds: bool = False) -> tuple[Stratum, ...]:
    """The classes of a truth map in the order in which they are drawn, the unchanged first.

    Args:
        labels: truth map.
        kinds: whether each kind of change is a class of its own.

    Raises:
        LabelError: the labels tell no kinds apart, or a kind has too few pixels.
    """
    unchanged = Stratum("unchanged", np.flatnonzero(labels.values == UNCHANGED))
    if not kinds:
        return unchanged, Stratum("changed", np.flatnonzero(labels.values == CHANGED))
    table, numbers = check_kinds(labels), labels.kind_numbers()
    return unchanged, *(
        Stratum(name, np.flatnonzero(numbers == number), is_kind=True)
        for number, name in enumerate(table.names, start=1)
    )


def check_kinds(labels: Labels) -> KindTable:
    """The kinds that labels tell apart, if they can be learned.

    Args:
        labels: truth map, unlabelled where a date has no data.

    Raises:
        LabelError: they tell none or more than a map can hold apart, or a kind has fewer than two labelled pixels.
    """
    table = labels.kind_table
    if table is None:
        raise LabelError(
            f"{labels.name} tells no kinds of change apart, having one value for all that changed: leave "
            "kinds=True out, or declare the values of the kinds with changed= and unchanged="
        )
    if table.count > MOST_KINDS:
        raise LabelError(
            f"{labels.name} tells {table.count} kinds of change apart, but a map holds {MOST_KINDS}: declare "
            "fewer values with changed="
        )
    counted = np.bincount(labels.kind_numbers().ravel(), minlength=256)[1 : 1 + table.count]
    few = [place for place, count in enumerate(counted.tolist()) if count < _NEEDED]
    if few:
        listed = ", ".join(f"{table.names[i]!r} (value {table.stored[i]}) {counted[i]}" for i in few[:8])
        more = f" and {len(few) - 8} more" if len(few) > 8 else ""
        raise LabelError(
            f"{labels.name} has too few labelled pixels of some kinds of change, of which one is to teach and one "
            f"to judge: {listed}{more}; label more, declare these values by ignore= in place of changed=, or say "
            "kinds=False"
        )
    return table
