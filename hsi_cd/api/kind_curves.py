"""Curves of the kinds of change of a map that lies in a file, from the dates that it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsi_cd.io import read_class_map
from hsi_cd.io.class_maps import TWO
from hsi_cd.io.map_classes import kind_colour
from hsi_cd.prepare.kind_sums import spectra_of_map
from hsi_cd.prepare.stratified_sample import Areas
from hsi_cd.reporting.html.kind_panel import KindChart, kind_charts
from hsi_cd.scene import UNCHANGED, ScenePair, window_of


def kind_curves(change: Path, pair: ScenePair | None, areas: Areas) -> list[KindChart]:
    """A chart of each kind of a map; none where it tells no kinds apart, or no dates are given.

    Args:
        change: file of the map.
        pair: the two dates, on whose grid the map lies.
        areas: areas of the map's pixels in some of its rows.

    Raises:
        GridError: dates and map do not lie on one grid.
        FormatError: the file is no change map.
    """
    if pair is None:
        return []
    held = read_class_map(change)
    kinds = [value for value in held.names if value != UNCHANGED]
    if (set(held.names) == set(TWO) and held.names == TWO) or not np.isin(held.values, kinds).any():
        return []
    names = ("the map", f"the scene {pair.name}")
    window = window_of(held.grid, pair.grid, names=names, remedy="give the two dates of this map")
    found = spectra_of_map(held.values, pair, areas, window=window)
    colours = {number: kind_colour(number) for number in found}
    return kind_charts(found, held.names, centres=pair.bands.centres, colours=colours)
