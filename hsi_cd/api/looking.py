"""What there is: in files, in the catalogue, among the methods. Nothing is learned, and little is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hsi_cd.api.area_choice import ALL_OF_IT, AreaChoice
from hsi_cd.api.bounding import find_area
from hsi_cd.api.masking import Masks, mask_own, mask_with, parse_masks
from hsi_cd.api.pairing import warn_of_doubts
from hsi_cd.api.product_pairs import as_dates
from hsi_cd.datasets import CATALOGUE
from hsi_cd.errors import FormatError, HsiCdError, RegistrationError
from hsi_cd.io import atomic_path, parse_axes
from hsi_cd.io.inspect import FileInfo, Part, Summary, inspect_paths, summarise
from hsi_cd.io.memory import gigabytes
from hsi_cd.io.products.raster_layers import ranges
from hsi_cd.prepare.coregistration import measure_coregistration
from hsi_cd.prepare.residual_shift import WORTH_TELLING
from hsi_cd.reporting.images import false_colour, stretch_limits
from hsi_cd.scene import Cube, ScenePair, check_same_bands, check_same_grid
from hsi_cd.scene.area_of_interest import cut_cube
from hsi_cd.scene.matching import BAND_TOLERANCE, match_bands
from hsi_cd.scene.quality import shares

__all__ = [
    "Comparison",
    "Part",
    "SeenFile",
    "Summary",
    "compare_cubes",
    "gigabytes",
    "look_at",
    "mask_shares",
    "ranges",
    "scenes_of_shape",
    "write_quick_look",
]


@dataclass(frozen=True)
class SeenFile:
    """A file, and what its images hold.

    Attributes:
        info: what the file says.
        parts: its images, or of each its area of interest.
        summaries: of these, in their order.
    """

    info: FileInfo
    parts: tuple[Part, ...]
    summaries: tuple[Summary, ...]


@dataclass(frozen=True)
class Comparison:
    """Whether two cubes can be the dates of a scene, and how far they are apart.

    Attributes:
        names: what they are called.
        grid: why their grids are not one, or None.
        bands: why their bands are not the same, or None.
        matched_by: what told which bands are the same; empty where they were not compared.
        shift: of t2 against t1, pixels (down, right), or None where it was not measured.
        shift_text: the shift in words, or None.
        unmeasured: why it was not measured, or what no shift undoes; else None.
    """

    names: tuple[str, str]
    grid: str | None
    bands: str | None
    matched_by: str
    shift: tuple[float, float] | None
    shift_text: str | None
    unmeasured: str | None

    @property
    def fits(self) -> bool:
        """Whether they are two dates of one scene, as they lie or registered."""
        return not (self.grid or self.bands or self.unmeasured)

    @property
    def verdict(self) -> str:
        """``fits``, ``fits after register=True``, or ``does not fit, because`` of what."""
        if why := self.grid or self.bands or self.unmeasured:
            return f"does not fit, because {why}"
        shift = self.shift or (0.0, 0.0)
        return "fits" if math.hypot(*shift) <= WORTH_TELLING else "fits after register=True"


def look_at(
    paths: Sequence[Path],
    *,
    key: str | None = None,
    axes: str | None = None,
    resample: bool = False,
    nodata: Sequence[float] = (),
    mask: Any = "auto",
    area: AreaChoice = ALL_OF_IT,
) -> list[SeenFile]:
    """What is in files, each read once in blocks.

    Args:
        paths: files, and folders of files.
        key: the one variable to look at in files of arrays.
        axes: axes of an array that does not tell them, as ``bands,rows,cols``.
        resample: bring single-band files of several pixel sizes to the finest.
        nodata: stored values that mean no data, beside those that the files declare.
        mask: what is left out of images, see :func:`hsi_cd.open_pair`.
        area: what alone of each image is looked at.

    Raises:
        MissingInputError: a file is not there.
        FormatError: a file is damaged, or the axes are no axes.
        GridError: an image has no pixel in the area of interest, or no place.
    """
    chosen = None if axes is None else parse_axes(axes)
    found = inspect_paths(paths, key=key, axes=chosen, resample=resample)
    if nodata:
        found = [replace(info, parts=tuple(_declaring(part, nodata) for part in info.parts)) for info in found]
    masks = parse_masks(mask)
    found = [replace(info, parts=tuple(_masked(part, masks) for part in info.parts)) for info in found]
    looked = [tuple(_in_area(part, area) for part in info.parts) for info in found]
    return [SeenFile(info, parts, tuple(map(summarise, parts))) for info, parts in zip(found, looked, strict=True)]


def mask_shares(cube: Cube) -> dict[str, float | None]:
    """The share of a product's pixels that each of its masks covers; None of one whose file is missing."""
    own = () if cube.product is None else cube.product.masks
    missing: dict[str, float | None] = {mask.name: None for mask in own if mask.missing}
    return missing | dict(shares([mask for mask in own if not mask.missing], cube.grid)[0])


