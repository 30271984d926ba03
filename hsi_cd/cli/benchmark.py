"""``hsi-cd benchmark``."""

from __future__ import annotations

from pathlib import Path

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
@click.option("--scores", default="oa,kappa,f1", show_default=True, help="Scores of the table, with commas.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "markdown", "html", "csv", "latex"]),
    default="text",
    show_default=True,
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the table to a file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def benchmark(
    datasets: str,
    methods: str,
    seeds: tuple[int, ...],
    protocol: str,
    data_root: Path,
    assignments: tuple[str, ...],
    vary: tuple[str, ...],
    runs: Path,
    workers: int | None,
    gpus: tuple[int, ...] | str | None,
    scores: str,
    kind: str,
    output: Path | None,
    overwrite: bool,
) -> int:
    """Run methods x scenes x seeds, skip what is done, and print the table.

    Each run is a process and a folder of its own; one that fails is named at the end and stops no other.
    """
    from hsi_cd.batch.jobs import expand
    from hsi_cd.batch.variants import cross
    from hsi_cd.errors import unknown_name
    from hsi_cd.io import check_output, write_text
    from hsi_cd.reporting.formats import results_table
    from hsi_cd.reporting.tables import SCORE_TITLES

    if output is not None:
        check_output(output, overwrite=overwrite)
    scenes, chosen = find_names(datasets, methods)
    shown = names("--scores", scores)
    for name in shown:
        if name not in SCORE_TITLES:
            raise unknown_name("score", name, SCORE_TITLES)
    slots = find_slots(workers, gpus)
    jobs = expand(
        scenes,
        chosen,
        seeds,
        protocol=protocol,
        folder=runs,
        settings=assignments,
        arguments=["--data-root", str(data_root)],
        variants=cross(vary),
    )
    failed = run_with_bar({job: job.name for job in jobs}, slots)

    results = [result for job in jobs if (result := job.table_result()) is not None]
    if results:
        words = results_table(results, format=kind, rows="method", columns="dataset", scores=shown)
        if output is not None:
            write_text(output, words + "\n", overwrite=overwrite)
        click.echo(words if output is None else f"table: {output}")
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0
