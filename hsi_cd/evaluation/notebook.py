"""A result as a notebook shows it: its scores, and on which pixels they stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import Any


def result_table(result: Any) -> str:
    """An HTML table: scores beside those of the coordinate floor, with protocol, scope and pixels above.

    Every text is escaped; the table has no styles, scripts or links.

    Args:
        result: a :class:`~hsi_cd.evaluation.result.RunResult`, which imports this module and not the other way.
    """
    from hsi_cd.evaluation import headline  # which reads results, so that it cannot be loaded before them

    known = result.baselines
    floor = {"oa": known.floor_oa, "kappa": known.floor_kappa} if known is not None else {}
    stands = headline.judged_shapes(result) is not None
    rows = []
    for name, value in result.scores.items():
        cells = [headline.NOT_JUDGED if headline.not_judged(result) else _shown(value)]
        if stands:
            ends = headline.shape_interval(result, name)
            cells.append("" if ends is None else str(ends))
        if floor:
            cells.append(_shown(floor[name]) if name in floor else "")
        rows.append(_row([name, *cells]))
    for name, value in ({} if result.kinds is None else result.kinds.scores).items():
        beside = [""] * (stands + bool(floor))
        rows.append(_row([f"{name} of kinds", _shown(value), *beside]))
    titles = ["score", "this map", *(["95 % interval by shapes"] if stands else [])]
    head = "".join(f"<th>{title}</th>" for title in [*titles, *(["coordinate floor"] if floor else [])])
    return (
        f"<table><caption>{escape(_caption(result))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _caption(result: Any) -> str:
    from hsi_cd.evaluation import headline

    seed = "" if result.seed is None else f", seed {result.seed}"
    parts = [
        f"{result.method} on {result.dataset}: protocol {result.protocol}{seed}",
        f"scored on {_pixels(result.scored)} ({result.scope})",
    ]
    if (shapes := headline.judged_shapes(result)) is not None:
        parts.append(f"{shapes.unchanged:,} unchanged + {shapes.changed:,} changed shapes judge")
    if (warned := headline.caution(result)) is not None:
        parts.append(warned)
    if result.train is not None:
        parts.append(f"trained on {_pixels(result.train)}")
    if result.counts.unscored:
        parts.append(f"{result.counts.unscored:,} labelled pixels have no prediction and enter no score")
    return "; ".join(parts)


def _pixels(counts: Any) -> str:
    return f"{counts.unchanged:,} unchanged + {counts.changed:,} changed pixels"


def _row(cells: Iterable[str]) -> str:
    label, *others = (escape(cell) for cell in cells)
    return f"<tr><th>{label}</th>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"


def _shown(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"
