"""Truth maps: what their numbers mean, mapped once at the border."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.scene.grid import Grid

UNCHANGED, CHANGED, UNLABELLED = 0, 1, 255


def is_changed(values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a map of changes, or of kinds of change, says changed, of whatever kind."""
    changed: NDArray[np.bool_] = (values != UNCHANGED) & (values != UNLABELLED)
    return changed


@dataclass(frozen=True)
class LabelScheme:
    """Which stored values mean what.

    Attributes:
        unchanged: stored values of unchanged pixels.
        changed: stored values of changed pixels; several where a truth tells kinds of change apart.
        ignore: stored values of pixels nobody labelled.

    Raises:
        LabelError: a value is declared twice.
    """

    unchanged: tuple[int, ...]
    changed: tuple[int, ...]
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        said = [*self.unchanged, *self.changed, *self.ignore]
        twice = sorted({value for value in said if said.count(value) > 1})
        if twice:
            raise LabelError(
                f"label value {', '.join(map(str, twice))} is declared twice ({self.describe()}): "
                "a value is changed, unchanged or unlabelled"
            )

    @property
    def has_kinds(self) -> bool:
        """Whether several values mean changed, each a kind of change of its own."""
        return len(self.changed) > 1

    def encode(self, stored: NDArray[np.generic], *, name: str = "truth") -> NDArray[np.uint8]:
        """Map stored values ``(rows, cols)`` to 0 unchanged, 1 changed, 255 unlabelled.

        Raises:
            LabelError: a value is found that the scheme does not explain; all such values are listed with counts.
        """
        out = np.full(stored.shape, UNLABELLED, dtype=np.uint8)
        known = np.zeros(stored.shape, dtype=bool)
        for code, values in ((UNCHANGED, self.unchanged), (CHANGED, self.changed), (UNLABELLED, self.ignore)):
            hit = np.isin(stored, values)
            out[hit] = code
            known |= hit
        if not known.all():
            values, counts = np.unique(stored[~known], return_counts=True)
            found = ", ".join(f"{v:g} ({n} pixels)" for v, n in zip(values[:8], counts[:8], strict=True))
            more = f" and {len(values) - 8} more" if len(values) > 8 else ""
            raise LabelError(f"{name}: unexpected label values {found}{more}: expected {self.describe()}")
        return out

    def describe(self) -> str:
        """The scheme in words, as ``1 unchanged, 2 changed``."""
        parts = [("unchanged", self.unchanged), ("changed", self.changed), ("unlabelled", self.ignore)]
        return ", ".join(f"{'/'.join(map(str, values))} {word}" for word, values in parts if values)


@dataclass(frozen=True)
class KindTable:
    """Kinds of change, numbered from 1 as maps have them.

    Attributes:
        stored: the value by which a truth tells each kind, in the order of the numbers.
        names: what each is called.

    Raises:
        LabelError: two kinds have one name.
    """

    stored: tuple[int, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise LabelError(f"{', '.join(twice)} names two kinds of change: give each kind a name of its own")

    @property
    def count(self) -> int:
        """Number of kinds."""
        return len(self.stored)

    @property
    def by_number(self) -> dict[int, str]:
        """Names by what a map of kinds holds, the unchanged among them."""
        return {UNCHANGED: "unchanged", **dict(enumerate(self.names, start=1))}


@dataclass(frozen=True)
class Labels:
    """A truth map inside the package.

    Attributes:
        values: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        scheme: the scheme the file was read with.
        name: what messages call it.
        kinds: stored values, integers ``(rows, cols)``, where the scheme tells kinds of change apart; else None.
            They mean something only where ``values`` is changed.
        place: grid of the file, or None where it has no georeference.
        shapes: where labels were drawn as points, lines and polygons, the number of the shape that each labelled
            pixel belongs to, from 1, int32 ``(rows, cols)``, 0 elsewhere; else None. It means something only where
            ``values`` is not unlabelled.
        suggested: numbers of the shapes that lie where :func:`hsi_cd.suggest` named a place: they are harder than
            the scene, so that they teach and, where there are others, do not judge.
        kind_names: what the kinds are called, in the order of ``scheme.changed``; by default ``kind 3`` for a
            stored 3.
    """

    values: NDArray[np.uint8]
    scheme: LabelScheme = LabelScheme(unchanged=(UNCHANGED,), changed=(CHANGED,), ignore=(UNLABELLED,))
    name: str = "truth"
    kinds: NDArray[np.integer] | None = None
    place: Grid | None = None
    shapes: NDArray[np.int32] | None = None
    suggested: tuple[int, ...] = ()
    kind_names: tuple[str, ...] = ()

    @property
    def kind_table(self) -> KindTable | None:
        """The kinds of change that these labels tell apart; None where they tell none."""
        if self.kinds is None:
            return None
        names = self.kind_names or tuple(f"kind {value}" for value in self.scheme.changed)
        return KindTable(self.scheme.changed, names)

    def kind_numbers(self) -> NDArray[np.uint8]:
        """A map of kinds as the truth has it, uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 unlabelled.

        Raises:
            LabelError: the labels tell no kinds apart.
        """
        if self.kinds is None:
            raise LabelError(f"{self.name} tells no kinds of change apart: it has one value for all that changed")
        out = self.values.copy()
        for number, value in enumerate(self.scheme.changed, start=1):
            out[(self.values == CHANGED) & (self.kinds == value)] = number
        return out

    @property
    def grid(self) -> Grid:
        """Shape and, where the file has one, georeference."""
        return self.place or Grid(*self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        rows, cols = self.values.shape
        return rows, cols

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits by which the same truth, its kinds and shapes included, is known again."""
        told = hashlib.sha256(np.array(self.shape, dtype="<i8").tobytes() + self.values.tobytes())
        if self.kinds is not None:
            told.update(np.where(self.values == CHANGED, self.kinds, 0).astype("<i8").tobytes())
        if self.shapes is not None:
            told.update(np.where(self.values == UNLABELLED, 0, self.shapes).astype("<i8").tobytes())
        return told.hexdigest()[:16]

    def counts(self) -> tuple[int, int, int]:
        """Numbers of (unchanged, changed, unlabelled) pixels."""
        counted = np.bincount(self.values.ravel(), minlength=256)
        return int(counted[UNCHANGED]), int(counted[CHANGED]), int(counted[UNLABELLED])
