"""A page for people on one map without a truth: dates, map, scores, areas, masks, shift, warnings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from hsi_cd.api.kind_curves import kind_curves
from hsi_cd.api.sources import as_values
from hsi_cd.errors import GridError, RegistrationError
from hsi_cd.inference.scoring import rows_per_band
from hsi_cd.io import read_class_map, read_score_name, read_scores
from hsi_cd.io.map_reading import read_map_tags
from hsi_cd.paths import as_path
from hsi_cd.prepare.coregistration import measure_coregistration
from hsi_cd.prepare.stratified_sample import Areas, areas_of, class_totals
from hsi_cd.reporting.html.elements import step_of
from hsi_cd.reporting.html.map_page import MapView, Region, map_page
from hsi_cd.reporting.images import false_colour, stretch_limits
from hsi_cd.scene import CHANGED, Grid, ScenePair, is_changed, window_of
from hsi_cd.scene.contract import crs_name
from hsi_cd.scene.shown_bands import shown_bands
from hsi_cd.scene.surface import column_step, pixel_aspect, row_step

Image = NDArray[np.uint8]

_LOGGER = logging.getLogger("hsi_cd")
_BLOCK = 256
_TAGS = {
    "SCENE": "scene",
    "T1_DATE": "earlier date taken",
    "T2_DATE": "later date taken",
    "METHOD": "method",
    "SCORE_NAME": "score",
    "THRESHOLD": "threshold of the score",
    "CHANGE_SHARE": "share changed, estimated from the scores that chose the threshold",
    "STATISTICS": "statistics",
    "AREA_OF_INTEREST": "area of interest",
    "AREA_STATISTICS": "statistics measured in the",
    "MASK": "left out (mask)",
    "NODATA": "declared as no data",
    "CHECKPOINT_SHA256": "checkpoint",
    "PRECISION": "precision",
    "SOFTWARE": "software",
}
"""Titles of what a map says of itself, in the order in which it is told."""


def report_map(
    change: str | Path,
    pair: Callable[[], ScenePair] | ScenePair | None = None,
    *,
    score: str | Path | None = None,
    probability: str | Path | None = None,
    title: str = "",
    nodata: Sequence[float] = (),
) -> str:
    """The page of one map.

    Args:
        change: file of the map, as :func:`hsi_cd.detect` and :func:`hsi_cd.predict` write it, or any change map.
        pair: the two dates, or what opens them: what this warns of is told on the page.
        score: file of the scores.
        probability: file of the probabilities.
        title: of the page; the map's name by default.
        nodata: values of the map that mean no data, beside those that it declares.

    Returns:
        A whole HTML document.

    Raises:
        GridError: dates, scores and map do not lie on one grid.
        HsiCdError: a file cannot be read.
    """
    path = as_path(change)
    with _heard() as warnings:
        mapped = read_class_map(path, nodata=as_values(nodata))
        values, grid = mapped.values, mapped.grid
        tags = read_map_tags(path)
        scores = _scores(score, probability, values.shape)
        areas, unit = areas_of(grid)
        pixels, area = class_totals(values, areas)
        opened = pair() if callable(pair) else pair
        dates, shown, shift = _dates(opened, grid)
        curves = kind_curves(path, opened, areas)
    told = {words: tags[name] for name, words in _TAGS.items() if tags.get(name)}
    if limit := tags.get("THRESHOLD"):
        told[_TAGS["THRESHOLD"]] = f"{float(limit):.4g}"
    if "SOFTWARE" in tags:
        told.setdefault("left out (mask)", "nothing by a mask")
    told["size"] = _size(grid)
    if "REGISTERED" in tags:
        down, right = (float(part) for part in tags["REGISTERED"].split())
        told["registered"] = f"date 2 was laid on date 1: {down:.2f} pixels down and {right:.2f} right were undone"
    told |= shift
    if opened is None:
        told["dates"] = "not given: name them (--t1 and --t2) to see them, their masks and their shift"
    chances = next((values for name, values in scores.items() if name.startswith("probability")), None)
    if not is_changed(values).any():
        warnings.append("no pixel is called changed")
    view = MapView(
        values,
        dates,
        shown,
        scores,
        {value: float(area[value]) for value in np.flatnonzero(pixels).tolist()},
        unit,
        _regions(values, areas, chances, kinds=mapped.kinds or {CHANGED: ""}),
        told,
        tuple(dict.fromkeys(warnings)),
        pixel_aspect(grid),
        mapped.kinds or {},
        curves=curves,
    )
    return map_page(view, title=title or f"Change map {path.name}")


def _scores(
    score: str | Path | None, probability: str | Path | None, shape: tuple[int, ...]
) -> dict[str, NDArray[np.float32]]:
    """The rasters of scores by what they are."""
    found: dict[str, NDArray[np.float32]] = {}
    for path, called in ((probability, "probability of change"), (score, "score")):
        if path is None:
            continue
        values = read_scores(path)
        if values.shape != shape:
            raise GridError(
                f"{path} is of {values.shape[0]} x {values.shape[1]} pixels but the map of {shape[0]} x "
                f"{shape[1]}: give the scores of this map"
            )
        name, is_probability = _named(as_path(path))
        if path is probability and not _is_share(values):
            raise GridError(f"{path} holds no probabilities: they are 0 to 1; give it as score=")
        found["probability of change" if is_probability or path is probability else name or called] = values
    return found


def _named(path: Path) -> tuple[str, bool]:
    return read_score_name(path) if read_map_tags(path) else ("", False)


def _is_share(values: NDArray[np.float32]) -> bool:
    known = values[np.isfinite(values)]
    return not known.size or (float(known.min()) >= 0 and float(known.max()) <= 1)


def _dates(pair: ScenePair | None, grid: Grid) -> tuple[tuple[Image, Image] | None, str, dict[str, str]]:
    """Pictures of both dates, which bands they show, and what masks and shift are."""
    if pair is None:
        return None, "", {}
    names = ("the map", f"the scene {pair.name}")
    down, right = window_of(grid, pair.grid, names=names, remedy="give the two dates of this map")
    shown = shown_bands(pair.bands, used=pair.used)
    step, bands = step_of(grid.shape), list(shown.indices)
    rows = rows_per_band(pair, 0)
    parts = []
    for start in range(0, grid.rows, rows):
        stop = min(start + rows, grid.rows)
        block = pair.read(slice(down.start + start, down.start + stop), right)
        parts.append([date[bands, -start % step :: step, ::step] for date in block])
    t1, t2 = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    limits = stretch_limits(t1, t2)
    told = {"date 1": pair.t1.name, "date 2": pair.t2.name}
    if pair.mask:
        told["left out now (mask)"] = pair.mask
    try:
        told["shift of date 2"] = measure_coregistration(pair).describe()
    except RegistrationError as error:
        told["shift of date 2"] = f"not known: {error}"
    return (false_colour(t1, limits=limits), false_colour(t2, limits=limits)), shown.words, told


def _size(grid: Grid) -> str:
    text = f"{grid.rows:,} x {grid.cols:,} pixels"
    if grid.transform is None or grid.crs is None:
        return f"{text}; nothing tells where they lie"
    middle = {"col": grid.cols / 2, "row": grid.rows / 2}
    across, down = (each(grid.transform, grid.crs, **middle) for each in (column_step, row_step))
    if across is not None and down is not None:
        text += f" of {across:.4g} x {down:.4g} m"
    return f"{text}; {crs_name(grid.crs)}"


def _regions(
    values: NDArray[np.uint8], areas: Areas, chances: NDArray[np.float32] | None, *, kinds: Mapping[int, str]
) -> list[Region]:
    """The changed regions, each of one kind, the largest first."""
    found = [
        Region(*each, kind=name)
        for kind, name in kinds.items()
        if (values == kind).any()
        for each in _regions_of(values == kind, areas, chances)
    ]
    return sorted(found, key=lambda region: -region.area)


def _regions_of(
    changed: NDArray[np.bool_], areas: Areas, chances: NDArray[np.float32] | None
) -> list[tuple[float, int, float | None]]:
    """Area, pixels and mean probability of each region, the largest first."""
    numbers = np.empty(changed.shape, dtype=np.int32)
    count = int(scipy.ndimage.label(changed, output=numbers))
    sums, pixels, means = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    for start in range(0, len(changed), _BLOCK):
        part = numbers[start : start + _BLOCK].ravel()
        rows = slice(start, start + _BLOCK)
        sums += np.bincount(
            part, weights=areas(slice(start, min(start + _BLOCK, len(changed)))).ravel(), minlength=count + 1
        )
        pixels += np.bincount(part, minlength=count + 1)
        if chances is not None:
            means += np.bincount(part, weights=np.nan_to_num(chances[rows]).ravel(), minlength=count + 1)
    order = np.argsort(-sums[1:], kind="stable") + 1
    return [
        (float(sums[i]), int(pixels[i]), None if chances is None else float(means[i] / pixels[i])) for i in order
    ]


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What is warned of while this lasts; it is logged as ever, too."""
    found: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    keeper = Keeper(logging.WARNING)
    _LOGGER.addHandler(keeper)
    try:
        yield found
    finally:
        _LOGGER.removeHandler(keeper)
