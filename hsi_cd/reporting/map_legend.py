"""What the colours of change maps, of kinds of change and of errors mean, as a legend lists it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hsi_cd.reporting.images import (
    BLACK,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    GREY,
    TRAINING,
    WHITE,
    WRONG_KIND,
    Colour,
    kind_colours,
)


def legend_entries(
    *,
    errors: bool,
    training: bool,
    kinds: Mapping[int, str] = MappingProxyType({}),
    wrong_kinds: bool = False,
) -> list[tuple[str, Colour]]:
    """Text and colour of a legend.

    Args:
        errors: of error maps, too, and not of change maps alone.
        training: whether these mark training pixels.
        kinds: names of the kinds of change that the maps show, by number.
        wrong_kinds: whether the errors tell kinds apart.
    """
    colours = kind_colours(kinds)
    told = [(name, colours[kind]) for kind, name in kinds.items() if kind in colours]
    if not errors:
        return [*(told or [("changed", WHITE)]), ("unchanged", BLACK), ("no data", GREY)]
    # Kinds and errors have colours of their own, and a kind's may look as an error's.
    of = "errors: " if told else ""
    right = "right kind" if wrong_kinds else "changed, true positive"
    entries = [
        *told,
        (f"{of}{right}", WHITE),
        ("unchanged" if told else "unchanged, true negative", BLACK),
        (f"{of}false positive", FALSE_POSITIVE),
        (f"{of}false negative", FALSE_NEGATIVE),
        *([(f"{of}wrong kind", WRONG_KIND)] if wrong_kinds else []),
        ("unlabelled or no data", GREY),
    ]
    return [*entries, (f"{of}training pixel", TRAINING)] if training else entries
