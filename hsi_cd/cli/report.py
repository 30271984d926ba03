"""``hsi-cd report``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd report runs/taizhou --output report.html
  hsi-cd report runs --title "Siamese and classical detectors" --output report.html
"""


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PathType())
@click.option("--output", type=PathType(), required=True, metavar="FILE", help="The report, .html.")
@click.option("--title", default="Change detection report", show_default=True, help="Title of the page.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def report(runs: tuple[Path, ...], output: Path, title: str, overwrite: bool, as_json: bool) -> None:
    """Make one HTML file from runs, to look at and to pass on.

    It holds maps to zoom into and to blink between, the results table, curves, calibration, the split, McNemar's
    tests between runs of one scene, protocol and versions. It opens in any browser, without a network.
    """
    from hsi_cd.api.run_folders import open_run
    from hsi_cd.io import HTML, check_outputs, write_text
    from hsi_cd.reporting.html.page import report_page
    from hsi_cd.reporting.html.run_section import ReportRun
    from hsi_cd.runs.folder import files_shown, find_runs

    found = find_runs(runs)
    check_outputs({"--output": output}, kind=HTML, inputs=files_shown(found), overwrite=overwrite)
    folders = [open_run(folder) for folder in found]
    shown = [
        ReportRun(
            result=run.result,
            change=run.change,
            score=run.score,
            gives_probabilities=run.gives_probabilities,
            t1=run.overview.t1 if run.overview else None,
            t2=run.overview.t2 if run.overview else None,
            shown=run.overview.shown if run.overview else "",
            labels=run.labels(),
            split=run.split,
            curves=run.curves,
            config=run.config,
            folder=str(run.folder),
        )
        for run in folders
    ]
    write_text(output, report_page(shown, title=title), overwrite=overwrite)
    tell(f"report: {output}", {"report": output, "runs": [run.folder for run in folders]}, as_json=as_json)
