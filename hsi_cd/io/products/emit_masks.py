"""The mask file of an EMIT granule, which the archive delivers beside the image, in the same swath's geometry.

Its planes are flags of 0 and 1, and, behind them, amounts of aerosol and water vapour. Version 1 and 2 order them
otherwise; the file lists their names.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.conventions import text_of
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, holds, open_granule
from hsi_cd.io.products.raster_layers import missing_mask
from hsi_cd.io.products.swath import FlagBits, Loaded
from hsi_cd.scene.product import QualityMask

MASK = "mask"
"""The array of the flags."""

_log = logging.getLogger(__name__)

_FLAGS = {
    "cloud": ("cloud flag", "dilated cloud flag"),
    "cirrus": ("cirrus flag",),
    "water": ("water flag",),
    "spacecraft": ("spacecraft flag",),
}
_ORDER = ("cloud flag", "cirrus flag", "water flag", "spacecraft flag", "dilated cloud flag")  # of version 1
_FILLS = (-9999, 255)  # where the swath holds nothing, as floats or as bytes
_NAMES = "sensor_band_parameters/mask_bands"


@dataclass(frozen=True)
class FoundMasks:
    """What lies beside an image.

    Attributes:
        flags: the flags as bits; None where no mask file was found.
        masks: what the bits mean.
        missing: masks that should be there, but whose file is damaged.
        files: the mask file.
    """

    flags: Loaded | None = None
    masks: tuple[FlagBits, ...] = ()
    missing: tuple[QualityMask, ...] = ()
    files: tuple[Path, ...] = ()


def find_masks(delivery: Delivery, main: str, shape: tuple[int, int], acquired: str) -> FoundMasks:
    """The masks of a granule, from the file beside it; warns where there is none.

    It is the file of the same time and shape, or, where one of them tells no time, of the same name but for the
    product. A file of that name that is none, or is damaged, is missing: asking for its masks names it.

    Args:
        delivery: where the image lies.
        main: its name.
        shape: rows and columns of its swath.
        acquired: when it was taken.

    Raises:
        FormatError: the file that was found contradicts itself or the image.
    """
    expected = main.replace("_RFL_", "_MASK_")
    names = [name for name in hdf5_files(replace(delivery, named=None)) if name != main and "mask" in name.lower()]
    for name in names:
        if not holds(delivery, name, MASK):
            continue
        with open_granule(delivery.file(name)) as granule:
            taken = granule.words("time_coverage_start", default="")[:19]
            if (taken != acquired) if taken and acquired else (name != expected):
                continue
            return _opened(granule, main, shape)
    if expected != main and expected in names:
        kinds = [kind for kind in _FLAGS if kind != "water"]
        return FoundMasks(
            missing=tuple(missing_mask(kind, delivery, f"{expected} (whole, of the same time)") for kind in kinds)
        )
    _log.warning(
        "%s: the mask of its granule (EMIT_L2A_MASK, of %s) does not lie beside it: clouds are not left out",
        main.split("?")[0],
        acquired or "the same time",
    )
    return FoundMasks()


def _opened(granule: Granule, main: str, shape: tuple[int, int]) -> FoundMasks:
    path, layers = granule.path, granule.array(MASK, ndim=3)
    if tuple(layers.shape[:2]) != shape:
        raise FormatError(
            f"{path} has {layers.shape[0]} x {layers.shape[1]} pixels, but {main} {shape[0]} x {shape[1]}: they "
            "are not of one granule; download them again"
        )
    names = _names(granule, int(layers.shape[2]))
    planes = tuple(
        dict.fromkeys(names.index(flag) for flags in _FLAGS.values() for flag in flags if flag in names)
    )
    if not planes:
        raise FormatError(f"{path}: none of its masks ({', '.join(names)[:80]}) is known: download it again")
    known = {kind: [flag for flag in flags if flag in names] for kind, flags in _FLAGS.items()}
    masks = tuple(
        FlagBits(
            kind,
            sum(1 << planes.index(names.index(flag)) for flag in flags),
            f"{MASK}: {' and '.join(flags)}",
            kind != "water",
        )
        for kind, flags in known.items()
        if flags
    )
    return FoundMasks(Loaded(partial(_flags, path, planes)), masks, files=(path.absolute(),))


def _names(granule: Granule, count: int) -> list[str]:
    """What the planes mean, as the file lists them; where it does not, in the order of version 1."""
    if not granule.has(_NAMES):
        return [*_ORDER[:count], *[""] * (count - len(_ORDER))]
    listed = np.asarray(granule.file[_NAMES][...]).reshape(-1)
    if len(listed) != count:
        raise FormatError(f"{granule.path}: {count} masks but {len(listed)} names of them: download it again")
    return [" ".join(text_of(each).lower().split()) for each in listed]


def _flags(path: Path, planes: tuple[int, ...]) -> tuple[NDArray[np.uint8]]:
    """The planes of a mask file as bits, in their order."""
    with open_granule(path) as granule:
        layers = granule.array(MASK, ndim=3)
        words = np.zeros(layers.shape[:2], dtype=np.uint8)
        for bit, plane in enumerate(planes):
            flags = np.asarray(layers[:, :, plane])
            strange = flags[~np.isin(flags, (0, 1, *_FILLS))]
            if strange.size:
                raise FormatError(
                    f"{path}: a flag of {MASK} is {strange[0]:g}: expected 0 or 1; it is damaged, download it "
                    "again"
                )
            words |= (flags == 1).astype(np.uint8) << np.uint8(bit)
    return (words,)
