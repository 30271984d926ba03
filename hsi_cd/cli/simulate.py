"""``hsi-cd simulate``: a scene pair with known truth, to try everything on without a download."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import hint, tell

# The defaults below are repeated in SimulationOptions, which is not imported here: the help must come at once. A
# test holds the two together.
_SETTINGS: tuple[tuple[str, type, int | float, str], ...] = (
    ("rows", int, 200, "Rows of the scene."),
    ("cols", int, 200, "Columns of the scene."),
    ("bands", int, 120, "Spectral bands, evenly spaced from 400 to 2500 nm."),
    ("materials", int, 8, "Kinds of ground (crops, soils, water, concrete, roofs), 4-32."),
    ("seed", int, 0, "Which scene: another seed is another landscape. The same seed gives the same bytes."),
    ("changed", float, 0.2, "Share of the pixels whose ground changes, 0-0.8. This alone is the truth."),
    ("snr", float, 30.0, "Mean signal over noise, a plain ratio; lower is noisier, 'inf' is noise-free."),
    ("shift", float, 0.35, "Misregistration: by how many pixels date 2 is displaced, 0-2."),
    ("drift", float, 0.1, "How much unchanged ground differs between the dates (season, moisture), 0-0.5."),
    ("gain", float, 0.08, "How far date 2's gain strays from 1 over the bands, 0-0.3."),
    ("path-radiance", float, 0.04, "Haze on date 2 at 400 nm, as reflectance, 0-0.3; less at longer waves."),
    ("stripes", float, 0.02, "Sensor stripes along the columns, as a share of the mean signal, 0-0.5."),
    ("mixing", float, 0.3, "Blur that mixes neighbouring ground in a pixel, pixels, 0-1; 0 is unmixed."),
    ("variability", float, 0.06, "How much one kind of ground differs from field to field, 0-0.3."),
)


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command an option for every setting, in the order of the table."""
    for name, kind, default, text in reversed(_SETTINGS):
        command = click.option(f"--{name}", type=kind, default=default, show_default=True, help=text)(command)
    return command


@click.command(
    short_help="Make a scene pair with known truth.",
    epilog="Next: hsi-cd train --t1 DIR/t1.tif --t2 DIR/t2.tif --truth DIR/truth.tif",
)
@click.argument("directory", metavar="DIR", type=PathType())
@_with_settings
@click.option("--overwrite", is_flag=True, help="Replace a simulated scene that lies in DIR already.")
@json_option
def simulate(directory: Path, overwrite: bool, as_json: bool, **settings: Any) -> None:
    """Make a pair of hyperspectral images with known truth in the folder DIR.

    Farmland with roads, a river and villages is drawn from formulas and seen at two dates: nothing is downloaded.
    DIR receives t1.tif and t2.tif (GeoTIFF, reflectance x 10000, wavelengths in the band tags), truth.tif
    (0 unchanged, 1 changed) and simulation.json (all settings). Set a strength to 0 (--snr to inf) to see what
    it does to a method.

    \b
    Examples:
      hsi-cd simulate scene
      hsi-cd simulate easy --drift 0 --gain 0 --path-radiance 0 --shift 0
      hsi-cd simulate tall --rows 7200 --cols 140 --bands 155
    """  # noqa: D301 - a raw string would hide from click the mark for lines to keep
    from hsi_cd.api.simulating import simulate_scene

    files = simulate_scene(directory, overwrite=overwrite, **settings)
    text = f"dates   {files.t1}\n        {files.t2}\ntruth   {files.truth}\nrecord  {files.record}"
    tell(text, {name: getattr(files, name) for name in ("t1", "t2", "truth", "record")}, as_json=as_json)
    t1, t2, truth = (shlex.quote(str(path)) for path in (files.t1, files.t2, files.truth))
    hint(f"next:   hsi-cd train --t1 {t1} --t2 {t2} --truth {truth}", as_json=as_json)
