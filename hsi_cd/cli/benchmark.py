"""``hsi-cd benchmark``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.matrix_runs import run_with_bar
from hsi_cd.cli.options.matrix_options import (
    MatrixChoice,
    Places,
    TableChoice,
    matrix_options,
    place_options,
    runs_option,
    table_options,
)
from hsi_cd.cli.telling import results_text

EPILOG = """\b
Examples:
  hsi-cd benchmark --datasets taizhou,rennes --methods siamese,svm,cva --seeds 0-4
  hsi-cd benchmark --datasets farmland --methods siamese --seeds 0-9 --protocol P1-strict \\
      --format latex --output table.tex
  hsi-cd benchmark --datasets taizhou --methods siamese --seeds 0-2 \\
      --vary attention.kind=bilateral,bam,none --vary train.loss=bce,focal   # an ablation

Stopped and started again, it goes on where it stopped. hsi-cd batch takes
larger matrices from a file; hsi-cd table makes other tables of the same runs.
"""


@click.command(epilog=EPILOG)
@matrix_options
@click.option("--protocol", default="P1", show_default=True, help="P1, P1-strict, P2, P3 or P4.")
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
    matrix: MatrixChoice, protocol: str, vary: tuple[str, ...], runs: Path, places: Places, table: TableChoice
) -> int:
    """Run methods x scenes x seeds, skip what is done, and print the table.

    Each run is a process and a folder of its own; one that fails is named at the end and stops no other.
    """
    from hsi_cd.batch.jobs import expand
    from hsi_cd.batch.variants import cross

    shown = table.check()
    scenes, chosen = matrix.names()
    slots = places.slots()
    jobs = expand(
        scenes,
        chosen,
        matrix.seeds,
        protocol=protocol,
        folder=runs,
        settings=matrix.assignments,
        arguments=["--data-root", str(matrix.data_root)],
        variants=cross(vary),
    )
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
