"""Options by which two files become one scene: grids, bands, empty pixels."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hsi_cd.scene import Bands, Cube, ScenePair

Command = TypeVar("Command", bound=Callable[..., Any])

_log = logging.getLogger(__name__)

DROPPED = ("bad", "constant", "water-vapour")
"""Kinds of bands that ``--drop`` leaves out."""


@dataclass(frozen=True)
class Contract:
    """What is asked of two dates.

    Attributes:
        align: resample t2 onto t1's grid.
        common_bands: keep only the bands that both dates (and the checkpoint) have, in one order.
        band_tolerance: largest difference of centre wavelengths, nm, of the same band.
        saturated: stored value from which a pixel is saturated; None for the rule for integers.
    """

    align: bool = False
    common_bands: bool = False
    band_tolerance: float = 5.0
    saturated: float | None = None


def contract_options(command: Command) -> Command:
    """Options that are handed to the command together, as ``contract``."""

    @functools.wraps(command)
    def gathered(
        *arguments: Any,
        align: bool,
        common_bands: bool,
        band_tolerance: float,
        saturated: float | None,
        **others: Any,
    ) -> Any:
        contract = Contract(align, common_bands, band_tolerance, saturated)
        return command(*arguments, contract=contract, **others)

    decorated: Any = gathered
    for option in (
        click.option(
            "--saturated",
            type=float,
            metavar="VALUE",
            help="Stored values from here on are saturated [default: integers' largest, in half the bands].",
        ),
        click.option(
            "--band-tolerance",
            type=click.FloatRange(min=0),
            default=5.0,
            show_default=True,
            metavar="NM",
            help="Wavelengths nearer than this are the same band.",
        ),
        click.option("--common-bands", is_flag=True, help="Keep the bands that both dates have, in one order."),
        click.option("--align", is_flag=True, help="Resample t2 onto the grid of t1."),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


drop_option = click.option(
    "--drop",
    "dropped",
    type=click.Choice(DROPPED),
    multiple=True,
    help="Leave out bands: those the files mark as bad, constant ones, or water vapour's; may be repeated.",
)


def drop_settings(dropped: tuple[str, ...]) -> dict[str, bool]:
    """``--drop`` as the settings of the configuration's section ``bands``."""
    return {f"drop_{kind.replace('-', '_')}": True for kind in dropped}


def make_pair(t1: Cube, t2: Cube, *, name: str, contract: Contract) -> ScenePair:
    """Two dates as a scene that keeps the contract; warns where that is doubtful.

    Raises:
        GridError: the dates do not lie on one grid and are not, or cannot be, aligned.
        BandError: the dates have other bands.
    """
    from hsi_cd.prepare.alignment import align
    from hsi_cd.scene import ScenePair
    from hsi_cd.scene.contract import is_same_grid
    from hsi_cd.scene.matching import common_bands

    if contract.saturated is not None:
        t1, t2 = (replace(cube, saturated=contract.saturated) for cube in (t1, t2))
    if contract.align and not is_same_grid(t1.grid, t2.grid):
        t2 = align(t2, t1.grid)
    if contract.common_bands:
        t1, t2 = common_bands(t1, t2, tolerance=contract.band_tolerance)
    pair = ScenePair(t1, t2, name=name, band_tolerance=contract.band_tolerance)
    _warn(pair)
    return pair


def like_checkpoint(pair: ScenePair, bands: Bands, *, contract: Contract) -> ScenePair:
    """A scene with the bands of a checkpoint alone, in its order, if common bands were asked for.

    Raises:
        BandError: a band of the checkpoint is not in the scene.
    """
    from hsi_cd.scene.matching import find_bands, select_bands

    if not contract.common_bands:
        return pair
    names = ("the checkpoint", f"the scene {pair.name}")
    indices = find_bands(bands, pair.bands, names=names, tolerance=pair.band_tolerance)
    return replace(pair, t1=select_bands(pair.t1, indices), t2=select_bands(pair.t2, indices))


def _warn(pair: ScenePair) -> None:
    """Tell what cannot be refused but should be known: bands taken by their place."""
    from hsi_cd.scene.matching import match_bands

    match = match_bands(pair.t1.bands, pair.t2.bands, tolerance=pair.band_tolerance)
    if match.by == "count" and pair.t1.bands.names and pair.t2.bands.names:
        _log.warning(
            "the band names of t1 and t2 share nothing (%r, %r): their %d bands are taken as the same, in order",
            pair.t1.bands.names[0],
            pair.t2.bands.names[0],
            pair.bands.count,
        )
