"""Figures of runs: the panel of one, the maps of several side by side, a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.run_folders import RunFolder
from hsi_cd.errors import ConfigError, MissingInputError
from hsi_cd.evaluation import NOT_JUDGED, beside_headline, judged_apart, not_judged
from hsi_cd.reporting.figures import ScorePanel, Title, panel_figure
from hsi_cd.reporting.side_by_side import methods_figure, split_figure
from hsi_cd.runs import Overview

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_runs(runs: Sequence[RunFolder]) -> Figure:
    """The panel of one run: dates, score, map, truth, errors; the errors of several, side by side.

    Args:
        runs: runs of one scene, one or more.

    Raises:
        ConfigError: they are of several scenes.
        MissingInputError: a run kept no pictures of its scene.
    """
    return _panel(runs[0]) if len(runs) == 1 else _side_by_side(runs)


def _panel(run: RunFolder) -> Figure:
    overview = _overview(run)
    scores = None if not_judged(run.result) else run.result.scores
    score = None
    if run.score is not None:
        called = run.score_name.partition(" (")[0] or "score"  # a panel's width has no room for the unit
        named = ScorePanel(run.score, called[0].upper() + called[1:], None)
        score = ScorePanel(run.score) if run.gives_probabilities else named
    return panel_figure(
        overview.t1,
        overview.t2,
        change=run.change,
        score=score,
        truth=overview.truth,
        train_index=run.split.train if run.split is not None and len(run.split.train) else None,
        title=Title(run.result.dataset, run.result.method, scores, _told(run)),
        grid=run.grid,
        kinds=run.kinds,
    )


def _side_by_side(runs: Sequence[RunFolder]) -> Figure:
    first = runs[0]
    for run in runs[1:]:
        if run.result.dataset != first.result.dataset:
            raise ConfigError(
                f"{first.folder} is of {first.result.dataset} but {run.folder} of {run.result.dataset}: name runs "
                "of one scene"
            )
    seeds = len({run.result.seed for run in runs}) > 1
    maps: dict[str, NDArray[np.uint8]] = {}
    by_kind = all(run.kinds is not None and run.kinds.truth is not None for run in runs)
    for run in runs:
        name = run.result.method + (f", seed {run.result.seed}" if seeds else "")
        scores = run.result.kinds.scores if by_kind and run.result.kinds is not None else run.result.scores
        kappa = scores.get("kappa", float("nan"))
        told = NOT_JUDGED if not_judged(run.result) else f"{kappa:.4f}"
        title = f"{name} ({told})"
        shown = run.kinds.change if by_kind and run.kinds is not None else run.change
        maps[title if title not in maps else f"{title} {len(maps) + 1}"] = shown
    overview = _overview(first)
    apart = judged_apart([run.result for run in runs]).values()
    kinds = first.kinds if by_kind else None
    called = "Kappa in brackets" if kinds is None else "Kappa over kinds of change in brackets"
    note = "; ".join([_told(first), called, *(f"n{sentence[1:]}" for sentence in apart)])
    return methods_figure(
        overview.t1,
        overview.t2,
        maps,
        truth=overview.truth if kinds is None else kinds.truth,
        scene=first.result.dataset,
        note=note,
        grid=first.grid,
        kinds={} if kinds is None else kinds.names,
    )


def draw_split(runs: Sequence[RunFolder]) -> Figure:
    """Which pixels teach in a run, and which judge.

    Args:
        runs: the run, alone.

    Raises:
        ConfigError: there are several.
        MissingInputError: the run kept no split, or no pictures of its scene.
    """
    if len(runs) > 1:
        raise ConfigError(f"{len(runs)} runs are named, and a split is of one: name one run")
    run = runs[0]
    _overview(run)
    labels = run.labels()
    if run.split is None or labels is None:
        raise MissingInputError(f"{run.folder} holds no split.npz to draw: name a run that was trained")
    return split_figure(run.split, labels, scene=run.result.dataset, grid=run.grid)


def _overview(run: RunFolder) -> Overview:
    if run.overview is None:
        raise MissingInputError(
            f"{run.folder} holds no overview.npz, the pictures of its scene: it is of an older version; run again"
        )
    return run.overview


def _told(run: RunFolder) -> str:
    """The protocol, and which bands the pictures of the dates show."""
    shown = run.overview.shown if run.overview is not None else ""
    return beside_headline(run.result) + (f"; dates in {shown}" if shown else "")
