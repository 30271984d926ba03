"""A whole scene scored by row bands: any height in bounded memory, the same numbers for any band height."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hsi_cd.detectors.base import Detector, uncertain
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import UNLABELLED, ScenePair

_BYTES_PER_BAND = 128 << 20  # memory for one window's stored values of both dates, with its surroundings
_ROWS_PER_BAND = 128  # enough that the rows shared with the neighbouring bands cost little


def rows_per_band(pair: ScenePair, radius: int) -> int:
    """Height of the row bands in which a scene is read: 128 rows, or fewer where they would pass 128 MiB."""
    row = 2 * 4 * pair.t1.bands.count * (pair.shape[1] + 2 * radius)
    return max(8, min(_BYTES_PER_BAND // row - 2 * radius, _ROWS_PER_BAND))


def score_rows(
    detector: Detector,
    pair: ScenePair,
    *,
    rows: int | None = None,
    uncertainty: bool = False,
    progress: bool = True,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Score a scene band by band.

    While one band is read, others are scored: one thread a CPU core, each computing on its own. (Splitting every
    small product over the cores instead makes them wait for each other: on two shared cores it was slower than
    one.) No more bands are in memory than there are threads, and one.

    Args:
        detector: a fitted detector.
        pair: the scene.
        rows: height of a band; chosen from the scene's width by default. It changes no score.
        uncertainty: ask the detector how far its members differ, too.
        progress: show a progress bar, if the terminal can.

    Yields:
        The first row of each band, and its change probabilities, float32 ``(band's rows, cols)``, NaN for no data;
        with ``uncertainty``, float32 ``(2, band's rows, cols)``: the probabilities, then the uncertainty.

    Raises:
        CheckpointError: uncertainty is asked of a detector that is no ensemble.
    """
    score = uncertain(detector).score_and_uncertainty if uncertainty else detector.score
    height, width = pair.shape
    step = rows or rows_per_band(pair, detector.radius)
    starts = tqdm(
        range(0, height, step), desc="scoring", unit="band", leave=False, disable=None if progress else True
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    waiting: deque[tuple[int, Future[NDArray[np.float32]]]] = deque()
    try:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            for start in starts:
                window = slice(start, min(start + step, height))
                values = read_window(pair, window, slice(0, width), radius=detector.radius)
                waiting.append((start, pool.submit(score, *values)))
                if len(waiting) > threads:
                    first, scored = waiting.popleft()
                    yield first, scored.result()
            for first, scored in waiting:
                yield first, scored.result()
    finally:
        torch.set_num_threads(threads)


def score_scene(
    detector: Detector, pair: ScenePair, *, rows: int | None = None, uncertainty: bool = False
) -> NDArray[np.float32]:
    """What :func:`score_rows` gives, of a whole scene in one array; for scenes whose map fits in memory."""
    parts = score_rows(detector, pair, rows=rows, uncertainty=uncertainty, progress=False)
    return np.concatenate([scores for _, scores in parts], axis=-2)


def change_map(probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """1 where the probability reaches the threshold, 0 where it does not, 255 where there is none."""
    change = (probability >= threshold).astype(np.uint8)
    change[np.isnan(probability)] = UNLABELLED
    return change
