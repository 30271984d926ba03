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


def map_shape_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without axes of length 1, the last first, until two are left: a map's, where it is one."""
    sizes = list(shape)
    for axis in reversed(range(len(shape))):
        if len(sizes) > 2 and shape[axis] == 1:
            del sizes[axis]
    return tuple(sizes)


@dataclass(frozen=True)
class Variable:
    """One variable of a file of arrays.

    Attributes:
        name: its name; a path as ``group/name`` where arrays are grouped, ``data.gt`` for a field of a structure;
            empty for a file's only, nameless array.
        shape: its shape, in the order that users of the format say.
        kind: its type in the words of the format, as ``double`` or ``struct``.
        dtype: type of its numbers, or None where it holds no real numbers.
        reverse: whether the file stores its axes last to first.
        in_structure: whether it is a field of a structure of MATLAB.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    dtype: np.dtype[Any] | None
    reverse: bool = False
    in_structure: bool = False

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
        named = find_named(variables, key)
        if named is None:
            raise FormatError(f"{path} has no variable {key!r}: it holds {listed(variables)}")
        sizes = map_shape_of(named.shape) if ndim == 2 else named.shape
        if not named.is_numeric or len(sizes) != ndim or 0 in sizes:
            raise FormatError(f"{path}: variable {named} is no {wanted}; the file holds {listed(variables)}")
        return named
    fits = candidates(variables, ndim=ndim)
    if ndim == 2 and not fits:
        fits = _outermost([v for v in variables if v.is_numeric and _is_map(map_shape_of(v.shape))])
    if len(fits) != 1:
        number = "no" if not fits else f"{len(fits)} candidates for the one"
        raise FormatError(f"{path} has {number} {wanted}: it holds {listed(variables)}{_way_out(variables, fits)}")
    return fits[0]


def _way_out(variables: Sequence[Variable], fits: Sequence[Variable]) -> str:
    """What to do where the image is hidden in an object or stored as a sparse matrix."""
    if fits:
        return ""
    kinds = {v.kind: v.name for v in variables}
    if "object" in kinds:
        field = f"{kinds['object']}.FIELD"
        return f"; save the field that holds the image as a variable of its own, as x = {field}; save -v7.3 x"
    if "cell" in kinds:
        return f"; save the element that holds the image as a variable of its own, as x = {kinds['cell']}{{1}}"
    if "sparse" in kinds:
        return f"; save it in full, as x = full({kinds['sparse']}), reshaped to rows x cols x bands"
    return ""


def find_named(variables: Sequence[Variable], key: str) -> Variable | None:
    """The variable of this name; a field of a structure is called ``data.gt`` or ``data/gt``."""
    exact = [v for v in variables if v.name == key]
    plain = key.strip("/").replace("/", ".")  # "/a/b" is what HDF5's own tools call a/b
    alike = [v for v in variables if v.name.replace("/", ".") == plain]
    return next(iter([*exact, *alike]), None)


def candidates(variables: Sequence[Variable], *, ndim: int) -> list[Variable]:
    """Variables that can be a cube (``ndim`` 3) or a map (2); fields of structures where there is no other."""
    numeric = [v for v in variables if v.is_numeric and len(v.shape) == ndim]
    return _outermost([v for v in numeric if (_is_map(v.shape) if ndim == 2 else all(v.shape))])


def _outermost(found: list[Variable]) -> list[Variable]:
    return [v for v in found if not v.in_structure] or found


def _is_map(shape: tuple[int, ...]) -> bool:
    # A scalar or a list of numbers is 2-D in MATLAB, but no map.
    return len(shape) == 2 and min(shape) > 1


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
