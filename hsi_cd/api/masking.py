"""What is left out of two dates because a mask says so: a product's own, or the user's."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, FormatError
from hsi_cd.io.mask_files import read_mask
from hsi_cd.paths import as_path
from hsi_cd.places import file_name, file_of, is_place
from hsi_cd.prepare import alignment
from hsi_cd.scene import CHANGED, UNCHANGED, Cube, Grid, Labels, ScenePair, check_same_grid
from hsi_cd.scene.contract import corner_distance, is_same_grid
from hsi_cd.scene.quality import MASK_KINDS, ArrayMask, chosen_masks, shares, without
from hsi_cd.scene.undeclared import percent

__all__ = ["MASK_KINDS", "Masks", "mask_files", "mask_own", "mask_with", "parse_masks", "warn_of_masks"]

_log = logging.getLogger(__name__)

_AN_ARRAY = "an array"


@dataclass(frozen=True)
class Masks:
    """What is to be left out.

    Attributes:
        auto: what each product itself leaves out.
        kinds: kinds of its masks besides.
        drawn: the user's own, each a file or an array ``(rows, cols)``.
        asked: the words in which they are asked for, one each; an array is called that.
    """

    auto: bool = True
    kinds: tuple[str, ...] = ()
    drawn: tuple[Any, ...] = ()
    asked: tuple[str, ...] = ("auto",)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files among the user's own."""
        return tuple(each for each in self.drawn if isinstance(each, Path))


def parse_masks(mask: Any) -> Masks:
    """What ``mask=`` asks for.

    Args:
        mask: ``"auto"`` (what each product leaves out), ``"none"`` or None, kinds as ``"cloud,shadow"``, the file
            of a raster (what is not 0 is left out) or of shapes (what they cover is), an array ``(rows, cols)``;
            or several of these in a list, which count together.

    Raises:
        ConfigError: it is none of these.
    """
    if mask is None:
        return Masks(auto=False, asked=("none",))
    if isinstance(mask, Masks):
        return mask
    auto, none = False, False
    kinds: list[str] = []
    drawn: list[Any] = []
    several = mask if isinstance(mask, list | tuple) else [mask]
    for each in several:
        if isinstance(each, np.ndarray):
            drawn.append(each)
        elif not isinstance(each, str | os.PathLike):
            raise ConfigError(f"mask is a {type(each).__name__}: give 'auto', 'none', kinds, a file or an array")
        elif str(each).strip().lower() in ("auto", "none"):
            auto, none = (auto or str(each).strip().lower() == "auto"), none or str(each).strip().lower() == "none"
        elif isinstance(each, str) and (named := _kinds(each)):
            kinds += named
        else:
            path = as_path(each)
            if not is_place(path) and not path.exists():
                raise ConfigError(
                    f"mask is {str(each)!r}, no file that is there: give auto, none, kinds as cloud,shadow (of "
                    f"{', '.join(MASK_KINDS)}), or the file of a raster or of polygons"
                )
            drawn.append(path)
    if none and (auto or kinds or drawn):
        raise ConfigError("mask='none' leaves nothing out: leave it away beside other masks")
    asked = tuple(_AN_ARRAY if isinstance(each, np.ndarray) else str(each) for each in several) or ("none",)
    return Masks(auto, tuple(dict.fromkeys(kinds)), tuple(drawn), asked)


def mask_own(cube: Cube, masks: Masks, *, date: str = "") -> Cube:
    """A cube without what its product marks, which is told with its share where the cube is a date.

    Args:
        cube: the cube, on its own grid.
        masks: what is to be left out.
        date: what messages call it, as ``t1``; empty where nothing is to be told.

    Raises:
        FormatError: a kind is asked for that it has no mask of, or the mask's file is missing.
    """
    chosen = list(chosen_masks(cube, None)) if masks.auto else []
    if masks.kinds:
        chosen += [mask for mask in chosen_masks(cube, masks.kinds) if mask not in chosen]
    if not chosen:
        return cube
    by_kind, together = shares(chosen, cube.grid) if date else ({}, 0.0)
    if together:
        told = ", ".join(f"{kind} {percent(share)}" for kind, share in by_kind.items() if share)
        _log.warning(
            "%s (%s): %s of its pixels are left out by its masks (%s): 255 in the map; mask='none' keeps them",
            date,
            cube.name,
            percent(together),
            told,
        )
    return without(cube, [mask.reader for mask in chosen])


