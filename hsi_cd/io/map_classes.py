"""What the values of a change map are called, and the colours in which they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hsi_cd.io.qml import CLEAR, GREY, RED, Colour
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED

NO_DATA = UNLABELLED
NO_KINDS: Mapping[int, str] = MappingProxyType({})
"""Of a map that tells no kinds of change apart."""
KINDS = "KINDS"
"""Tag of the rasters of a map of kinds of change: the names of its values, as JSON."""

# Tol's vibrant and muted schemes, far apart in simulated colour blindness; further kinds are shades of these.
_KINDS: tuple[tuple[int, int, int], ...] = (
    (0, 119, 187),
    (238, 119, 51),
    (0, 153, 136),
    (204, 51, 17),
    (51, 187, 238),
    (238, 51, 119),
    (153, 153, 51),
    (136, 34, 85),
    (68, 170, 153),
    (221, 204, 119),
    (51, 34, 136),
    (170, 68, 153),
)
_SHADE = 0.6  # of each colour, once all have been given


@dataclass(frozen=True)
class MapClasses:
    """Names and colours by value.

    Attributes:
        names: of all values that occur, no data among them.
        colours: RGBA.
    """

    names: Mapping[int, str]
    colours: Mapping[int, Colour]


CHANGE_CLASSES = MapClasses(
    {UNCHANGED: "unchanged", CHANGED: "changed", NO_DATA: "no data"},
    {UNCHANGED: GREY, CHANGED: RED, NO_DATA: CLEAR},
)
"""Those of change maps."""
COLOURS = CHANGE_CLASSES.colours
"""Colour table of change maps, RGBA by value."""


def kind_tags(kinds: Mapping[int, str]) -> dict[str, str]:
    """What a raster of a map of kinds says of them, by tag; nothing where there are none.

    Args:
        kinds: names by value, the unchanged among them.
    """
    return {KINDS: json.dumps({str(value): name for value, name in kinds.items()})} if kinds else {}


def kinds_of_tags(tags: Mapping[str, str]) -> Mapping[int, str]:
    """The names that :func:`kind_tags` wrote; none where there are none, or they were changed since."""
    try:
        told = {int(value): str(name) for value, name in json.loads(tags.get(KINDS, "{}")).items()}
    except (ValueError, AttributeError):
        return NO_KINDS
    return told if all(0 <= value < NO_DATA for value in told) else NO_KINDS


def kind_colour(kind: int) -> Colour:
    """The colour of a kind of change, from 1 on."""
    rounds, place = divmod(kind - 1, len(_KINDS))
    red, green, blue = (round(part * _SHADE**rounds) for part in _KINDS[place])
    return red, green, blue, 255


def classes_of(kinds: Mapping[int, str]) -> MapClasses:
    """Those of a map of kinds of change; of a change map where there are none.

    Args:
        kinds: names by value, the unchanged among them.
    """
    if not kinds:
        return CHANGE_CLASSES
    colours = {value: GREY if value == UNCHANGED else kind_colour(value) for value in kinds}
    return MapClasses({**kinds, NO_DATA: "no data"}, {**colours, NO_DATA: CLEAR})
