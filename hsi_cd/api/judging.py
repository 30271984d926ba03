"""A map that is there already, judged by labels: pixel by pixel, or shape by shape where they are shapes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, LabelError
from hsi_cd.evaluation import (
    FEWEST_SHAPES,
    JudgingShapes,
    RunResult,
    class_names,
    facts_of_few_shapes,
    is_numbered,
    judge_drawn,
    judge_kinds,
    judge_map,
    merged,
)
from hsi_cd.io import ClassMap
from hsi_cd.prepare.drawn_shapes import count_shapes, untaught_shapes
from hsi_cd.scene import UNLABELLED, KindTable, Labels, Split

_log = logging.getLogger(__name__)

_SHOWN = 5


def judge(
    change: NDArray[np.uint8],
    labels: Labels,
    *,
    split: Split | None = None,
    score: NDArray[np.float32] | None = None,
    probability: NDArray[np.float32] | None = None,
    kinds: Mapping[int, str] | None = None,
    **facts: Any,
) -> RunResult:
    """Score a map; see :func:`hsi_cd.evaluation.judge_map` and :func:`hsi_cd.evaluation.judge_drawn`.

    Fewer than ten shapes of a class, as the few large ones of a reference, tell nothing of the scene: their pixels
    judge one by one then, as those of a truth map, and the result says of how many shapes they are.

    Args:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed (or 1 to K where there are ``kinds``), 255 no data.
        labels: truth map, or shapes; a shape of which a pixel taught judges nothing.
        split: the pixels that taught; without it, all labels judge.
        score: scores, float32 ``(rows, cols)``, higher is more change, NaN for no data.
        probability: change probabilities, the same shape.
        kinds: of a map of kinds of change what they are called, by number; a truth of kinds has the same numbers.
        facts: further fields of the result, ``dataset`` and ``method`` among them.

    Raises:
        LabelError: map and truth call kinds by the same names and other numbers.
    """
    table = None if kinds is None else _matched(kinds, labels)
    behind: dict[str, Any] = {"score": score, "probability": probability, "kinds": kinds}
    if labels.shapes is None:
        return judge_map(change, labels, split=split, **behind, **facts)
    scope = "all labelled" if split is None else split.scope
    shapes = untaught_shapes(labels, split)
    judges = shapes > 0
    counts = count_shapes(labels.values[judges], shapes[judges])
    if judges.any() and min(counts) < FEWEST_SHAPES:
        pixels = replace(labels, values=np.where(judges, labels.values, np.uint8(UNLABELLED)), shapes=None)
        facts["details"] = {**facts.get("details", {}), **facts_of_few_shapes(*counts)}
        result = judge_map(change, pixels, **behind, **facts)
        # What taught may lie in another drawing, so that nothing here tells its classes.
        return result if split is None else replace(result, protocol=split.protocol, scope=scope, seed=split.seed)
    judging = JudgingShapes(shapes, scope, score=score)
    mapped, change = change, change if kinds is None else merged(change)
    result = judge_drawn(change, labels, judging, split=split, probability=probability, **facts)
    if kinds is None or table is None:
        return result
    names = class_names(table, kinds)
    return replace(result, kinds=judge_kinds(mapped, labels.kind_numbers(), names, where=judges))


def check_two(mapped: ClassMap, labels: Labels) -> None:
    """Refuse a map of several values that nothing names where the truth has two classes.

    Raises:
        FormatError: so it is: the values may be kinds of change, or another encoding of two classes.
    """
    if labels.kinds is not None or mapped.named:
        return
    held = [value for value in np.unique(mapped.values).tolist() if value != UNLABELLED]
    listed = ", ".join(map(str, held[:_SHOWN])) + (f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else "")
    raise FormatError(
        f"the map is no change map as {labels.name} is: it holds {listed} without class names; expected "
        "0 unchanged, 1 changed, 255 no data; name the kinds of change in the map, or declare other values of no "
        "data with nodata="
    )


def _matched(kinds: Mapping[int, str], labels: Labels) -> KindTable | None:
    """The kinds of the truth, which go by the numbers of the map's; None where it tells none apart.

    Raises:
        LabelError: the map calls a kind by the name that another one has in the truth.
    """
    table = labels.kind_table
    if table is None:
        _log.warning("%s tells no kinds of change apart: the map is judged as changed or unchanged", labels.name)
        return None
    truth = table.by_number
    numbers = {_known_as(name): number for number, name in truth.items() if not is_numbered(name)}
    others: list[str] = []
    for number, name in kinds.items():
        there = numbers.get(_known_as(name), number)
        if there != number:
            raise LabelError(
                f"the map calls kind {number} {name!r}, which is kind {there} of {labels.name}: kinds go by their "
                "numbers; write the map with those of the truth, or declare the values of the truth in their order"
            )
        if number not in truth:
            others.append(f"{number} ({name!r}) is none of the truth")
        elif _known_as(truth[number]) != _known_as(name) and is_numbered(name) == is_numbered(truth[number]):
            others.append(f"{number} is {name!r} in the map and {truth[number]!r} in the truth")
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        _log.warning("kinds go by their numbers: %s%s", "; ".join(others[:_SHOWN]), more)
    return table


def _known_as(name: str) -> str:
    return " ".join(name.casefold().split())
