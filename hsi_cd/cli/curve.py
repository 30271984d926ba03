"""``hsi-cd curve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from hsi_cd.cli.matrix_runs import run_with_bar, tell_changed
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.matrix_options import (
    MatrixChoice,
    Places,
    listed,
    matrix_options,
    place_options,
    runs_option,
)
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import cells_of, hint, tell

if TYPE_CHECKING:
    from hsi_cd.evaluation import RunResult

EPILOG = """\b
Examples:
  hsi-cd curve --datasets taizhou,rennes --methods siamese,svm --labels 5,10,25,50,100,500 \\
      --seeds 0-4 --output curve.png
  hsi-cd curve --datasets taizhou --methods siamese,svm --fractions 0.001,0.01,0.1 --table curve.csv
  hsi-cd curve --datasets taizhou --methods siamese,svm --imbalance 1,10,50,200 --changed 10
  hsi-cd curve --datasets rennes --methods siamese --strategy random,uncertain --shapes 5,10,20,50

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


@dataclass(frozen=True)
class Axis:
    """What is along the axis, as it was typed; one of the first three, or a strategy.

    Attributes:
        labels: training pixels of each class, with commas.
        fractions: shares of each class that teach, with commas.
        imbalance: unchanged training pixels for each changed one, with commas.
        changed: changed training pixels, with ``imbalance``.
        strategy: how a simulated analyst goes on drawing, several with commas, with ``shapes``.
        shapes: shapes of each class, with commas, with ``strategy``.
    """

    labels: str | None
    fractions: str | None
    imbalance: str | None
    changed: int | None
    strategy: str | None
    shapes: str | None


@dataclass(frozen=True)
class Drawing:
    """What is made of the runs.

    Attributes:
        score: the score.
        output: file of the figure, or None.
        table_file: file of the table, or None.
        overwrite: replace files that exist.
    """

    score: str
    output: Path | None
    table_file: Path | None
    overwrite: bool


@click.command(epilog=EPILOG)
@matrix_options
@gathering(
    "axis",
    Axis,
    click.option("--labels", metavar="N,N", help="Training pixels of each class (protocol P2, split.count)."),
    click.option(
        "--fractions",
        metavar="F,F",
        help="Shares of each class that teach (protocol P1, split.fraction), as 0.01.",
    ),
    click.option(
        "--imbalance",
        metavar="N,N",
        help="Unchanged training pixels for each changed one (protocol P2, split.imbalance).",
    ),
    click.option(
        "--changed",
        type=int,
        metavar="N",
        help="Changed training pixels, with --imbalance  [default: 10]",
    ),
    click.option(
        "--strategy",
        metavar="NAME,NAME",
        help="How a simulated analyst goes on drawing: random (as hsi-cd draw) or uncertain (as hsi-cd suggest).",
    ),
    click.option("--shapes", metavar="N,N", help="Squares of each class that are drawn, with --strategy."),
)
@runs_option("runs/curve")
@place_options
@gathering(
    "drawing",
    Drawing,
    click.option("--score", default="kappa", show_default=True, help="The score."),
    click.option("--output", type=PathType(), metavar="FILE", help="Draw the figure, .png or .pdf."),
    click.option(
        "--table",
        "table_file",
        type=PathType(),
        metavar="FILE",
        help="Write the table to a file, as .csv, .md, .tex, .html or .txt.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace files that exist."),
)
@json_option
def curve(
    matrix: MatrixChoice,
    axis: Axis,
    runs: Path,
    places: Places,
    drawing: Drawing,
    as_json: bool,
) -> int:
    """A score against the number of labels, or their imbalance, with bands over seeds.

    Each run is a process and a folder of its own; what is done is skipped. A number of labels that a scene cannot
    give is named at the end and leaves a gap. Whatever teaches, all other labelled pixels of the scene judge, in
    the scene's own proportion of change. With --strategy a simulated analyst draws squares over the truth, trains,
    and draws on, at random or where the map is uncertain, all of it in this process; the whole truth judges.
    """
    from hsi_cd.api.benchmarks import dataset_files
    from hsi_cd.batch.jobs import expand
    from hsi_cd.errors import unknown_name
    from hsi_cd.io import check_outputs, write_text
    from hsi_cd.reporting.comparison import told_apart
    from hsi_cd.reporting.figures import figure_kind, save_figure
    from hsi_cd.reporting.formats import FORMATS
    from hsi_cd.reporting.label_curves import Point, curve_figure, curve_tables
    from hsi_cd.reporting.tables import SCORE_TITLES

    if axis.strategy is not None or axis.shapes is not None:
        strategies, numbers = _strategies(axis, places)
        title, protocol, points_at = (
            "shapes of each class that are drawn",
            "",
            [Place(n, f"{n:,}", {}) for n in numbers],
        )
    else:
        strategies = []
        title, protocol, points_at = _axis(axis.labels, axis.fractions, axis.imbalance, axis.changed)
    kind, score = _table_format(drawing.table_file), drawing.score
    if drawing.output is not None:
        figure_kind(drawing.output)
    if score not in SCORE_TITLES:
        raise unknown_name("score", score, SCORE_TITLES)
    scenes, chosen = matrix.names()
    read = [path for scene in scenes for path in dataset_files(scene, matrix.data_root)]
    files = {"--output": drawing.output, "--table": drawing.table_file}
    check_outputs(files, inputs=read, overwrite=drawing.overwrite)
    varied = points_at[0].settings
    for text in matrix.settings:
        if text.partition("=")[0].strip() in varied:
            raise click.UsageError(f"--set {text}: the curve sets {' and '.join(varied)} itself; leave it out")

    if strategies:
        taught, failed = _asked(matrix, strategies, [int(place.x) for place in points_at], runs)
        points = [Point(place.x, place.label, tuple(taught[int(place.x)])) for place in points_at]
    else:
        slots = places.slots()
        jobs = {
            job: place
            for place in points_at
            for job in expand(
                scenes,
                chosen,
                matrix.seeds,
                protocol=protocol,
                folder=runs / "-".join(text.removeprefix("split.") for text in place.assignments),
                settings=[*matrix.settings, *place.assignments],
                arguments=["--data-root", str(matrix.data_root)],
            )
        }
        # Seed by seed, so that a curve stopped half-way has something of every point.
        in_turn = sorted(jobs, key=lambda job: matrix.seeds.index(job.seed))
        tell_changed(jobs)
        failed = run_with_bar({job: f"{job.name}, {', '.join(jobs[job].assignments)}" for job in in_turn}, slots)

        found = [(job, result) for job in jobs if (result := job.result()) is not None]
        results = dict(zip((job for job, _ in found), told_apart([result for _, result in found]), strict=True))
        points = [
            Point(place.x, place.label, tuple(r for job, r in results.items() if jobs[job] is place))
            for place in points_at
        ]
    record = {"axis": title, "score": score, "points": [], "failed": failed}
    if any(point.results for point in points):
        tables = curve_tables(points, axis=title, score=score)
        if drawing.table_file is not None:
            write_text(drawing.table_file, FORMATS[kind](tables) + "\n", overwrite=drawing.overwrite)
        if drawing.output is not None:
            figure = curve_figure(points, axis=title, score=score)
            save_figure(figure, drawing.output, overwrite=drawing.overwrite)
        tell(FORMATS["text"](tables), record | {"points": cells_of(FORMATS["csv"](tables))}, as_json=as_json)
        for word, path in (("table", drawing.table_file), ("figure", drawing.output)):
            if path is not None:
                hint(f"{word}: {path}", as_json=as_json)
    elif as_json:
        tell("", record, as_json=True)
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0


