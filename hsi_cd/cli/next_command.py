"""The command that comes next, as it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsi_cd.api.fitting_dates import NextStep

OTHER, EARLIER, LATER = "OTHER", "T1", "T2"
"""What stands for a file that is not known yet."""


def next_command(step: NextStep) -> list[str]:
    """The words of the command: ``detect``, ``train`` where there are labels, ``info`` beside the other date."""
    from hsi_cd.api.sources import as_paths
    from hsi_cd.scene.matching import BAND_TOLERANCE

    source, contract = step.source, step.contract
    truths = [] if step.truth is None else [str(path) for path in as_paths(step.truth.source)]
    if source.t2 is None and source.t1 is not None:
        return ["hsi-cd", "info", str(source.t1), OTHER, *truths, *_reading(step)]
    words = ["hsi-cd", "detect" if step.truth is None else "train"]
    for number, (date, place) in enumerate(((source.t1, EARLIER), (source.t2, LATER)), start=1):
        words += [f"--t{number}", str(date or place)]
        key = source.keys[number - 1]
        words += [] if key is None else [f"--t{number}-key", key]
    words += [word for path in truths for word in ("--truth", path)]
    words += _reading(step)
    tolerance = contract.band_tolerance
    words += [] if tolerance == BAND_TOLERANCE else [f"--band-tolerance={tolerance:g}"]
    words += [] if contract.saturated is None else [f"--saturated={contract.saturated:.17g}"]
    switches = {
        "--allow-identical": contract.allow_identical,
        "--align": contract.align,
        "--common-bands": contract.common_bands,
        "--register": contract.register,
    }
    words += [name for name, wanted in switches.items() if wanted]
    return words if truths else [*words, "--output", str(_free(Path("change.tif")))]


def told_next(step: NextStep) -> str:
    """The command as one line, quoted for a shell; what stands in it for a file that is not known is said."""
    words = next_command(step)
    places = [word for word in words if word in (OTHER, EARLIER, LATER)]
    said = {OTHER: "OTHER is the other date", EARLIER: "T1 and T2 are the two dates"}
    return shlex.join(words) + (f"   # {said[places[0]]}" if places else "")


def _reading(step: NextStep) -> list[str]:
    """The options that say how files are read, as they were given."""
    source, contract = step.source, step.contract
    one = source.t2 is None and source.t1 is not None
    words = ["--key", source.keys[0]] if one and source.keys[0] is not None else []
    words += ["--axes", str(source.axes)] if source.axes is not None else []
    words += ["--resample"] if source.resample else []
    words += [f"--nodata={value:.17g}" for value in contract.nodata]
    masks: Any = () if isinstance(contract.mask, str) else contract.mask
    words += [word for mask in masks for word in ("--mask", str(mask))]
    area = contract.area
    words += [] if area.aoi is None else ["--aoi", str(area.aoi)]
    words += [] if area.bounds is None else [f"--bounds={','.join(map(repr, area.bounds))}"]
    return words if area.bounds_crs is None else [*words, "--bounds-crs", area.bounds_crs]


def _free(path: Path) -> Path:
    """A name that no file has yet."""
    number, found = 2, path
    while found.exists():
        found, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return found
