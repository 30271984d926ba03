"""Date 2 laid on date 1: the shift between them measured, undone lazily, written, and known again."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsi_cd.config import RegisterConfig
from hsi_cd.errors import CheckpointError, PairError, RegistrationError
from hsi_cd.io import GEOTIFF, check_outputs
from hsi_cd.io.cube_files import write_cube
from hsi_cd.paths import as_path
from hsi_cd.prepare.coregistration import LARGEST, measure_coregistration
from hsi_cd.prepare.shifted_cube import shift_back, worth_undoing
from hsi_cd.scene import Registered, ScenePair

_log = logging.getLogger(__name__)


def register(
    pair: ScenePair, *, output: str | os.PathLike[str] | None = None, overwrite: bool = False
) -> ScenePair:
    """Lay date 2 on date 1, where a shift does it.

    The shift is measured on tiles, to some hundredths of a pixel, by the edges that both dates share, whatever
    light and season do to them and with what has no data left out. Up to 64 pixels are undone, window by window
    when the pair is read: by cubic convolution, or, where less than 0.15 pixels are left then, by whole pixels,
    which leave values what they are. ``hc.open_pair(..., register=True)`` does this.

    Args:
        pair: the scene.
        output: write date 2, as it lies on date 1's grid, to this GeoTIFF; in its own number type where that is of
            integers of up to 16 bits, else float32.
        overwrite: whether the file may be replaced.

    Returns:
        The scene with date 2 resampled; its ``registered`` tells what was found and undone.

    Raises:
        RegistrationError: the scene is too small, a date has no edges, the dates show too little in common, are
            shifted by more than 64 pixels, or turned or scaled against each other; with what was found.
        PairError: the pair is registered already.
        OutputError: the file exists or cannot be written.
        FormatError: its name's ending promises another format.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> ground = np.random.default_rng(0).random((4, 103, 98), dtype=np.float32)
        >>> pair = hc.register(hc.open_pair(ground[:, 3:, 2:], ground[:, :-3, :-2]))
        >>> pair.registered.down, pair.registered.right
        (3.0, 2.0)
    """
    target = None if output is None else as_path(output)
    if target is not None:
        check_outputs({"the registered date": target}, kind=GEOTIFF, inputs=pair.files, overwrite=overwrite)
    if pair.registered is not None:
        raise PairError(
            f"{pair.name} is registered already ({pair.registered.told}): give the pair as it was opened"
        )
    found = measure_coregistration(pair)
    down, right = worth_undoing(found.down, found.right)
    laid = laid_by(pair, Registered(down, right, pair.fingerprint(), found.describe()))
    if target is not None:
        _write(pair, laid, target, overwrite=overwrite)
    return laid


def laid_by(pair: ScenePair, registered: Registered) -> ScenePair:
    """A scene with a known shift undone."""
    if not registered.moved:
        return replace(pair, registered=registered)
    t2 = shift_back(pair.t2, (registered.down, registered.right), pair.grid)
    return replace(pair, t2=t2, registered=registered)


def laid_like(pair: ScenePair, fitted: RegisterConfig, *, asked: bool | None = None) -> ScenePair:
    """A scene as what was fitted wants it: by the shift of its own pair, and measured anew on another one.

    Args:
        pair: the scene, as it was opened.
        fitted: what the checkpoint says.
        asked: whether to register it at all; None for what the checkpoint says.

    Raises:
        RegistrationError: the dates cannot be registered.
    """
    if not (fitted.dates if asked is None else asked) or pair.registered is not None:
        return pair
    if fitted.pixels is not None and fitted.shift is not None and fitted.pixels == pair.fingerprint():
        down, right = fitted.shift
        return laid_by(pair, Registered(down, right, fitted.pixels, f"{describe_shift(down, right)}, as fitted"))
    try:
        laid = register(pair)
    except RegistrationError as error:
        if asked:
            raise
        raise RegistrationError(f"{error}; or map the dates as they lie, with register=False") from None
    if fitted.dates and laid.registered is not None:
        _log.warning(
            "what was fitted undid a shift of its own scene; that of %s is measured anew: %s",
            pair.name,
            laid.registered.told,
        )
    return laid


def fitted_settings(config: Any) -> RegisterConfig:
    """What a checkpoint's configuration says of the registration of its scene.

    Raises:
        CheckpointError: it says what no run wrote.
    """
    said = config.get("coregister") if isinstance(config, Mapping) else None
    if said is None:  # of an earlier version
        return RegisterConfig()
    try:
        told = RegisterConfig.model_validate(said)
    except ValueError:
        raise CheckpointError(
            "the checkpoint does not say how its scene was registered in a way that a run writes: train it again"
        ) from None
    if told.shift is not None and max(map(abs, told.shift)) > LARGEST + 1:
        raise CheckpointError(
            f"the checkpoint tells a shift of {told.shift} pixels, beyond {LARGEST}: train it again"
        )
    return told


def told_of(pair: ScenePair) -> dict[str, str]:
    """What a command says of the registration of its scene: nothing where nobody asked."""
    done = pair.registered
    if done is None:
        return {}
    return {"registered": f"{'undone' if done.moved else 'nothing worth undoing'}: {done.told}"}


def describe_shift(down: float, right: float) -> str:
    """What is undone, in words."""
    if not (down or right):
        return "nothing"
    vertical, horizontal = "down" if down >= 0 else "up", "right" if right >= 0 else "left"
    return f"{abs(down):.2f} pixels {vertical} and {abs(right):.2f} {horizontal}"


def _write(pair: ScenePair, laid: ScenePair, target: Path, *, overwrite: bool) -> None:
    """Date 2 as stored: its scale and offset stay what they are, and are told in the file."""
    done = laid.registered or Registered(0.0, 0.0, "")
    stored = replace(pair.t2, scale=(), offset=())
    cube = shift_back(stored, (done.down, done.right), pair.grid)
    tags = {
        "REGISTERED_TO": pair.t1.name,
        "REGISTERED_BY": describe_shift(done.down, done.right),
        "REGISTERED_FROM": done.told,
    }
    write_cube(target, cube, like=pair.t2, tags=tags, overwrite=overwrite)