def _strategies(axis: Axis, places: Places) -> tuple[list[str], list[int]]:
    """The strategies, and the numbers of shapes of each class, ascending."""
    if axis.strategy is None or axis.shapes is None:
        raise click.UsageError(
            "--strategy and --shapes go together: give both, as --strategy random --shapes 5,15"
        )
    others = {"--labels": axis.labels, "--fractions": axis.fractions, "--imbalance": axis.imbalance}
    if given := [option for option, text in others.items() if text is not None]:
        raise click.UsageError(f"--strategy has an axis of its own: leave {' and '.join(given)} out")
    if places.are_named:
        raise click.UsageError("an analyst draws after each training: leave --workers and --gpus out")
    from hsi_cd.api.analyst import STRATEGIES
    from hsi_cd.errors import unknown_name

    strategies = list(dict.fromkeys(listed("--strategy", axis.strategy)))
    for name in strategies:
        if name not in STRATEGIES:
            raise unknown_name("strategy", name, STRATEGIES)
    numbers = [int(n) for n in _numbers("--shapes", axis.shapes, int)]
    if numbers[0] < 1:
        raise click.UsageError(f"--shapes {axis.shapes}: give numbers from 1")
    return strategies, numbers


def _asked(
    matrix: MatrixChoice, strategies: list[str], numbers: list[int], runs: Path
) -> tuple[dict[int, list[RunResult]], list[str]]:
    """Results by the number of shapes, and a line for each analyst who could not go on."""
    from hsi_cd.api.analyst import Analyst, ask_analyst, settings_of
    from hsi_cd.api.opening import open_dataset
    from hsi_cd.errors import HsiCdError
    from hsi_cd.plugins import file_word
    from hsi_cd.progress import Bar, progress

    scenes, chosen = matrix.names()
    settings = settings_of(matrix.settings)
    analysts = [
        Analyst(method.name, strategy, tuple(numbers), seed=seed, settings=settings)
        for seed in matrix.seeds
        for method in chosen
        for strategy in strategies
    ]
    taught: dict[int, list[RunResult]] = {number: [] for number in numbers}
    failed = []
    bar: Bar[None] = progress((), total=len(scenes) * len(analysts) * len(numbers), desc="maps", unit="maps")
    with bar:
        for scene in scenes:
            pair, truth = open_dataset(scene, matrix.data_root)
            for analyst in analysts:
                try:
                    word = f"{file_word(analyst.method)}-seed{analyst.seed}"
                    kept = runs / f"strategy={analyst.strategy}" / pair.name / word
                    for number, result in ask_analyst(pair, truth, analyst, kept):
                        taught[number].append(result)
                        bar.update()
                except HsiCdError as error:
                    failed.append(f"failed: {scene} {analyst.title}, seed {analyst.seed}: {error}")
    return taught, failed


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
    for word in listed(option, text):
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
