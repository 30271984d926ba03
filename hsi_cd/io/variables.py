"""Named arrays of a file, as its header tells them: listed and chosen without loading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.errors import FormatError

_LISTED = 12
_LONGEST_NAME = 60
_WAVELENGTH_NAMES = frozenset(
    ("wavelength", "wavelengths", "wavelengthnm", "wavelengthsnm", "wavelengthum", "wavelengthsum", "wl", "wvl",
     "wave", "waves", "lambda", "lambdas", "centers", "centres", "bandcenters", "bandcentres", "centerwavelength",
     "centerwavelengths", "centrewavelength", "centrewavelengths")
)  # fmt: skip


@dataclass(frozen=True)
class Variable:
    """One variable of a file of arrays.

    Attributes:
        name: its name; a path as ``group/name`` where arrays are grouped; empty for a file's only, nameless array.
        shape: its shape, in the order that users of the format say.
        kind: its type in the words of the format, as ``double`` or ``struct``.
        dtype: type of its numbers, or None where it holds no real numbers.
        reverse: whether the file stores its axes last to first.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    dtype: np.dtype[Any] | None
    reverse: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether it is an array of real numbers."""
        return self.dtype is not None

    @property
    def nbytes(self) -> int:
        """Bytes that its values take."""
        return int(np.prod(self.shape, dtype=object)) * (self.dtype.itemsize if self.dtype is not None else 1)

    def __str__(self) -> str:
        name = self.name if len(self.name) <= _LONGEST_NAME else self.name[:_LONGEST_NAME] + "..."
        sizes = " x ".join(map(str, self.shape)) or "1"
        return f"{name} ({sizes} {self.kind})".strip()


def listed(variables: Sequence[Variable]) -> str:
    """Variables in words."""
    more = f" and {len(variables) - _LISTED} more" if len(variables) > _LISTED else ""
    return (", ".join(map(str, variables[:_LISTED])) or "nothing") + more


def choose(path: Path, variables: Sequence[Variable], key: str | None, *, ndim: int) -> Variable:
    """The variable of this name, or the only one that can be meant.

    Args:
        path: the file, for messages.
        variables: what it holds.
        key: name of the variable, or None.
        ndim: 3 for a cube, 2 for a map.

    Raises:
        FormatError: no such variable, or no or several candidates; all variables are listed.
    """
    wanted = "3-D array of numbers (rows x cols x bands)" if ndim == 3 else "2-D array of numbers (rows x cols)"
    if key is not None:
        named = [v for v in variables if v.name == key]
        if not named:
            raise FormatError(f"{path} has no variable {key!r}: it holds {listed(variables)}")
        if not named[0].is_numeric or len(named[0].shape) != ndim or 0 in named[0].shape:
            raise FormatError(f"{path}: variable {named[0]} is no {wanted}; the file holds {listed(variables)}")
        return named[0]
    fits = candidates(variables, ndim=ndim)
    if len(fits) != 1:
        number = "no" if not fits else f"{len(fits)} candidates for the one"
        raise FormatError(f"{path} has {number} {wanted}: it holds {listed(variables)}{_way_out(variables, fits)}")
    return fits[0]


def _way_out(variables: Sequence[Variable], fits: Sequence[Variable]) -> str:
    """What to do where the image is hidden in a structure or stored as a sparse matrix."""
    if fits:
        return ""
    kinds = {v.kind: v.name for v in variables}
    if "struct" in kinds or "object" in kinds:
        name = kinds.get("struct") or kinds.get("object")
        return f"; save the field that holds the image as a variable of its own, as x = {name}.FIELD; save -v7.3 x"
    if "sparse" in kinds:
        return f"; save it in full, as x = full({kinds['sparse']}), reshaped to rows x cols x bands"
    return ""


def candidates(variables: Sequence[Variable], *, ndim: int) -> list[Variable]:
    """Variables that can be a cube (``ndim`` 3) or a map (2)."""
    # A scalar or a list of numbers is 2-D in MATLAB, but no map.
    smallest = 1 if ndim == 2 else 0
    return [v for v in variables if v.is_numeric and len(v.shape) == ndim and min(v.shape) > smallest]


def wavelength_variable(variables: Sequence[Variable], shape: Sequence[int]) -> Variable | None:
    """The list of wavelengths that belongs to a cube of this shape, told by its name and its length."""
    found = [v for v in variables if v.is_numeric and _plain(v.name) in _WAVELENGTH_NAMES and _is_list(v)]
    fits = [v for v in found if v.shape and max(v.shape) in shape]
    return fits[0] if len(fits) == 1 else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.rsplit("/", 1)[-1].casefold() if letter.isalnum())


def _is_list(variable: Variable) -> bool:
    """Whether it is a row or column of numbers."""
    return bool(variable.shape) and sum(size != 1 for size in variable.shape) == 1 and len(variable.shape) <= 2