def mask_with(cubes: Sequence[Cube], masks: Masks, *, align: bool) -> list[Cube]:
    """Cubes of one grid without what the user's own masks cover, which is told with its share.

    Args:
        cubes: the cubes.
        masks: what is to be left out.
        align: bring a raster of another grid onto that of the cubes, by nearest neighbour.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: it is no mask, or leaves no pixel.
        GridError: it lies on another grid and is not, or cannot be, aligned.
    """
    if not masks.drawn:
        return list(cubes)
    grid = next((cube.grid for cube in cubes if cube.grid.is_georeferenced), cubes[0].grid)
    covered = np.zeros(grid.shape, dtype=bool)
    for each in masks.drawn:
        covered |= _on(grid, each, align=align)
    names = " and ".join(str(each) if isinstance(each, Path) else _AN_ARRAY for each in masks.drawn)
    if covered.all():
        raise FormatError(f"the mask ({names}) covers every pixel: what it covers, or is not 0, is left out")
    _log.warning("%s of the scene is left out by the mask (%s): 255 in the map", percent(covered.mean()), names)
    # Which no output may replace.
    files = tuple(map(file_of, masks.files))
    return [replace(without(cube, [ArrayMask(covered)]), files=(*cube.files, *files)) for cube in cubes]


def mask_files(mask: Any) -> tuple[Path, ...]:
    """The files among what ``mask=`` asks for, for the record."""
    return parse_masks(mask).files


def warn_of_masks(fitted: Any, pair: ScenePair) -> None:
    """Tell that a scene is mapped without other kinds of pixels than what was fitted on was.

    Masks of the user's own lie in one scene and say nothing of another.

    Args:
        fitted: settings that a checkpoint holds; those of an earlier version say nothing of it.
        pair: the scene.
    """
    said = fitted.get("mask") if isinstance(fitted, Mapping) else None
    if not isinstance(said, list | tuple) or not pair.masks:
        return
    then, now = ([word for word in words if _is_named(word)] or ["none"] for words in (said, pair.masks))
    if set(then) != set(now):
        same = f"; mask='{then[0]}' does the same here" if len(then) == 1 else ""
        _log.warning(
            "what was fitted is of a scene without what the mask %s covers, and %s is mapped with %s%s",
            " and ".join(then),
            pair.name,
            " and ".join(now),
            same,
        )


def _is_named(word: Any) -> bool:
    """Whether a word asks for the masks of a product, and is no file."""
    return isinstance(word, str) and (word.strip().lower() in ("auto", "none") or bool(_kinds(word)))


def _on(grid: Grid, mask: Any, *, align: bool) -> NDArray[np.bool_]:
    """A mask on the grid of a scene."""
    if isinstance(mask, np.ndarray):
        values, own, name = np.asarray(mask != 0), Grid(*mask.shape[:2]), "the mask"
        if mask.ndim != 2:
            raise FormatError(f"the mask has the shape {mask.shape}: expected one value a pixel, (rows, cols)")
    else:
        values, own = read_mask(mask, grid)
        name = f"the mask ({file_name(mask)})"
    if align and own.is_georeferenced and not is_same_grid(own, grid):
        covered = np.where(values, np.uint8(CHANGED), np.uint8(UNCHANGED))
        labels = Labels(covered, name="mask" if isinstance(mask, np.ndarray) else file_name(mask), place=own)
        return np.asarray(alignment.align_labels(labels, grid, what="mask").values == CHANGED)
    remedy = "give a mask on the grid of the scene"
    if corner_distance(own, grid) is not None:
        remedy += ", or resample it with align=True"
    check_same_grid(own, grid, names=(name, "the scene"), remedy=remedy)
    return values


def _kinds(text: str) -> list[str]:
    """The kinds that a text names, with commas between them; none where one of its words is no kind."""
    words = [word.strip().lower() for word in text.split(",")]
    return words if all(word in MASK_KINDS for word in words) else []
