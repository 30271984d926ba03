"""``hsi-cd curve``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from hsi_cd.cli.matrix_runs import (
    find_names,
    find_slots,
    matrix_options,
    names,
    place_options,
    run_with_bar,
    runs_option,
)

EPILOG = """\b
Examples:
  hsi-cd curve --datasets taizhou,rennes --methods siamese,svm --labels 5,10,25,50,100,500 \\
      --seeds 0-4 --output curve.png
  hsi-cd curve --datasets taizhou --methods siamese,svm --fractions 0.001,0.01,0.1 --table curve.csv
  hsi-cd curve --datasets taizhou --methods siamese,svm --imbalance 1,10,50,200 --changed 10

Stopped and started again, it goes on where it stopped.
"""


class Place(NamedTuple):
    """One place of the axis: where it is, what is written there, and the settings of its runs."""

    x: float
    label: str
    settings: dict[str, float]

    @property
    def assignments(self) -> list[str]:
        """The settings, as ``--set`` takes them."""
        return [f"{key}={value!r}" for key, value in self.settings.items()]


@click.command(epilog=EPILOG)
@matrix_options
@click.option("--labels", metavar="N,N", help="Training pixels of each class (protocol P2, split.count).")
@click.option(
    "--fractions", metavar="F,F", help="Shares of each class that teach (protocol P1, split.fraction), as 0.01."
)
@click.option(
    "--imbalance",
    metavar="N,N",
    help="Unchanged training pixels for each changed one (protocol P2, split.imbalance).",
)
@click.option(
    "--changed",
    type=int,
    metavar="N",
    help="Changed training pixels, with --imbalance  [default: 10]",
)
@runs_option("runs/curve")
@place_options
@click.option("--score", default="kappa", show_default=True, help="The score.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Draw the figure, .png or .pdf.")
@click.option(
    "--table",
    "table_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table to a file, as .csv, .md, .tex, .html or .txt.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def curve(
    datasets: str,
    methods: str,
    seeds: tuple[int, ...],
    data_root: Path,
    assignments: tuple[str, ...],
    labels: str | None,
    fractions: str | None,
    imbalance: str | None,
    changed: int | None,
    runs: Path,
    workers: int | None,
    gpus: tuple[int, ...] | str | None,
    score: str,
    output: Path | None,
    table_file: Path | None,
    overwrite: bool,
) -> int:
    """A score against the number of labels, or their imbalance, with bands over seeds.

    Each run is a process and a folder of its own; what is done is skipped. A number of labels that a scene cannot
    give is named at the end and leaves a gap. Whatever teaches, all other labelled pixels of the scene judge, in
    the scene's own proportion of change.
    """
    from hsi_cd.batch.jobs import expand
    from hsi_cd.errors import unknown_name
    from hsi_cd.io import check_output, write_text
    from hsi_cd.reporting.figures import figure_kind, save_figure
    from hsi_cd.reporting.formats import FORMATS
    from hsi_cd.reporting.label_curves import Point, curve_figure, curve_tables
    from hsi_cd.reporting.tables import SCORE_TITLES

    axis, protocol, places = _axis(labels, fractions, imbalance, changed)
    kind = _table_format(table_file)
    for target in (output, table_file):
        if target is not None:
            check_output(target, overwrite=overwrite)
    if output is not None:
        figure_kind(output)
    if score not in SCORE_TITLES:
        raise unknown_name("score", score, SCORE_TITLES)
    scenes, chosen = find_names(datasets, methods)
    varied = places[0].settings
    for text in assignments:
        if text.partition("=")[0].strip() in varied:
            raise click.UsageError(f"--set {text}: the curve sets {' and '.join(varied)} itself; leave it out")

    slots = find_slots(workers, gpus)
    jobs = {
        job: place
        for place in places
        for job in expand(
            scenes,
            chosen,
            seeds,
            protocol=protocol,
            folder=runs / "-".join(text.removeprefix("split.") for text in place.assignments),
            settings=[*assignments, *place.assignments],
            arguments=["--data-root", str(data_root)],
        )
    }
    # Seed by seed, so that a curve stopped half-way has something of every point.
    in_turn = sorted(jobs, key=lambda job: seeds.index(job.seed))
    failed = run_with_bar({job: f"{job.name}, {', '.join(jobs[job].assignments)}" for job in in_turn}, slots)

    points = [
        Point(place.x, place.label, tuple(r for job, at in jobs.items() if at is place and (r := job.result())))
        for place in places
    ]
    if any(point.results for point in points):
        tables = curve_tables(points, axis=axis, score=score)
        if table_file is not None:
            write_text(table_file, FORMATS[kind](tables) + "\n", overwrite=overwrite)
        if output is not None:
            save_figure(curve_figure(points, axis=axis, score=score), output, overwrite=overwrite)
        click.echo(FORMATS["text"](tables))
        for word, path in (("table", table_file), ("figure", output)):
            if path is not None:
                click.echo(f"{word}: {path}")
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0


def _axis(
    labels: str | None, fractions: str | None, imbalance: str | None, changed: int | None
) -> tuple[str, str, list[Place]]:
    """What is along the axis, the protocol of the runs, and the places, in order."""
    axes = {"--labels": labels, "--fractions": fractions, "--imbalance": imbalance}
    given = [option for option, text in axes.items() if text is not None]
    if len(given) != 1:
        said = f"{' and '.join(given)} name {len(given)} axes" if given else "no axis is named"
        raise click.UsageError(f"{said}: give one of --labels, --fractions and --imbalance")
    if changed is not None and imbalance is None:
        raise click.UsageError("--changed goes with --imbalance: give both, or --labels")
    if labels is not None:
        counts = _numbers("--labels", labels, int)
        return "training pixels of each class", "P2", [Place(n, f"{n:,}", {"split.count": n}) for n in counts]
    if fractions is not None:
        shares = _numbers("--fractions", fractions, float)
        return (
            "share of each class that teaches",
            "P1",
            [Place(f, f"{100 * f:g} %", {"split.fraction": f}) for f in shares],
        )
    changed = 10 if changed is None else changed
    ratios = _numbers("--imbalance", imbalance or "", int)
    return (
        f"unchanged training pixels for each changed one, {changed:,} changed",
        "P2",
        [Place(n, f"{n:,}", {"split.count": changed, "split.imbalance": n}) for n in ratios],
    )


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> list[float]:
    """Numbers with commas, ascending, each once."""
    found = set()
    for word in names(option, text):
        try:
            found.add(kind(word))
        except ValueError:
            expected = "whole numbers" if kind is int else "numbers"
            raise click.UsageError(f"{option}: {word!r} is no number: give {expected}, with commas") from None
    return sorted(found)


def _table_format(path: Path | None) -> str:
    """The format that the suffix of a table's file says."""
    formats = {".csv": "csv", ".md": "markdown", ".tex": "latex", ".html": "html", ".txt": "text"}
    if path is None:
        return "text"
    if path.suffix.lower() not in formats:
        raise click.UsageError(f"--table {path}: the suffix is {path.suffix!r}: name it {', '.join(formats)}")
    return formats[path.suffix.lower()]
