"""Whether maps of kinds of change differ by more than chance, as a table of a report."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from hsi_cd.evaluation import compare_maps, holm, stuart_maxwell
from hsi_cd.reporting.html.elements import Sheet
from hsi_cd.reporting.html.run_section import ReportRun
from hsi_cd.scene import UNLABELLED


def kind_tests(runs: Sequence[ReportRun]) -> Sheet | None:
    """McNemar's, and Stuart and Maxwell's tests between runs that were judged by kinds on the same pixels."""
    groups: dict[bytes, list[ReportRun]] = {}
    for run in runs:
        if run.kinds is not None and run.kinds.truth is not None and (judged := run.judged()).any():
            told = np.where(judged, run.kinds.truth, UNLABELLED).tobytes()
            groups.setdefault(told, []).append(run)
    rows = []
    for group in groups.values():
        kinds = {run.name: run.kinds for run in group if run.kinds is not None}
        truth, where = group[0].kinds.truth if group[0].kinds else None, group[0].judged()
        if truth is None or len(kinds) < 2:
            continue
        maps = {name: each.change for name, each in kinds.items()}
        pairs = compare_maps(truth, maps, where=where)
        shares = [stuart_maxwell(truth, a, b, where=where) for a, b in itertools.combinations(maps.values(), 2)]
        corrected = holm([share.p_value for share in shares])
        for pair, share, p in zip(pairs, shares, corrected, strict=True):
            cells = [f"{pair.test.only_first:,}", f"{pair.test.only_second:,}", f"{pair.test.statistic:.2f}"]
            cells += [p_in_words(pair.corrected), f"{share.statistic:.2f}", str(share.degrees), p_in_words(p)]
            rows.append((f"{pair.first} / {pair.second}", cells))
    if not rows:
        return None
    return Sheet(
        ["Maps of kinds", "only the first right", "only the second right", "McNemar", "p (Holm)",
         "Stuart-Maxwell", "degrees", "p (Holm)"],
        rows,
        caption="Kinds of change: McNemar's test asks whether two maps err equally often, a wrong kind being an "
        "error; Stuart and Maxwell's whether they give each class to equally many pixels, right or wrong. Both "
        "take pixels as independent; chi-square, each corrected by Holm over the pairs judged on the same pixels.",
    )  # fmt: skip


def p_in_words(value: float) -> str:
    """A p value as people write it."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
