"""Where a scene and its truth lie, and what is asked of the two dates, as values that travel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_cd.api.area_choice import ALL_OF_IT, AreaChoice
from hsi_cd.paths import as_path

if TYPE_CHECKING:
    from hsi_cd.io.class_names import ClassNames
    from hsi_cd.scene import LabelScheme


@dataclass(frozen=True)
class Contract:
    """What is asked of two dates.

    Attributes:
        align: resample t2 onto t1's grid.
        common_bands: keep only the bands that both dates (and the checkpoint) have, in one order.
        band_tolerance: largest difference of centre wavelengths, nm, of the same band.
        saturated: stored value from which a pixel is saturated; None for the rule for integers.
        nodata: stored values that mean no data in both dates, beside those that the files declare.
        allow_identical: take two dates that are one file, or hold the same values.
        register: lay t2 on t1 by the shift between them; None where nobody said.
        mask: what is left out of both dates, see :func:`hsi_cd.api.masking.parse_masks`.
        area: what alone of the scene is of interest.
    """

    align: bool = False
    common_bands: bool = False
    band_tolerance: float = 5.0
    saturated: float | None = None
    nodata: tuple[float, ...] = ()
    allow_identical: bool = False
    register: bool | None = None
    mask: Any = "auto"
    area: AreaChoice = ALL_OF_IT


@dataclass(frozen=True)
class SceneSource:
    """Where a scene lies: a benchmark scene by its name, or two dates.

    Attributes:
        dataset: name of a benchmark scene, or None.
        root: folder that holds one folder per benchmark scene.
        t1: the earlier date, in any of the forms that :func:`hsi_cd.open_pair` takes; None beside a dataset.
        t2: the later date.
        keys: variables of t1 and t2, where they are files with several.
        axes: axes of bare arrays as stored, as ``bands,rows,cols``; None to find them.
        resample: bring single-band files of several pixel sizes to the finest.
        name: what runs and tables call a scene of one's own; None for a name from its files.
        memory: bytes for blocks of both dates' files that are kept decoded; None for as much as serves.
    """

    dataset: str | None = None
    root: Path = Path("data")
    t1: Any = None
    t2: Any = None
    keys: tuple[str | None, str | None] = (None, None)
    axes: str | Sequence[str] | None = None
    resample: bool = False
    name: str | None = None
    memory: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are named, those of t1 first; none of a benchmark scene."""
        return tuple(path for date in (self.t1, self.t2) for path in as_paths(date))


@dataclass(frozen=True)
class TruthSource:
    """Where a truth map or drawn labels lie, what their values mean, and how they come onto a scene's pixels.

    Attributes:
        source: in any of the forms that :func:`hsi_cd.open_labels` takes; None where there is none.
        key: variable of a file with several.
        scheme: what the stored values mean; None to tell it from the values.
        layer: of drawn labels, the layer of each file; None for the only one.
        field: of drawn labels, the field that tells the class; None to find it.
        align: bring a truth map onto the scene's grid, by nearest neighbour.
        kinds: whether it is to tell kinds of change apart: of a benchmark scene's truths the one that does is
            read, and values that nobody declared are kinds, all but the unchanged.
        names: of the kinds: a table of values and names, or names by value; None for the truth's own.
    """

    source: Any = None
    key: str | None = None
    scheme: LabelScheme | ClassNames | None = None
    layer: str | None = None
    field: str | None = None
    align: bool = False
    kinds: bool = False
    names: Any = None


def as_paths(source: Any) -> tuple[Path, ...]:
    """The files that name a date or a truth; none where it lies in memory."""
    if isinstance(source, str | os.PathLike):
        return (as_path(source),)
    if isinstance(source, list | tuple) and all(isinstance(each, str | os.PathLike) for each in source):
        return tuple(as_path(each) for each in source)
    return ()


def as_values(given: float | Sequence[float] | None) -> tuple[float, ...]:
    """The values of ``nodata``, of which there may be none, one, or several."""
    if given is None:
        return ()
    several = given if isinstance(given, Sequence) else (given,)
    return tuple(dict.fromkeys(float(value) for value in several))
