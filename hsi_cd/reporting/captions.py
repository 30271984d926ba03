"""What a table says of its numbers: protocol, scope, seeds, and what stands beside the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hsi_cd.evaluation import BY_SHAPE, ClassCounts, RunResult, caution, judged_apart, judged_shapes, judges
from hsi_cd.scene import GIVEN

PLUS_MINUS = "±"

FEW = "(few pixels)"
"""What stands beside a score for which fewer than 30 pixels of a class judge."""


def make_caption(results: Sequence[RunResult], *, percent: Sequence[str], interval: str | None, ddof: int) -> str:
    """Sentences for results of one protocol; see :func:`hsi_cd.reporting.comparison.compare_results`.

    Args:
        results: the results, of one protocol and scope.
        percent: titles of the scores in %.
        interval: None, ``pixels`` or ``seeds``.
        ddof: of the standard deviation.
    """
    first = results[0]
    taught = "Training pixels from a file" if first.protocol == GIVEN else f"Protocol {first.protocol}"
    scored = judges(first) if first.scope == BY_SHAPE else f"scored on {judges(first)}"
    trained = _by_dataset("trained on unchanged + changed pixels", results, lambda result: result.train)
    shapes = _by_dataset("judged by unchanged + changed shapes", results, judged_shapes)
    parts = [f"{taught}, {scored}{trained}{shapes}."]
    by_cell: dict[tuple[str, str], list[int | None]] = {}
    for result in results:
        by_cell.setdefault((result.method, result.dataset), []).append(result.seed)
    several = any(len(seeds) > 1 for seeds in by_cell.values())
    what = {
        None: f"Mean {PLUS_MINUS} standard deviation (ddof = {ddof})" if several else "One run each",
        "pixels": "Mean and 95 % bootstrap interval over shapes"
        if judged_shapes(first) is not None
        else "Mean and 95 % bootstrap interval over test pixels, taken as independent",
        "seeds": "Mean and 95 % bootstrap interval of the mean over seeds" if several else "One run each",
    }[interval]
    common = max((tuple(seeds) for seeds in by_cell.values()), key=len)
    parts.append(f"{what}, {seeds_in_words(common)}.")
    others = [
        f"{method} on {dataset}: {seeds_in_words(seeds)}"
        for (method, dataset), seeds in by_cell.items()
        if set(seeds) != set(common)
    ]
    if others:
        parts.append(f"Other seeds: {'; '.join(others)}.")
    if percent:
        parts.append(f"{', '.join(percent)} in %.")
    parts += [f"{sentence}: no best is marked." for sentence in judged_apart(results).values()]
    parts += [f"{sentence}." for sentence in cautions(results)]
    return " ".join(parts)


def cautions(results: Sequence[RunResult]) -> list[str]:
    """A sentence for each method and scene whose scores stand on few pixels, or that was not judged."""
    told: dict[tuple[str, str, str], None] = {}
    for result in results:
        if (warned := caution(result)) is not None:
            told.setdefault((result.method, result.dataset, warned))
    return [f"Caution, {method} on {dataset}: {warned}" for method, dataset, warned in told]


def seeds_in_words(seeds: Iterable[int | None]) -> str:
    """Seeds as ``seeds 0-4, 7``.

    Example:
        >>> seeds_in_words([3, 0, 1, 2, 7])
        'seeds 0-3, 7'
    """
    known = sorted({seed for seed in seeds if seed is not None})
    if not known:
        return "no seed"
    spans: list[list[int]] = []
    for seed in known:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    words = [str(a) if a == b else f"{a}, {b}" if b == a + 1 else f"{a}-{b}" for a, b in spans]
    return ("seed " if len(known) == 1 else "seeds ") + ", ".join(words)


def _by_dataset(
    what: str, results: Sequence[RunResult], counts_of: Callable[[RunResult], ClassCounts | None]
) -> str:
    """Numbers of both classes, where they are the same in every run of a scene."""
    by_dataset: dict[str, set[ClassCounts | None]] = {}
    for result in results:
        by_dataset.setdefault(result.dataset, set()).add(counts_of(result))
    told = [
        f"{counts.unchanged:,} + {counts.changed:,}" + (f" ({name})" if len(by_dataset) > 1 else "")
        for name, found in by_dataset.items()
        if len(found) == 1 and (counts := next(iter(found))) is not None
    ]
    return f"; {what} {', '.join(told)}" if told else ""
