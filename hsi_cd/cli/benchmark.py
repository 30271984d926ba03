"""``hsi-cd benchmark``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options import data_root_option

EPILOG = """\b
Examples:
  hsi-cd benchmark --datasets taizhou,rennes --methods siamese,svm,cva --seeds 0-4
  hsi-cd benchmark --datasets farmland --methods siamese --seeds 0-9 --protocol P1-strict \\
      --format latex --output table.tex

Stopped and started again, it goes on where it stopped. hsi-cd table makes other tables of the same runs.
"""


def parse_seeds(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``0-4`` or ``0,3,7`` or both, as numbers."""
    seeds: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            seeds += range(int(first), int(last) + 1) if dash else [int(first)]
        except (ValueError, OverflowError, MemoryError):
            raise click.BadParameter(f"{part!r} is neither a number nor a range, as 0-4") from None
    if not seeds:
        raise click.BadParameter(f"{value!r} names no seed: give 0-4 or 0,3,7")
    return tuple(dict.fromkeys(seeds))


@click.command(epilog=EPILOG)
@click.option("--datasets", required=True, metavar="A,B", help="Benchmark scenes, with commas.")
@click.option("--methods", required=True, metavar="X,Y", help="Methods, with commas; see hsi-cd methods.")
@click.option(
    "--seeds", default="0-4", show_default=True, callback=parse_seeds, help="A range, or numbers with commas."
)
@click.option("--protocol", default="P1", show_default=True, help="P1, P1-strict, P2, P3 or P4.")
@data_root_option
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a setting of every run.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default="runs/benchmark",
    show_default=True,
    help="Folder of the runs.",
)
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
    runs: Path,
    scores: str,
    kind: str,
    output: Path | None,
    overwrite: bool,
) -> int:
    """Run methods x scenes x seeds, skip what is done, and print the table.

    Each run is a process and a folder of its own; one that fails is named at the end and stops no other.
    """
    from tqdm import tqdm

    from hsi_cd.batch.matrix import expand, finished, run_missing
    from hsi_cd.datasets import find_entry
    from hsi_cd.detectors.registry import find_method
    from hsi_cd.errors import unknown_name
    from hsi_cd.evaluation import results_table
    from hsi_cd.evaluation.tables import SCORE_TITLES
    from hsi_cd.io import check_output, write_text

    if output is not None:
        check_output(output, overwrite=overwrite)
    scenes = [find_entry(name).name for name in _names("--datasets", datasets)]
    chosen = [find_method(name).name for name in _names("--methods", methods)]
    shown = _names("--scores", scores)
    for name in shown:
        if name not in SCORE_TITLES:
            raise unknown_name("score", name, SCORE_TITLES)
    jobs = expand(
        list(dict.fromkeys(scenes)),
        chosen,
        seeds,
        protocol=protocol,
        folder=runs,
        settings=assignments,
        arguments=["--data-root", str(data_root)],
    )

    bar = tqdm(total=len(jobs), unit="run", disable=None)
    failures = []
    for _, failure in run_missing(jobs, started=lambda job: bar.set_description(job.name)):
        bar.update()
        if failure is not None:
            failures.append(failure)
    bar.close()

    results = [result for result in map(finished, jobs) if result is not None]
    if results:
        words = results_table(results, format=kind, rows="method", columns="dataset", scores=shown)
        if output is not None:
            write_text(output, words + "\n", overwrite=overwrite)
        click.echo(words if output is None else f"table: {output}")
    for failure in failures:
        click.echo(f"failed: {failure.job.name}: {failure.reason}", err=True)
    return 2 if failures else 0


def _names(option: str, text: str) -> list[str]:
    names = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        raise click.UsageError(f"{option} {text!r} names nothing: give one or more names, with commas")
    return names
