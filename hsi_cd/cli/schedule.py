"""``hsi-cd schedule``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.run_options import SettingsChoice, settings_options
from hsi_cd.cli.telling import hint, tell

if TYPE_CHECKING:
    from hsi_cd.api.rehearsing import Rates

EPILOG = """\b
Examples:
  hsi-cd schedule
  hsi-cd schedule --config schedule-hold --png hold.png
  hsi-cd schedule --set train.schedule=cosine --set train.linear_warmup=0.1 --labels 629
"""

_ROWS = 12  # of the table


@click.command(epilog=EPILOG)
@settings_options
@click.option(
    "--labels",
    type=click.IntRange(1, 10**7),
    default=500,
    show_default=True,
    help="Training pixels (certain ones beside few labels included): they decide how many steps an epoch has, "
    "and how many epochs there are.",
)
@click.option("--png", type=PathType(), metavar="FILE", help="Draw the curve, as .png or .pdf.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def schedule(settings: SettingsChoice, labels: int, png: Path | None, overwrite: bool, as_json: bool) -> None:
    """Show the learning rate over a training, before any training.

    A plateau waits for validations, which only a training has: it is shown as if none brought a smaller loss after
    the first.
    """
    from hsi_cd.io import check_outputs

    if png is not None:
        from hsi_cd.reporting.figures import figure_kind

        figure_kind(png)
        check_outputs({"--png": png}, inputs=named_files(settings.config_file), overwrite=overwrite)
    config = settings.resolve().train
    from hsi_cd.api.rehearsing import draw_rates, rates_of

    found = rates_of(config, labels)
    told = f"epochs    {found.why}\n" if found.why else ""
    if png is not None:
        draw_rates(found, png, overwrite=overwrite)
    steps = len(found.rates)
    record = {
        "schedule": found.schedule,
        "epochs": found.epochs,
        "steps_per_epoch": found.steps_per_epoch,
        "steps": steps,
        "labels": labels,
        "taught": found.taught,
        "rates": found.rates,
    }
    text = (
        f"schedule  {found.schedule}\n"
        f"length    {found.epochs:,} epochs of {found.steps_per_epoch} steps, {steps:,} steps\n"
        f"{told}from      {labels:,} training pixels, of which each member learns {found.taught:,}\n\n"
        f"{_table(found)}"
    )
    tell(text, record, as_json=as_json)
    if png is not None:
        hint(f"\ncurve: {png}", as_json=as_json)


def _table(found: Rates) -> str:
    """Some of the steps, spread evenly, with their rates."""
    lines = [f"{'step':>7}  {'epoch':>7}  {'learning rate':>14}"]
    rates, last = found.rates, len(found.rates) - 1
    for row in range(min(_ROWS, len(rates))):
        step = round(row * last / (min(_ROWS, len(rates)) - 1)) if last else 0
        lines.append(f"{step:>7,}  {step / found.steps_per_epoch:>7.1f}  {rates[step]:>14.4g}")
    return "\n".join(lines)
