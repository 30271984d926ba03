"""``hsi-cd model``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.run_options import SettingsChoice, settings_options
from hsi_cd.cli.telling import tell

if TYPE_CHECKING:
    from hsi_cd.api.rehearsing import Layer, ModelSummary

EPILOG = """\b
Examples:
  hsi-cd model
  hsi-cd model --config backbone-resnet18
  hsi-cd model --set model.backbone.kind=spectral --set prepare.projection=none --bands 155
  hsi-cd model --set model.backbone.kind=resnet18 --set model.backbone.weights=resnet18.pth
"""


@click.command(epilog=EPILOG)
@settings_options
@click.option(
    "--bands",
    type=click.IntRange(min=1),
    metavar="N",
    help="Bands of the scene [default: the configured dataset's, else enough for the components].",
)
@json_option
def model(settings: SettingsChoice, bands: int | None, as_json: bool) -> None:
    """Show a configuration's network: layers, shapes, parameters, what learns, operations, memory.

    Outputs and operations of a layer are those for one patch, as in training, and both dates. Nothing is read but
    the configuration, and the weight file if it names one.
    """
    config = settings.resolve()
    from hsi_cd.api.rehearsing import network_of

    summary = network_of(config, bands=bands)
    tell(_text(summary, batch=config.train.batch_size), asdict(summary), as_json=as_json)


def _text(summary: ModelSummary, *, batch: int) -> str:
    head = ("layer", "kind", "output", "parameters", "part", "learns", "FLOPs")
    rows = [head, *(_row(layer) for layer in summary.layers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if name in ("parameters", "part", "FLOPs") else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    memory = (
        f"weights {_short(summary.weight_bytes)}B",
        f"training {_short(summary.optimiser_bytes)}B for gradients and optimiser",
        f"{_short(summary.batch_bytes)}B for a batch of {batch}",
        f"scoring {_short(summary.tile_bytes)}B a core, in tiles of {summary.tile[0]} x {summary.tile[1]}",
    )
    total, learned = (summary.members * count for count in (summary.parameters, summary.learned))
    facts = {
        "input": f"{summary.channels} channels, two dates",
        "members": f"{summary.members}, each as above",
        "parameters": f"{total:,}, of which {learned:,} learn from the start",
        "receptive field": f"{summary.side} x {summary.side} pixels",
        "FLOPs": f"{_short(summary.patch_flops)} a patch and member; {_short(summary.pixel_flops)} a map's pixel",
        "memory": "; ".join(memory),
    }
    if summary.weights is not None:
        facts["weights"] = str(summary.weights)
    width = max(map(len, facts))
    return "\n".join([*lines, "", *(f"{name:{width}}  {fact}" for name, fact in facts.items())])


def _row(layer: Layer) -> tuple[str, ...]:
    cost = layer.cost
    return (
        cost.name or "(whole)",
        cost.kind,
        " x ".join(map(str, cost.output)) or "-",  # a layer whose weights another one uses directly
        f"{cost.parameters:,}",
        "" if layer.part is None else str(layer.part),
        layer.learns,
        f"{cost.flops:,}",
    )


def _short(number: float) -> str:
    """A number in four digits with its SI prefix, as ``1.234 M``."""
    power = max(0, min(4, (len(str(int(number))) - 1) // 3))
    return f"{number / 1000**power:.4g} {['', 'k', 'M', 'G', 'T'][power]}"
