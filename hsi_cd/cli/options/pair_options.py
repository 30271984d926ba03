"""Options by which two files become one scene: grids, bands, empty pixels."""

from __future__ import annotations

import click

from hsi_cd.api.sources import Contract
from hsi_cd.cli.options.gathering import gathering

DROPPED = ("bad", "constant", "partly-empty", "water-vapour")
"""Kinds of bands that ``--drop`` leaves out."""


nodata_option = click.option(
    "--nodata",
    type=float,
    multiple=True,
    metavar="VALUE",
    help="Stored value that means no data, beside those that the files declare; may be repeated.",
)
"""Declare values of no data; the command is handed them as ``nodata``."""


mask_option = click.option(
    "--mask",
    multiple=True,
    metavar="WHAT",
    help="What is left out: auto, what a product marks as cloud, shadow, cirrus, haze, snow; none; kinds, as "
    "cloud,shadow; or the FILE of a raster (what is not 0) or of polygons (what they cover); may be repeated "
    "[default: auto].",
)
"""Say what is left out; the command is handed it as ``mask``."""


NO_WORD = "auto"
"""What is left out where nobody said anything of it; what is said is a tuple."""


def mask_of(given: tuple[str, ...]) -> tuple[str, ...] | str:
    """What ``--mask`` says, or its default."""
    return given or NO_WORD


def _contract(
    align: bool,
    common_bands: bool,
    band_tolerance: float,
    saturated: float | None,
    nodata: tuple[float, ...],
    allow_identical: bool,
    mask: tuple[str, ...],
    register: bool | None = None,
) -> Contract:
    values = tuple(dict.fromkeys(nodata))
    return Contract(
        align, common_bands, band_tolerance, saturated, values, allow_identical, register, mask_of(mask)
    )


_OPTIONS = (
    click.option("--align", is_flag=True, help="Resample t2 onto the grid of t1."),
    click.option("--common-bands", is_flag=True, help="Keep the bands that both dates have, in one order."),
    click.option(
        "--band-tolerance",
        type=click.FloatRange(min=0),
        default=5.0,
        show_default=True,
        metavar="NM",
        help="Wavelengths nearer than this are the same band.",
    ),
    click.option(
        "--saturated",
        type=float,
        metavar="VALUE",
        help="Stored values from here on are saturated [default: integers' largest, in half the bands].",
    ),
    nodata_option,
    click.option(
        "--allow-identical", is_flag=True, help="Take two dates that are one file, or hold the same values."
    ),
    mask_option,
)

pair_options = gathering(
    "contract",
    _contract,
    *_OPTIONS,
    click.option(
        "--register/--no-register",
        default=None,
        help="Lay t2 on t1 first: measure the shift between the dates, of up to 64 pixels, and undo it "
        "[default: no; predict: as the checkpoint's scene].",
    ),
)
"""Say what is asked of the two dates; the command is handed it as ``contract``."""

grid_options = gathering("contract", _contract, *_OPTIONS)
"""The same, without ``--register``."""

drop_option = click.option(
    "--drop",
    "dropped",
    type=click.Choice(DROPPED),
    multiple=True,
    help="Leave out bands: those the files mark as bad, constant ones, those with gaps of their own, or water "
    "vapour's; may be repeated.",
)


def drop_settings(dropped: tuple[str, ...]) -> dict[str, bool]:
    """``--drop`` as the settings of the configuration's section ``bands``."""
    return {f"drop_{kind.replace('-', '_')}": True for kind in dropped}
