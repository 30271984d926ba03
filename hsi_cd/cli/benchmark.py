"""``hsi-cd benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.matrix_runs import run_with_bar, tell_changed
from hsi_cd.cli.options.matrix_options import (
    MatrixChoice,
    Places,
    TableChoice,
    matrix_options,
    place_options,
    runs_option,
    table_options,
)
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.split_options import check_split, split_option
from hsi_cd.cli.telling import results_text

if TYPE_CHECKING:
    from hsi_cd.batch.jobs import GivenSplit

EPILOG = """\b
Examples:
  hsi-cd benchmark --datasets taizhou,rennes --methods siamese,svm,cva --seeds 0-4
  hsi-cd benchmark --datasets farmland --methods siamese --seeds 0-9 --protocol P1-strict \\
      --format latex --output table.tex
  hsi-cd benchmark --datasets taizhou --methods siamese --seeds 0-2 \\
      --vary attention.kind=bilateral,bam,none --vary train.loss=bce,focal   # an ablation
  hsi-cd benchmark --datasets taizhou --methods siamese,svm --seeds 0-4 --split split.npz

Stopped and started again, it goes on where it stopped. hsi-cd batch takes
larger matrices from a file; hsi-cd table makes other tables of the same runs.
"""


@click.command(epilog=EPILOG)
@matrix_options
@click.option("--protocol", help="P1, P1-strict, P2, P3, P4 or drawn  [default: P1]")
@split_option
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=A,B",
    help="Do each run with each of these values of a setting; given again, with every combination.",
)
@runs_option("runs/benchmark")
@place_options
@table_options
def benchmark(
    matrix: MatrixChoice,
    protocol: str | None,
    split: Path | None,
    vary: tuple[str, ...],
    runs: Path,
    places: Places,
    table: TableChoice,
) -> int:
    """Run methods x scenes x seeds, skip what is done, and print the table.

    Each run is a process and a folder of its own; one that fails is named at the end and stops no other. With
    --split, the pixels of a file teach in every run on the one scene that is named.
    """
    from hsi_cd.api.benchmarks import dataset_files
    from hsi_cd.batch.jobs import expand
    from hsi_cd.batch.variants import cross

    scenes, chosen = matrix.names()
    read = [path for scene in scenes for path in dataset_files(scene, matrix.data_root)]
    shown = table.check(inputs=[*read, *named_files(split)])
    check_split(split, protocol, matrix.assignments)
    if split is not None and len(scenes) > 1:
        raise click.UsageError(f"--split names pixels of one scene, and --datasets names {len(scenes)}: name one")
    slots = places.slots()
    drawn: str | GivenSplit = protocol or "P1"
    if split is not None:
        from hsi_cd.api.splitting import split_for

        drawn = split_for(scenes[0], matrix.data_root, split)
    jobs = expand(
        scenes,
        chosen,
        matrix.seeds,
        protocol=drawn,
        folder=runs,
        settings=matrix.assignments,
        arguments=["--data-root", str(matrix.data_root)],
        variants=cross(vary),
    )
    tell_changed(jobs)
    failed = run_with_bar({job: job.name for job in jobs}, slots)

    results = [result for job in jobs if (result := job.table_result()) is not None]
    if results:
        click.echo(
            table.put(results_text(results, kind=table.kind, rows="method", columns="dataset", scores=shown))
        )
    elif table.kind == "json":
        click.echo(table.put("[]"))
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0
