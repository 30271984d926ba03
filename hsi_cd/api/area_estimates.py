"""How much changed: area and accuracy of a map, from the sample of it that somebody interpreted."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hsi_cd.api.area_samples import ReferenceSample, map_identity, opened_map
from hsi_cd.api.sources import TruthSource
from hsi_cd.api.truths import Values, scheme_of
from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation import AreaEstimate, estimate_accuracy
from hsi_cd.evaluation.area_estimate import FEWEST
from hsi_cd.io.class_fields import UNSAID
from hsi_cd.io.reference_points import ReferencePoints, called, read_reference_points
from hsi_cd.prepare.stratified_sample import Stratum
from hsi_cd.scene import UNLABELLED, Grid

FilePath = str | os.PathLike[str]

_HECTARE = 1e4  # m2
_OFF = 0.51  # pixels from a pixel's middle up to which a point lies in it, whatever a format rounds
_SHOWN = 5
_log = logging.getLogger(__name__)


def estimate_area(
    change: Any,
    sample: ReferenceSample | FilePath | TruthSource,
    *,
    changed: Values = None,
    unchanged: Values = None,
    ignore: Values = None,
    layer: str | None = None,
    field: str | None = None,
    nodata: float | Sequence[float] | None = None,
) -> AreaEstimate:
    """Estimate the area that changed, and the accuracy of the map, each with a 95 % interval.

    Of a map of kinds of change, the area of each kind is estimated, too.

    Args:
        change: the map that the sample was drawn from, in any form that :func:`hsi_cd.sample_map` takes.
        sample: the interpreted sample: the file that was filled in, or a value.
        changed: values of the field that mean changed, in place of *changed*, *yes*, 1 and the like; kinds of
            change have the names that the map gives them.
        unchanged: values that mean unchanged.
        ignore: values of points that nobody could interpret; they are left out, as those without a value are.
        layer: layer of the file, where it has several.
        field: the field that tells the class, in place of ``reference``.
        nodata: values of the map's file that mean no data, as the sample was drawn with.

    Returns:
        The estimates; :meth:`AreaEstimate.to_dict` makes plain values of them.

    Raises:
        LabelError: the sample is of another map or was changed since it was drawn, a class is not understood, or a
            stratum has fewer than two interpreted points.
        GridError: points lie outside the map.

    Reference:
        Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> truth = np.zeros((60, 80), dtype=np.uint8)
        >>> truth[:20, :20] = 1
        >>> change = np.roll(truth, 2, axis=0)
        >>> sample = hc.sample_map(change, per_stratum=80, seed=1).answer(hc.Labels(truth))
        >>> found = hc.estimate_area(change, sample)
        >>> found.unit, found.changed.interval.low < 400 < found.changed.interval.high
        ('pixels', True)
    """
    opened = opened_map(change, nodata)
    values, grid, names = opened.values, opened.grid, opened.names
    identity = map_identity(values)
    if isinstance(sample, ReferenceSample):
        _check_map(sample.map, identity, "the sample")
        return _estimate(sample.stratum, sample.reference, sample.strata, names=names, unit=sample.unit)
    told = sample
    if not isinstance(told, TruthSource):
        told = TruthSource(sample, scheme=scheme_of(changed, unchanged, ignore), layer=layer, field=field)
    points = read_reference_points(
        told.source, grid, names=names, scheme=told.scheme, layer=told.layer, field=told.field
    )
    _check_map(points.map, identity, points.name)
    _check_places(points, values, grid)
    strata = _strata_of(points, values, names)
    said = np.where(points.reference == UNSAID, UNLABELLED, points.reference).astype(np.uint8)
    drawn = {int(code): int(points.drawn[points.stratum == code][0]) for code in np.unique(points.stratum)}
    return _estimate(points.stratum, said, strata, names=names, unit=points.unit, drawn=drawn, name=points.name)


def _check_map(told: str, identity: str, name: str) -> None:
    if told != identity:
        raise LabelError(
            f"{name} was drawn from another map ({told}; this one is {identity}): give the map that it was drawn "
            "from, as it was, or draw a new sample with sample_map"
        )


def _check_places(points: ReferencePoints, values: np.ndarray[Any, Any], grid: Grid) -> None:
    """Refuse points that are not where they were drawn.

    Raises:
        GridError: they lie outside the map, or where it has no data.
        LabelError: they were moved.
    """
    inside = (points.row >= 0) & (points.row < grid.rows) & (points.col >= 0) & (points.col < grid.cols)
    if points.xy is not None:
        x, y = points.xy.T
        inside &= (x >= 0) & (x < grid.cols) & (y >= 0) & (y < grid.rows)
    if not inside.all():
        raise GridError(f"{points.name}: {_named(points, ~inside)} outside the map: {_AS_DRAWN}")
    there = values[points.row, points.col]
    if (there == UNLABELLED).any():
        raise GridError(
            f"{points.name}: {_named(points, there == UNLABELLED)} where the map has no data: {_AS_DRAWN}"
        )
    off = there != points.stratum
    if points.xy is not None:
        off |= np.abs(points.xy - np.stack((points.col, points.row), 1) - 0.5).max(axis=1) > _OFF
    if off.any():
        raise LabelError(f"{points.name}: {_named(points, off)} elsewhere than in the pixel drawn: {_AS_DRAWN}")


_AS_DRAWN = (
    "a point is interpreted where it was drawn; take the place and fields from the file that sample_map wrote"
)


def _named(points: ReferencePoints, which: np.ndarray[Any, Any]) -> str:
    numbers = points.id[which].tolist()
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    listed = ", ".join(map(str, numbers[:_SHOWN])) + more
    return f"point {listed} lies" if len(numbers) == 1 else f"points {listed} lie"


def _strata_of(
    points: ReferencePoints, values: np.ndarray[Any, Any], names: Mapping[int, str]
) -> tuple[Stratum, ...]:
    """The strata as the fields tell them, which the map confirms.

    Raises:
        LabelError: fields were changed, or a stratum of the map has no point.
    """
    strata = []
    for code, word in ((code, called(name)) for code, name in names.items()):
        there, own = int((values == code).sum()), points.stratum == code
        if not there:
            continue
        if not own.any():
            raise LabelError(
                f"{points.name} has no point of the stratum {word!r} ({there:,} pixels): at least {FEWEST} are "
                "needed; take them from the file that sample_map wrote"
            )
        told = {(int(n), int(m), float(a)) for n, m, a in zip(
            points.pixels[own], points.drawn[own], points.area[own], strict=True
        )}  # fmt: skip
        pixels, drawn, area = next(iter(told))
        if len(told) > 1 or pixels != there or drawn < own.sum() or not 0 < area < np.inf:
            raise LabelError(
                f"{points.name}: the fields pixels, drawn and area of the stratum {word!r} are not as they were "
                "drawn: take them from the file that sample_map wrote"
            )
        strata.append(Stratum(code, pixels, area))
    return tuple(strata)


def _estimate(
    stratum: np.ndarray[Any, Any],
    reference: np.ndarray[Any, Any],
    strata: Sequence[Stratum],
    *,
    names: Mapping[int, str],
    unit: str,
    drawn: dict[int, int] | None = None,
    name: str = "the sample",
) -> AreaEstimate:
    codes = list(names)
    counts = np.array(
        [[int(((stratum == each.code) & (reference == code)).sum()) for code in codes] for each in strata]
    )
    have = counts.sum(axis=1)
    were = [int((stratum == s.code).sum()) if drawn is None else drawn[s.code] for s in strata]
    unsaid = {called(names[s.code]): w - int(h) for s, w, h in zip(strata, were, have, strict=True) if w > h}
    for each, count in zip(strata, have.tolist(), strict=True):
        if count < min(FEWEST, each.pixels):
            raise LabelError(
                f"{name} has {count or 'no'} interpreted point{'s' * (count != 1)} of the stratum "
                f"{called(names[each.code])!r} ({each.pixels:,} pixels): at least {FEWEST} are needed; fill in "
                "the field of more of its points"
            )
    if unsaid:
        _log.warning(
            "%s: %d of %d points are not interpreted, or no longer there (%s): they are left out, which is right "
            "where nothing but chance decided which",
            name, sum(unsaid.values()), sum(were), ", ".join(f"{word} {n}" for word, n in unsaid.items()),
        )  # fmt: skip
    area = np.array([each.area for each in strata])
    pixels = np.array([each.pixels for each in strata], dtype=np.int64)
    return AreaEstimate(
        classes=tuple(names.values()),
        strata=tuple(names[each.code] for each in strata),
        counts=counts,
        pixels=pixels,
        mapped=area / _HECTARE if unit == "m2" else area,
        accuracy=estimate_accuracy(
            counts, area / area.sum(), pixels=pixels, called=[codes.index(each.code) for each in strata]
        ),
        unit="ha" if unit == "m2" else unit,
        left_out=sum(unsaid.values()),
    )
