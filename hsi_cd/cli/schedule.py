"""``hsi-cd schedule``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.run_options import SettingsChoice, settings_options
from hsi_cd.cli.telling import hint, tell

if TYPE_CHECKING:
    from hsi_cd.config import TrainConfig
    from hsi_cd.training.plan import Plan

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
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw the curve, as .png or .pdf.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def schedule(settings: SettingsChoice, labels: int, png: Path | None, overwrite: bool, as_json: bool) -> None:
    """Show the learning rate over a training, before any training.

    A plateau waits for validations, which only a training has: it is shown as if none brought a smaller loss after
    the first.
    """
    from hsi_cd.io import check_output

    config = settings.resolve().train
    if png is not None:
        from hsi_cd.reporting.figures import figure_kind

        figure_kind(png)
        check_output(png, overwrite=overwrite)
    from hsi_cd.training.plan import make_plan, overruled

    taught = labels - labels // config.folds if config.folds else labels
    plan = make_plan(config, taught)
    rates, why = learning_rates(config, plan), overruled(config, plan)
    told = f"epochs    {why}\n" if why else ""
    if png is not None:
        _draw(rates, config, plan, png, overwrite=overwrite)
    record = {
        "schedule": config.schedule,
        "epochs": plan.epochs,
        "steps_per_epoch": plan.length.epoch,
        "steps": plan.length.steps,
        "labels": labels,
        "taught": taught,
        "rates": rates,
    }
    text = (
        f"schedule  {config.schedule}\n"
        f"length    {plan.epochs:,} epochs of {plan.length.epoch} steps, {plan.length.steps:,} steps\n"
        f"{told}from      {labels:,} training pixels, of which each member learns {taught:,}\n\n"
        f"{_table(rates, plan)}"
    )
    tell(text, record, as_json=as_json)
    if png is not None:
        hint(f"\ncurve: {png}", as_json=as_json)


def _table(rates: list[float], plan: Plan) -> str:
    """Some of the steps, spread evenly, with their rates."""
    lines = [f"{'step':>7}  {'epoch':>7}  {'learning rate':>14}"]
    last = len(rates) - 1
    for row in range(min(_ROWS, len(rates))):
        step = round(row * last / (min(_ROWS, len(rates)) - 1)) if last else 0
        lines.append(f"{step:>7,}  {step / plan.length.epoch:>7.1f}  {rates[step]:>14.4g}")
    return "\n".join(lines)


def learning_rates(config: TrainConfig, plan: Plan) -> list[float]:
    """The rate of every step of a training, with validations that bring nothing after the first."""
    import torch

    from hsi_cd.training.optimisation import configured_schedule

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.lr, momentum=0.9)
    moved = configured_schedule(config, optimizer, plan.length)
    rates = []
    for step in range(1, plan.length.steps + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        moved.step()
        if step % (plan.length.epoch * config.validate_every) == 0:
            moved.validated(1.0)
    return rates


def _draw(rates: list[float], config: TrainConfig, plan: Plan, path: Path, *, overwrite: bool) -> None:
    from hsi_cd.reporting.figures import save_figure
    from hsi_cd.reporting.rate_curve import rate_figure

    figure = rate_figure(rates, steps_per_epoch=plan.length.epoch, title=config.schedule)
    save_figure(figure, path, overwrite=overwrite)
