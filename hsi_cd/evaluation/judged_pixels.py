"""Whether results were judged on the same pixels: scores on other pixels do not say which map is better.

As many pixels are not the same pixels, so a result carries a digest of those that it was judged on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation.counts import NO_DATA
from hsi_cd.evaluation.result import RunResult
from hsi_cd.scene import UNLABELLED

JUDGED = "judged_pixels"
"""The detail of a result that holds the digest; results of earlier versions have none."""

_SAME_IN_ALL_SEEDS = ("P1", "P2", "drawn", "none")  # protocols under which as many pixels judge whatever the seed


def judged_digest(truth: NDArray[np.uint8], change: NDArray[np.uint8]) -> str:
    """Twelve hexadecimal digits by which the same judged pixels, with the same truth, are known again.

    Args:
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 where nothing is judged.
        change: uint8 ``(rows, cols)``: the map, 255 where it has no data and is not scored.
    """
    told = hashlib.sha256(np.array(truth.shape, dtype="<i8").tobytes())
    told.update(np.where(change == NO_DATA, np.uint8(UNLABELLED), truth).tobytes())
    return told.hexdigest()[:12]


def judged_apart(results: Sequence[RunResult]) -> Mapping[str, str]:
    """Scenes whose results were judged on other pixels, each with a sentence that says so.

    Results on one scene with one seed are compared by the digest of their pixels, or, where one of them has none,
    by the number of pixels of each class; those of other seeds by that number, where the protocol fixes it.

    Args:
        results: results under one protocol.

    Returns:
        By the scene's name; empty where all that is compared was judged on the same pixels.
    """
    groups: dict[tuple[str, object], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.dataset, result.seed), []).append(result)
        if result.protocol in _SAME_IN_ALL_SEEDS:
            groups.setdefault((result.dataset, "all"), []).append(result)
    apart = {
        dataset: None
        for (dataset, seed), members in groups.items()
        if len({_key(member, digests=seed != "all" and all(map(_digest, members))) for member in members}) > 1
    }
    return {dataset: _sentence(dataset, [r for r in results if r.dataset == dataset]) for dataset in apart}


def _digest(result: RunResult) -> object:
    return result.details.get(JUDGED)


def _key(result: RunResult, *, digests: bool) -> object:
    return _digest(result) if digests else (result.counts.unchanged, result.counts.changed)


def _sentence(dataset: str, results: Sequence[RunResult]) -> str:
    """Who was judged on how many pixels."""
    numbers: dict[str, set[int]] = {}
    for result in results:
        numbers.setdefault(result.method, set()).add(result.counts.total)
    told = [f"{method} on {' or '.join(f'{n:,}' for n in sorted(found))}" for method, found in numbers.items()]
    others = "as many, but other ones: " if len(set.union(*numbers.values())) == 1 else ""
    return f"Not judged on the same pixels of {dataset} ({others}{', '.join(told)})"
