"""``hsi-cd figure``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd figure runs/taizhou --output taizhou.pdf
  hsi-cd figure runs/taizhou-siamese runs/taizhou-svm runs/taizhou-irmad --output methods.png
  hsi-cd figure runs/taizhou --split --output split.png
"""


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PathType())
@click.option("--output", type=PathType(), required=True, metavar="FILE", help="The figure, .png or .pdf.")
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
    from hsi_cd.api.run_figures import draw_runs, draw_split
    from hsi_cd.api.run_folders import open_run
    from hsi_cd.io import check_outputs
    from hsi_cd.reporting.figures import figure_kind, save_figure
    from hsi_cd.runs.folder import files_shown, find_runs

    figure_kind(output)
    found = find_runs(runs)
    check_outputs({"--output": output}, inputs=files_shown(found), overwrite=overwrite)
    folders = [open_run(folder) for folder in found]
    drawn = draw_split(folders) if split else draw_runs(folders)
    save_figure(drawn, output, overwrite=overwrite, dpi=dpi)
    tell(f"figure: {output}", {"figure": output, "runs": [run.folder for run in folders]}, as_json=as_json)
