"""What a headline stands on: how many pixels, of how many shapes, and what is said where they are too few."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hsi_cd.evaluation.counts import ConfusionCounts
from hsi_cd.evaluation.drawn_scores import DrawnScores, ShapeRates
from hsi_cd.evaluation.intervals import Interval
from hsi_cd.evaluation.records import Fact
from hsi_cd.evaluation.result import ClassCounts, RunResult

FEWEST_PIXELS = 30
"""Judging pixels of each class below which a score says that it stands on few."""

FEWEST_SHAPES = 10
"""Judging shapes of each class below which a drawing gives no score."""

BY_SHAPE = "cross-validated by shape"
"""The scope of labels that all teach: each shape is judged by what did not learn from it."""

NOT_JUDGED = "not judged"
"""What stands in the place of a score that too few shapes would give."""

_LEVEL = 0.95


def facts_of_shapes(rates: ShapeRates, found: DrawnScores | None, *, why_not: str | None) -> dict[str, Fact]:
    """What a result keeps of the shapes that judged it, flat.

    Args:
        rates: of the shapes that judged.
        found: the scores; None where there are none.
        why_not: why there are none.
    """
    facts: dict[str, Fact] = {"shapes_unchanged": len(rates.unchanged), "shapes_changed": len(rates.changed)}
    if why_not is not None:
        facts["not_judged"] = why_not
    if found is not None:
        facts["share_changed"] = found.share
        if "brier" in found.scores:
            facts["brier"] = found.scores["brier"]
        for name, ends in {"share_changed": found.share_interval, **found.intervals}.items():
            facts |= {f"interval/{name}/low": ends.low, f"interval/{name}/high": ends.high}
    return facts


def facts_of_few_shapes(unchanged: int, changed: int) -> dict[str, Fact]:
    """What a result keeps of shapes that are too few to tell of the scene, and whose pixels judge one by one."""
    why = f"pixels judge one by one, of only {unchanged:,} unchanged + {changed:,} changed shapes"
    return {
        "shapes_unchanged": unchanged,
        "shapes_changed": changed,
        "few_shapes": f"{why}: fewer than {FEWEST_SHAPES} of a class say little",
    }


def judges(result: RunResult) -> str:
    """What judges a result, in words: ``held-out pixels``, or ``cross-validated by shape``."""
    return result.scope if result.scope == BY_SHAPE else f"{result.scope} pixels"


def beside_headline(result: RunResult) -> str:
    """What is printed beside a score: who taught, who judges, of how many shapes, how sure; and a caution."""
    seed = "" if result.seed is None else f", seed {result.seed}"
    told = [f"{result.protocol}{seed}, {judges(result)}"]
    if (shapes := judged_shapes(result)) is not None:
        told.append(f"{shapes.unchanged:,} unchanged + {shapes.changed:,} changed shapes judge")
    if (ends := shape_interval(result, "kappa")) is not None:
        told.append(f"95 % interval of Kappa {ends}")
    if (kinds := headline_of_kinds(result)) is not None:
        told.append(kinds)
    return "; ".join([*told, *filter(None, [caution(result)])])


def headline_of_kinds(result: RunResult) -> str | None:
    """The scores of kinds of change by which a map is known; None where it tells none apart."""
    if result.kinds is None:
        return None
    kappa, f1 = (result.kinds.scores.get(name, math.nan) for name in ("kappa", "f1_macro"))
    told = [f"{name} {'undefined' if math.isnan(value) else f'{value:.4f}'}"
            for name, value in (("Kappa", kappa), ("macro F1", f1))]  # fmt: skip
    return f"kinds of change: {', '.join(told)} over {len(result.kinds.names)} classes"


def judged_shapes(result: RunResult) -> ClassCounts | None:
    """Numbers of shapes that judged, by class; None where pixels judged one by one."""
    unchanged, changed = result.details.get("shapes_unchanged"), result.details.get("shapes_changed")
    if not isinstance(unchanged, int) or not isinstance(changed, int):
        return None
    return ClassCounts(unchanged, changed)


def shape_interval(result: RunResult, name: str) -> Interval | None:
    """The 95 % interval of a score, of ``share_changed`` or ``brier``, over shapes; None where there is none."""
    return _interval(result.details, name)


def not_judged(result: RunResult) -> str | None:
    """Why a result has no score although it has labels; None where it has one."""
    why = result.details.get("not_judged")
    return why if isinstance(why, str) else None


def few_pixels(counts: ConfusionCounts) -> str | None:
    """A warning where a class has fewer than 30 judging pixels, as a sentence without a full stop."""
    if min(counts.unchanged, counts.changed) >= FEWEST_PIXELS:
        return None
    return (
        f"only {counts.unchanged:,} unchanged + {counts.changed:,} changed pixels judge: fewer than "
        f"{FEWEST_PIXELS} of a class say little"
    )


def stands_on_few(result: RunResult) -> str | None:
    """A warning where few shapes or few pixels judge, as a sentence without a full stop."""
    few = result.details.get("few_shapes")
    return few if isinstance(few, str) else few_pixels(result.counts)


def caution(result: RunResult) -> str | None:
    """What a reader of a result's scores must know first: that there is none, or that it stands on little."""
    why = not_judged(result)
    return stands_on_few(result) if why is None else f"{NOT_JUDGED}: {why}"


def _interval(details: Mapping[str, Fact], name: str) -> Interval | None:
    ends = [details.get(f"interval/{name}/{end}") for end in ("low", "high")]
    if not all(isinstance(end, int | float) for end in ends):
        return None
    low, high = (float(end) for end in ends if end is not None)
    return Interval(low, high, _LEVEL)
