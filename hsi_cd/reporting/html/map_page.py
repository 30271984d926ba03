"""One HTML file that shows a map of which nobody knows the truth: both dates, the map, scores, areas, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation import BIASED
from hsi_cd.reporting.html.elements import Picture, Sheet, make_picture
from hsi_cd.reporting.html.kind_panel import KindChart
from hsi_cd.reporting.html.rendering import render
from hsi_cd.reporting.html.run_section import score_image
from hsi_cd.reporting.images import class_image
from hsi_cd.reporting.map_legend import legend_entries
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, is_changed


@dataclass(frozen=True)
class Region:
    """Changed pixels that hang together.

    Attributes:
        area: of them.
        pixels: how many they are.
        chance: their mean probability of change, or None.
        kind: what their kind of change is called, where the map tells kinds.
    """

    area: float
    pixels: int
    chance: float | None
    kind: str = ""


@dataclass(frozen=True)
class MapView:
    """A map, and what is known of it.

    Attributes:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed or kinds of change, 255 no data.
        dates: both dates, uint8 ``(rows, cols, 3)``, thinned out or whole; None where they were not given.
        shown: which bands the dates show.
        scores: rasters of scores by what they are, float ``(rows, cols)``, NaN for no data.
        areas: area of the pixels of each class, by its value, in ``unit``.
        unit: ``m2``, or ``pixels`` where nothing tells a length.
        regions: the changed regions, the largest first.
        facts: what is known of the map, by its title.
        warnings: what was warned of.
        tall: how many times as high as wide a pixel is on the ground.
        kinds: names of the kinds of change by number; none of a map of two classes.
        curves: spectra of the kinds of change, where the map has some and the dates were given.
    """

    change: NDArray[np.uint8]
    dates: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None
    shown: str
    scores: Mapping[str, NDArray[np.float32]]
    areas: Mapping[int, float]
    unit: str
    regions: Sequence[Region]
    facts: Mapping[str, str]
    warnings: Sequence[str] = field(default=())
    tall: float = 1.0
    kinds: Mapping[int, str] = field(default_factory=dict)
    curves: Sequence[KindChart] = ()


@dataclass(frozen=True)
class _Layer:
    name: str
    picture: Picture


_LARGEST = 10  # regions that are listed


def map_page(view: MapView, *, title: str) -> str:
    """The page.

    Args:
        view: the map.
        title: of the page.

    Returns:
        A whole HTML document; nothing in it is read from elsewhere.
    """
    images = []
    if view.dates is not None:
        told = f" ({view.shown})" if view.shown else ""
        images = [(f"Date {i}{told}", date) for i, date in enumerate(view.dates, start=1)]
    images.append(("Map", class_image(view.change, view.kinds)))
    images += [(name[0].upper() + name[1:], score_image(score)) for name, score in view.scores.items()]
    changed, valid = int(is_changed(view.change).sum()), int((view.change != UNLABELLED).sum())
    share = f"{100 * changed / valid:.2f} %" if valid else "nothing"
    return render(
        "map.html",
        title=title,
        summary=f"{share} of the {valid:,} pixels with data is called changed. {BIASED}; a reference sample tells "
        "the area (hsi-cd sample, then hsi-cd area).",
        layers=[_Layer(name, make_picture(image, name, tall=view.tall)) for name, image in images],
        colours=dict(legend_entries(errors=False, training=False, kinds=view.kinds)),
        has_scores=bool(view.scores),
        warnings=view.warnings,
        curves=view.curves,
        areas=_areas(view),
        regions=_regions(view),
        facts=Sheet((), [(name, [text]) for name, text in view.facts.items()], words=True),
    )


def in_words(area: float, unit: str) -> str:
    """An area as people write it: hectares, or pixels where nothing tells a length."""
    return f"{area:,.0f} pixels" if unit == "pixels" else f"{area / 1e4:,.2f} ha"


def _areas(view: MapView) -> Sheet:
    total = view.change.size
    rows = []
    classes = {kind: f"called {name}" for kind, name in view.kinds.items()} or {CHANGED: "called changed"}
    for value, name in {**classes, UNCHANGED: "called unchanged", UNLABELLED: "no data"}.items():
        count = int((view.change == value).sum())
        area = in_words(view.areas.get(value, 0.0), view.unit)
        rows.append((name, [f"{count:,}", f"{100 * count / total:.2f} %", area]))
    return Sheet(["", "pixels", "of the scene", "area of these pixels"], rows, caption=f"{BIASED}.")


def _regions(view: MapView) -> Sheet | None:
    if not view.regions:
        return None
    rows = []
    for number, region in enumerate(view.regions[:_LARGEST], start=1):
        chance = "-" if region.chance is None else f"{region.chance:.2f}"
        cells = [in_words(region.area, view.unit), f"{region.pixels:,}", chance]
        rows.append((str(number), [region.kind, *cells] if view.kinds else cells))
    count = len(view.regions)
    few = f"All {count} regions" if count > 1 else "The only region"
    few = f"The {_LARGEST} largest of {count:,} regions" if count > _LARGEST else few
    alike = " of one kind" if view.kinds else ""
    return Sheet(
        ["", *(["kind"] if view.kinds else []), "area", "pixels", "mean probability"],
        rows,
        caption=f"{few} of changed pixels{alike} that hang together by their edges.",
    )
