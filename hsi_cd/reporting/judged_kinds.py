"""Kinds of change of one judged map as tables: scores over classes, each class, and their confusion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from hsi_cd.evaluation import FEWEST_PIXELS, KIND_SCORE_NAMES, Interval, KindResult
from hsi_cd.reporting.text_cells import ABSENT, INDENT, align, format_score, grouped, interval_in_words

KIND_TITLES: Mapping[str, str] = {
    "oa": "OA",
    "aa": "AA",
    "kappa": "Kappa",
    "f1_macro": "Macro F1",
    "adjusted_rand": "Adjusted Rand index",
}
"""How tables call the scores over classes."""

Rows = list[list[str]]
Scopes = Mapping[str, Mapping[str, float]]


def kinds_text(kinds: KindResult, scopes: Scopes, *, percent: Collection[str], by_shape: bool = False) -> str:
    """What is printed of kinds at the end of a run: the tables of this module, and what is undefined.

    Args:
        kinds: the kinds of a judged map.
        scopes: scores of the same map on other pixels, by scope.
        percent: names of the scores printed in %.
        by_shape: whether the judging pixels are of shapes, which here count pixel by pixel.
    """
    told = f"{INDENT}kinds of change: {kinds.confusion.kinds} and the unchanged, {len(kinds.names)} classes"
    if by_shape:
        told += "; pixels of the judging shapes, one by one"
    parts = [f"{told}\n{align(score_rows(kinds, scopes, percent=percent), rule_after=1)}"]
    notes = "".join(f"\n{INDENT}{sentence}" for sentence in kind_notes(kinds))
    parts.append(align(class_rows(kinds), rule_after=1) + notes)
    parts.append(align(confusion_rows(kinds), rule_after=1))
    return "\n\n".join(parts)


def score_rows(
    kinds: KindResult,
    scopes: Scopes,
    *,
    percent: Collection[str],
    intervals: Mapping[str, Interval] = MappingProxyType({}),
) -> Rows:
    """Scores over all classes beside those of the floors and on other pixels; titles first.

    Args:
        kinds: the kinds of a judged map.
        scopes: scores of the same map on other pixels, by scope.
        percent: names of the scores printed in %.
        intervals: of the scores; the column is left out without any.
    """
    known = kinds.baselines
    header, floors = ["score of kinds", "this map"], {}
    if intervals:
        header.append("95 % interval")
    if known is not None:
        header += ["coordinate floor", "majority class"]
        floors = {"oa": known.floor_oa, "kappa": known.floor_kappa, "f1_macro": known.floor_f1_macro}
    rows = [[*header, *scopes]]
    for name in (name for name in KIND_SCORE_NAMES if name in kinds.scores):
        in_percent = name in percent
        values: list[float | None] = []
        if known is not None:
            values += [floors.get(name), known.majority_oa if name == "oa" else None]
        values += [scores.get(name) for scores in scopes.values()]
        title = KIND_TITLES[name] + (" (%)" if in_percent else "")
        cells = [format_score(kinds.scores[name], percent=in_percent)]
        if intervals:
            cells.append(interval_in_words(intervals.get(name), percent=in_percent))
        rows.append([title, *cells, *(format_score(value, percent=in_percent) for value in values)])
    return rows


def class_rows(kinds: KindResult) -> Rows:
    """Each class: its pixels in training, truth and map, its scores, and how much of it the map calls changed."""
    header = ["class", "pixels", "called so", "precision", "recall", "F1", "IoU", "called changed"]
    if kinds.train is not None:
        header.insert(1, "trained on")
    rows = [header]
    table = kinds.confusion
    for number, (name, scores) in enumerate(zip(kinds.names, kinds.classes, strict=True)):
        there = table.truth[number]
        changed = sum(table.table[number][1:])
        cells = [name, grouped(there), grouped(table.called[number])]
        cells += [format_score(each) for each in (scores.precision, scores.recall, scores.f1, scores.iou)]
        cells.append(f"{100 * changed / there:.2f} %" if there else ABSENT)
        if kinds.train is not None:
            cells.insert(1, grouped(kinds.train[number]))
        rows.append(cells)
    return rows


def confusion_rows(kinds: KindResult) -> Rows:
    """The confusion matrix, the truth in its rows; columns go by the classes' numbers."""
    table = kinds.confusion
    numbers = [str(number) for number in range(len(table.table))]
    rows = [["truth \\ map", *numbers, "sum"]]
    for number, name, row, there in zip(numbers, kinds.names, table.table, table.truth, strict=True):
        rows.append([f"{number} {name}", *map(grouped, row), grouped(there)])
    return [*rows, ["sum", *map(grouped, table.called), grouped(table.total)]]


def kind_notes(kinds: KindResult) -> list[str]:
    """What a reader of the scores must know: what is undefined, and what stands on few pixels."""
    few = [
        f"{name} ({grouped(count)})"
        for name, count in zip(kinds.names, kinds.confusion.truth, strict=True)
        if 0 < count < FEWEST_PIXELS
    ]
    notes = kinds.undefined()
    return [*notes, f"few pixels judge {', '.join(few)}: fewer than {FEWEST_PIXELS} say little"] if few else notes
