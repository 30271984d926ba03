"""``hsi-cd table``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.matrix_options import FORMATS
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import results_text

EPILOG = """\b
Examples:
  hsi-cd table runs
  hsi-cd table runs/taizhou-* --columns score --scores oa,kappa,f1,iou --costs
  hsi-cd table runs --format latex --percent oa,f1 --output table.tex
  hsi-cd table runs --format latex --label tab:results --wide --order siamese,irmad --names irmad=IR-MAD
  hsi-cd table runs --interval pixels --format csv
"""

COSTS = ("parameters", "flops", "train_seconds", "map_seconds")


def names(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))


def renamed(ctx: click.Context, parameter: click.Parameter, value: str) -> dict[str, str]:
    """The names in a list of ``name=called`` with commas."""
    pairs = [word.partition("=") for word in names(ctx, parameter, value)]
    for name, equals, called in pairs:
        if not (name.strip() and equals and called.strip()):
            raise click.BadParameter(f"{name!r} is to be called nothing: give NAME=CALLED, as cva=CVA")
    return {name.strip(): called.strip() for name, _, called in pairs}


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PathType())
@click.option("--rows", type=click.Choice(["method", "dataset"]), default="method", show_default=True)
@click.option(
    "--columns",
    type=click.Choice(["method", "dataset", "score"]),
    help="score: one table for each of what is in neither rows nor columns  [default: dataset; method for rows of "
    "datasets]",
)
@click.option("--scores", default="oa,kappa,f1", show_default=True, callback=names, help="Scores, with commas.")
@click.option("--percent", default="oa", show_default=True, callback=names, help="Those of them printed in %.")
@click.option("--costs", is_flag=True, help="Add parameters, FLOPs where known, and seconds to train and map.")
@click.option("--baselines/--no-baselines", default=True, help="Coordinate floor and majority class below.")
@click.option(
    "--interval",
    type=click.Choice(["pixels", "seeds"]),
    help="Print a 95 % bootstrap interval in place of the standard deviation.",
)
@click.option("--ddof", type=click.Choice([0, 1]), default=1, show_default=True, help="Of the standard deviation.")
@click.option(
    "--order", default="", callback=names, help="Methods and datasets as they are to stand, with commas."
)
@click.option(
    "--names",
    "called",
    default="",
    callback=renamed,
    metavar="NAME=CALLED,...",
    help="What methods and datasets are called in the table, with commas.",
)
@click.option("--label", default="", help="Of a LaTeX table; of several it is numbered, as tab:x-2.")
@click.option("--wide", is_flag=True, help="A LaTeX table over both columns of a page (table*).")
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
)
@click.option("--output", type=PathType(), metavar="FILE", help="Write the table to a file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def table(
    runs: tuple[Path, ...],
    rows: str,
    columns: str | None,
    scores: tuple[str, ...],
    percent: tuple[str, ...],
    costs: bool,
    baselines: bool,
    interval: str | None,
    ddof: int,
    order: tuple[str, ...],
    called: dict[str, str],
    label: str,
    wide: bool,
    kind: str,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Compare runs in one table: mean and standard deviation over seeds.

    A RUN is a run folder, or a folder that holds several. The best method of each dataset and score is bold, the
    second underlined, a missing run a dash. Runs of different protocols are refused: their scores do not compare.
    """
    from hsi_cd.io import TABLES, check_outputs, write_text
    from hsi_cd.runs.folder import files_shown, find_runs, read_result

    if kind != "latex" and (label or wide):
        raise click.UsageError("--label and --wide are of LaTeX tables: give --format latex, too")
    folders = find_runs(runs)
    check_outputs({"--output": output}, kind=TABLES[kind], inputs=files_shown(folders), overwrite=overwrite)
    words = results_text(
        [read_result(folder) for folder in folders],
        kind=kind,
        rows=rows,
        columns=columns or ("dataset" if rows == "method" else "method"),
        scores=scores,
        percent=percent,
        costs=COSTS if costs else (),
        baselines=baselines,
        interval=interval,
        ddof=ddof,
        order=order,
        names=called,
        label=label,
        wide=wide,
    )
    if output is None:
        click.echo(words)
    else:
        write_text(output, words + "\n", overwrite=overwrite)
        click.echo(f"table: {output}")