def compare_cubes(seen: Sequence[SeenFile]) -> Comparison | None:
    """How two cubes among files go together; None where there are not exactly two."""
    cubes = [part.cube for file in seen for part in file.info.parts if not part.is_map]
    return _compare(*cubes) if len(cubes) == 2 else None


def scenes_of_shape(part: Part) -> list[str]:
    """The benchmark scenes that an image, or a map, has the shape of."""
    grid, bands = part.cube.grid, part.cube.bands.count
    shape = (grid.rows, grid.cols, bands)
    depth = 2 if part.is_map else 3
    return [entry.name for entry in CATALOGUE.values() if shape[:depth] == entry.shape[:depth]]


def write_quick_look(path: Path, seen: Sequence[SeenFile], *, overwrite: bool) -> None:
    """All images side by side; those of one shape share their stretch, so that dates compare by eye.

    Raises:
        OutputError: the file cannot be written.
        FormatError: there is no image.
    """
    summaries = [summary for file in seen for summary in file.summaries]
    if not summaries:
        raise FormatError(f"{path} would be empty: there is no image to look at; name one, too")
    looks = [np.repeat(s.quick, 3, axis=0) if len(s.quick) == 1 else s.quick for s in summaries]
    images = []
    for i, look in enumerate(looks):
        alike = [o for j, o in enumerate(looks) if o.shape == look.shape and len(summaries[j].quick) == 3]
        limits = stretch_limits(*alike) if len(summaries[i].quick) == 3 else stretch_limits(look, low=0, high=100)
        images.append(false_colour(look, limits=limits))
    height = max(image.shape[0] for image in images)
    page = np.full((height, sum(image.shape[1] + 4 for image in images) - 4, 3), 255, dtype=np.uint8)
    left = 0
    for image in images:
        page[: image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1] + 4
    with atomic_path(path, overwrite=overwrite) as draft:
        Image.fromarray(page).save(draft, format="PNG")


def _masked(part: Part, masks: Masks) -> Part:
    """An image without what masks cover, those whose files are missing left out; a map is none."""
    if part.is_map:
        return part
    cube, product = part.cube, part.cube.product
    if product is not None:
        there = tuple(mask for mask in product.masks if not mask.missing)
        cube = replace(cube, product=replace(product, masks=there))
    (cube,) = mask_with([mask_own(cube, masks)], masks, align=False)
    return replace(part, cube=replace(cube, product=product))


def _in_area(part: Part, choice: AreaChoice) -> Part:
    area = find_area(choice, part.cube.grid, place=part.cube.name)
    return part if area is None else replace(part, cube=cut_cube(part.cube, area))


def _declaring(part: Part, nodata: Sequence[float]) -> Part:
    return replace(part, cube=replace(part.cube, fill=tuple(nodata)))


def _compare(first: Cube, second: Cube) -> Comparison:
    names = (first.name, second.name)
    faults: dict[str, str | None] = {"grid": None, "bands": None}
    if first.product is not None and second.product is not None:  # what is told of them apart is left out by now
        try:
            first, second = as_dates(first, second, Masks(auto=False), tolerance=BAND_TOLERANCE)
        except HsiCdError as error:
            return Comparison(names, str(error), None, "", None, None, None)
    try:
        remedy = f"resample {names[1]} to the grid of {names[0]}, or use align=True"
        check_same_grid(first.grid, second.grid, names=names, remedy=remedy)
    except HsiCdError as error:
        faults["grid"] = str(error)
    try:
        check_same_bands(first.bands, second.bands, names=names)
    except HsiCdError as error:
        faults["bands"] = str(error)
    found, why = None, None
    try:
        if not any(faults.values()):
            pair = ScenePair(first, second)
            warn_of_doubts(pair)
            found = measure_coregistration(pair)
    except RegistrationError as error:
        why = str(error)
    return Comparison(
        names,
        faults["grid"],
        faults["bands"],
        match_bands(first.bands, second.bands).by,
        None if found is None else (found.down, found.right),
        None if found is None else found.describe(),
        why,
    )
