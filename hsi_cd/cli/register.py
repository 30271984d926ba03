"""``hsi-cd register``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.next_command import told_next
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.pair_options import grid_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd register before.tif after.tif
  hsi-cd register before.tif after.tif --output after-on-before.tif
  hsi-cd register before.tif after.tif --align --output after-on-before.tif
"""


@click.command(epilog=EPILOG)
@click.argument("t1", type=PathType())
@click.argument("t2", type=PathType())
@click.option(
    "--output",
    type=PathType(),
    metavar="FILE",
    help="T2 on T1's grid (GeoTIFF); without it, the shift is only told.",
)
@grid_options
@click.option("--axes", metavar="AXES", help="Axes of an array that does not tell them, as bands,rows,cols.")
@click.option("--resample", is_flag=True, help="Bring single-band files of several pixel sizes to the finest.")
@click.option("--t1-key", metavar="NAME", help="Variable of T1, if its file holds several arrays.")
@click.option("--t2-key", metavar="NAME", help="Variable of T2, if its file holds several arrays.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@json_option
def register(
    t1: Path,
    t2: Path,
    output: Path | None,
    contract: Contract,
    axes: str | None,
    resample: bool,
    t1_key: str | None,
    t2_key: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Lay the later date T2 on the earlier one, T1: measure the shift between them and undo it.

    The shift is measured on tiles by the edges that both dates share, to some hundredths of a pixel; pixels
    without data take no part. Up to 64 pixels are undone by cubic convolution, in bounded memory; a turn or a
    scale is refused with its size. --register of detect, train and predict does the same without a file.
    """
    from hsi_cd.api.fitting_dates import NextStep
    from hsi_cd.api.opening import open_scene
    from hsi_cd.api.registering import register as lay
    from hsi_cd.api.registering import told_of
    from hsi_cd.io import GEOTIFF, check_outputs

    check_outputs({"--output": output}, kind=GEOTIFF, inputs=[t1, t2], overwrite=overwrite)
    source = SceneSource(t1=(t1,), t2=(t2,), keys=(t1_key, t2_key), axes=axes, resample=resample)
    laid = lay(open_scene(source, contract), output=output, overwrite=overwrite)
    done = laid.registered
    if done is None:  # register always says what it did
        return
    written = {} if output is None else {"t2 on t1": str(output)}
    lines = [f"{what}: {text}" for what, text in (written | told_of(laid)).items()]
    record = {"files": written, "undone": [done.down, done.right], **told_of(laid)}
    tell("\n".join(lines), record, as_json=as_json)
    if output is None:
        named = replace(source, t1=t1, t2=t2)
        hint(f"\nnext: {told_next(NextStep(named, replace(contract, register=True), None))}", as_json=as_json)
