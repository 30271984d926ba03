"""A whole scene scored by row bands: any height in bounded memory, the same numbers for any band height."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector, KindScorer, uncertain
from hsi_cd.io.memory import free_memory
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.windows import Dates, read_ahead, sliding_windows
from hsi_cd.progress import progress
from hsi_cd.scene import UNLABELLED, ScenePair

_LEAST_ROWS, _MOST_ROWS = 8, 64  # below, most of a band is its surroundings; above, they cost little anyway
_FREE_SHARE = 0.25  # of the free memory may be used unless the user says how much
_GUESS = 4 << 30  # bytes that are free where the system does not tell
_ENOUGH = 128 << 20  # bytes a band, unless the user says how much: larger ones are no faster


def rows_per_band(pair: ScenePair, radius: int, *, memory: int | None = None) -> int:
    """Height of the row bands in which a scene is read: 64 rows, or fewer where memory is short, at least 8.

    Args:
        pair: the scene.
        radius: rows and columns around a pixel that its score depends on.
        memory: bytes for all bands that are on their way at once; by default as much as serves, at most a quarter
            of what is free. The program itself (Python, torch, GDAL) takes some 400 MB beside them.
    """
    count = _bands_at_once()
    budget = min(int((free_memory() or _GUESS) * _FREE_SHARE), count * _ENOUGH) if memory is None else memory
    row = 2 * 4 * pair.t1.bands.count * (pair.shape[1] + 2 * radius)
    rows = budget // count // row - 2 * radius
    return max(_LEAST_ROWS, min(rows, _MOST_ROWS))


def _bands_at_once() -> int:
    """One a thread is scored, one waits for a thread, one is read, which takes twice its size."""
    return torch.get_num_threads() + 3


def score_rows(
    detector: Detector,
    pair: ScenePair,
    *,
    rows: int | None = None,
    within: slice | None = None,
    uncertainty: bool = False,
    kinds: tuple[KindScorer, float] | None = None,
    memory: int | None = None,
    seen: Callable[[slice, Dates], None] | None = None,
    show: bool = True,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Score a scene, or its area of interest, band by band.

    One thread reads ahead while others score, one a CPU core, each computing on its own, and the caller writes
    what is done. (Splitting every small product over the cores instead makes them wait for each other: on two
    shared cores it was slower than one.) How many bands are in memory is bounded, whatever the scene's height.

    Args:
        detector: a fitted detector.
        pair: the scene.
        rows: height of a band; chosen by :func:`rows_per_band` by default. It changes no score.
        within: the rows that are wanted, with plain bounds; by default all, or those of the area of interest.
            Bands are cut as for the whole scene and then to these rows, so that each score has the same bits as in
            the whole.
        uncertainty: ask the detector how far its members differ, too.
        kinds: ask it what kind of change there is where the score reaches a number, too: the detector once more,
            and that number. Not with ``uncertainty``.
        memory: see :func:`rows_per_band`.
        seen: is shown all rows that are read, once each, from top to bottom.
        show: show how far it is.

    Yields:
        The first row of each band, and its change probabilities, float32 ``(band's rows, cols)``, NaN for no data
        and outside of an area of interest, whose columns alone these are;
        with ``uncertainty``, float32 ``(2, band's rows, cols)``: the probabilities, then the uncertainty; with
        ``kinds`` likewise the kinds, as :meth:`~hsi_cd.detectors.base.KindScorer.score_and_kinds` has them.

    Raises:
        CheckpointError: uncertainty is asked of a detector that is no ensemble.
    """
    score: Callable[..., NDArray[np.float32]] = detector.score
    if uncertainty:
        score = uncertain(detector).score_and_uncertainty
    elif kinds is not None:
        score = partial(kinds[0].score_and_kinds, threshold=kinds[1])
    height, area = pair.shape[0], pair.focus
    step = rows or rows_per_band(pair, detector.radius, memory=memory)
    wanted = within or (slice(0, height) if area is None else area.rows)
    starts = progress(
        range(wanted.start // step * step, wanted.stop, step), desc="scoring", unit="band", show=show
    )

    def cut(start: int, scored: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
        first = max(wanted.start - start, 0)
        found = scored[..., first : wanted.stop - start, :]
        if area is not None:
            top = start + first - area.rows.start
            inside = area.covered[top : top + found.shape[-2]]
            found = np.where(inside, found[..., area.cols], np.float32(np.nan))
        return start + first, found

    bands = (slice(start, min(start + step, height)) for start in starts)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    waiting: deque[tuple[int, Future[NDArray[np.float32]]]] = deque()
    try:
        with single_threaded("blas"), ThreadPoolExecutor(threads) as pool:
            for band, values in read_ahead(sliding_windows(pair, bands, radius=detector.radius, seen=seen)):
                waiting.append((band.start, pool.submit(score, *values)))
                if len(waiting) > threads:
                    first, scored = waiting.popleft()
                    yield cut(first, scored.result())
            for first, scored in waiting:
                yield cut(first, scored.result())
    finally:
        torch.set_num_threads(threads)


def score_scene(
    detector: Detector, pair: ScenePair, *, rows: int | None = None, uncertainty: bool = False
) -> NDArray[np.float32]:
    """What :func:`score_rows` gives, of a whole scene in one array; for scenes whose map fits in memory."""
    parts = score_rows(detector, pair, rows=rows, uncertainty=uncertainty, show=False)
    return np.concatenate([scores for _, scores in parts], axis=-2)


def classify(probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """1 where the probability reaches the threshold, 0 where it does not, 255 where there is none."""
    change = (probability >= threshold).astype(np.uint8)
    change[np.isnan(probability)] = UNLABELLED
    return change
