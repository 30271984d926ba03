"""``hsi-cd figure``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hsi_cd.api.run_folders import RunFolder
    from hsi_cd.runs.folder import Overview

EPILOG = """\b
Examples:
  hsi-cd figure runs/taizhou --output taizhou.pdf
  hsi-cd figure runs/taizhou-siamese runs/taizhou-svm runs/taizhou-irmad --output methods.png
  hsi-cd figure runs/taizhou --split --output split.png
"""


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The figure, .png or .pdf."
)
@click.option("--split", is_flag=True, help="Draw which pixels teach and which judge, in place of the maps.")
@click.option("--dpi", type=click.IntRange(50, 1200), default=150, show_default=True, help="Pixels an inch.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def figure(runs: tuple[Path, ...], output: Path, split: bool, dpi: int, overwrite: bool, as_json: bool) -> None:
    """Draw runs as papers print them.

    One run gives the panel: both dates in false colour, score, change map, truth, and errors with a legend.
    Several runs of one scene give their error maps side by side. Georeferenced scenes have a scale bar and a
    north arrow; the colours are told apart by the colour-blind.
    """
    from hsi_cd.api.run_folders import open_run
    from hsi_cd.errors import ConfigError
    from hsi_cd.io import check_output
    from hsi_cd.reporting.figures import save_figure
    from hsi_cd.runs.folder import find_runs

    check_output(output, overwrite=overwrite)
    folders = [open_run(folder) for folder in find_runs(runs)]
    if split and len(folders) > 1:
        raise ConfigError(f"{len(folders)} runs are named, and a split is of one: name one run with --split")
    drawn = _split(folders[0]) if split else _panel(folders[0]) if len(folders) == 1 else _side_by_side(folders)
    save_figure(drawn, output, overwrite=overwrite, dpi=dpi)
    tell(f"figure: {output}", {"figure": output, "runs": [run.folder for run in folders]}, as_json=as_json)


def _panel(run: RunFolder) -> Figure:
    from hsi_cd.reporting.figures import ScorePanel, Title, panel_figure

    overview = _overview(run)
    score = None
    if run.score is not None:
        in_0_1 = float(run.score[run.score == run.score].max(initial=0)) <= 1
        score = ScorePanel(run.score) if in_0_1 else ScorePanel(run.score, "Score", None)
    return panel_figure(
        overview.t1,
        overview.t2,
        change=run.change,
        score=score,
        truth=overview.truth,
        train_index=run.split.train if run.split is not None and len(run.split.train) else None,
        title=Title(run.result.dataset, run.result.method, run.result.scores, _protocol(run)),
        grid=run.grid,
    )


def _side_by_side(runs: Sequence[RunFolder]) -> Figure:
    from hsi_cd.errors import ConfigError
    from hsi_cd.reporting.side_by_side import methods_figure

    first = runs[0]
    for run in runs[1:]:
        if run.result.dataset != first.result.dataset:
            raise ConfigError(
                f"{first.folder} is of {first.result.dataset} but {run.folder} of {run.result.dataset}: name runs "
                "of one scene"
            )
    seeds = len({run.result.seed for run in runs}) > 1
    maps: dict[str, NDArray[np.uint8]] = {}
    for run in runs:
        name = run.result.method + (f", seed {run.result.seed}" if seeds else "")
        kappa = run.result.scores.get("kappa", float("nan"))
        title = f"{name} ({kappa:.4f})"
        maps[title if title not in maps else f"{title} {len(maps) + 1}"] = run.change
    overview = _overview(first)
    note = f"{_protocol(first)}; Kappa in brackets"
    return methods_figure(
        overview.t1,
        overview.t2,
        maps,
        truth=overview.truth,
        scene=first.result.dataset,
        note=note,
        grid=first.grid,
    )


def _split(run: RunFolder) -> Figure:
    from hsi_cd.errors import MissingInputError
    from hsi_cd.reporting.side_by_side import split_figure

    _overview(run)
    labels = run.labels()
    if run.split is None or labels is None:
        raise MissingInputError(f"{run.folder} holds no split.npz to draw: name a run that was trained")
    return split_figure(run.split, labels, scene=run.result.dataset)


def _overview(run: RunFolder) -> Overview:
    from hsi_cd.errors import MissingInputError

    if run.overview is None:
        raise MissingInputError(
            f"{run.folder} holds no overview.npz, the pictures of its scene: it is of an older version; run again"
        )
    return run.overview


def _protocol(run: RunFolder) -> str:
    seed = "" if run.result.seed is None else f", seed {run.result.seed}"
    return f"{run.result.protocol}{seed}, {run.result.scope} pixels"
