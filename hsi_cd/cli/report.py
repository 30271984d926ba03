"""``hsi-cd report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import check_scene, scene_options
from hsi_cd.cli.telling import tell
from hsi_cd.errors import MissingInputError

EPILOG = """\b
Examples:
  hsi-cd report runs/taizhou --output report.html
  hsi-cd report change.tif --t1 before.tif --t2 after.tif --probability probability.tif --output report.html
  hsi-cd report runs --title "Siamese and classical detectors" --output report.html
"""


@dataclass(frozen=True)
class MapReport:
    """What a report of a map is made of.

    Attributes:
        change: the map.
        output: the page.
        title: of the page, or nothing.
        score: the scores, or None.
        probability: the probabilities, or None.
        overwrite: whether a page that exists may be replaced.
    """

    change: Path
    output: Path
    title: str
    score: Path | None
    probability: Path | None
    overwrite: bool


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN... | MAP", nargs=-1, required=True, type=PathType())
@click.option("--output", type=PathType(), required=True, metavar="FILE", help="The report, .html.")
@click.option("--title", help="Title of the page  [default: Change detection report, or the map's name].")
@click.option("--score", type=PathType(), metavar="FILE", help="Scores of the map.")
@click.option("--probability", type=PathType(), metavar="FILE", help="Probabilities of change of the map.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@scene_options
@pair_options
@json_option
def report(
    runs: tuple[Path, ...],
    output: Path,
    title: str | None,
    score: Path | None,
    probability: Path | None,
    overwrite: bool,
    source: SceneSource,
    contract: Contract,
    as_json: bool,
) -> None:
    """Make one HTML file from runs, or from a change map, to look at and to pass on.

    Of runs it holds maps to zoom into and to blink between, the results table, curves, calibration, the split,
    McNemar's tests between runs of one scene, protocol and versions. Of a map without a truth it holds the map
    and its areas, how it was made, and, where they are named, both dates with their masks, shift and warnings,
    scores and probabilities. It opens in any browser, without a network.
    """
    dates = bool(source.dataset is not None or source.t1 or source.t2)
    if len(runs) == 1 and runs[0].is_file() and runs[0].name != "result.json":
        _report_map(
            MapReport(runs[0], output, title or "", score, probability, overwrite),
            source if dates else None,
            contract,
            as_json=as_json,
        )
        return
    if len(runs) == 1 and not runs[0].exists():
        raise MissingInputError(f"{runs[0]} does not exist: name the file of a change map, or a run's folder")
    if dates or score is not None or probability is not None:
        raise click.UsageError(
            "dates, --score and --probability are of a map: name its file alone, in place of runs"
        )
    from hsi_cd.api.run_folders import open_run
    from hsi_cd.io import HTML, check_outputs, write_text
    from hsi_cd.reporting.html.page import report_page
    from hsi_cd.reporting.html.run_section import ReportRun
    from hsi_cd.runs.folder import files_shown, find_runs
    from hsi_cd.scene.surface import pixel_aspect

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
            tall=pixel_aspect(run.grid),
            kinds=run.kinds,
        )
        for run in folders
    ]
    write_text(output, report_page(shown, title=title or "Change detection report"), overwrite=overwrite)
    tell(f"report: {output}", {"report": output, "runs": [run.folder for run in folders]}, as_json=as_json)


def _report_map(asked: MapReport, source: SceneSource | None, contract: Contract, *, as_json: bool) -> None:
    if source is not None:
        check_scene(source)
    from hsi_cd.api.map_report import report_map
    from hsi_cd.api.opening import input_files, open_scene
    from hsi_cd.io import HTML, check_outputs, write_text

    read = [*named_files(asked.change, asked.score, asked.probability), *(input_files(source) if source else ())]
    check_outputs({"--output": asked.output}, kind=HTML, inputs=read, overwrite=asked.overwrite)
    page = report_map(
        asked.change,
        None if source is None else lambda: open_scene(source, contract),
        score=asked.score,
        probability=asked.probability,
        title=asked.title,
        # Of the map 0 and 1 are classes, whatever they are of the dates.
        nodata=[value for value in contract.nodata if source is None or value not in (0, 1)],
    )
    write_text(asked.output, page, overwrite=asked.overwrite)
    tell(f"report: {asked.output}", {"report": asked.output, "map": asked.change}, as_json=as_json)
