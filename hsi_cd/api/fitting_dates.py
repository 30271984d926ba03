"""What to do next with files that were looked at: dates and labels among them, opened as a command opens them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from hsi_cd.api.looking import Comparison, SeenFile
from hsi_cd.api.opening import open_scene, truth_of
from hsi_cd.api.sources import Contract, SceneSource, TruthSource
from hsi_cd.errors import HsiCdError, RegistrationError
from hsi_cd.io.inspect import Part
from hsi_cd.prepare.coregistration import measure_coregistration
from hsi_cd.prepare.residual_shift import WORTH_TELLING
from hsi_cd.scene import Cube, ScenePair
from hsi_cd.scene.acquisition import days_of

__all__ = ["NextStep", "next_step"]


@dataclass(frozen=True)
class NextStep:
    """What can be done with files that were looked at, or why nothing can.

    Attributes:
        source: the two dates, the earlier one first; a date that is not among the files is None.
        contract: what must be asked of them.
        truth: the labels among the files; None without any.
        refused: why they cannot be used so, and what to do; else None.
    """

    source: SceneSource
    contract: Contract
    truth: TruthSource | None
    refused: str | None = None


def next_step(
    seen: Sequence[SeenFile],
    compared: Comparison | None = None,
    *,
    key: str | None = None,
    axes: str | None = None,
    resample: bool = False,
    nodata: Sequence[float] = (),
    mask: Any = "auto",
) -> NextStep | None:
    """What the files are good for: opened as ``detect`` and ``train`` open them, with as few options as it takes.

    Args:
        seen: the files, as :func:`hsi_cd.api.looking.look_at` saw them.
        compared: the two dates among them, as :func:`hsi_cd.api.looking.compare_cubes` found.
        key: as it was given to ``look_at``; so are the others.
        axes: of arrays that do not tell them.
        resample: of files of a band each.
        nodata: stored values that mean no data.
        mask: what is left out.

    Returns:
        The step; None where the files hold neither one or two dates nor labels.
    """
    dates = [(file.info.path, part) for file in seen for part in file.info.parts if not part.is_map]
    labels = [file.info.path for file in seen if _holds_labels(file)]
    truth = TruthSource(labels[0] if len(labels) == 1 else labels) if labels else None
    if len(dates) > 2 or not (dates or labels):
        return None
    if len(dates) == 2:
        dates = _in_order(dates)
    paths = [path for path, _ in dates] + [None, None]
    keys = [_key_of(path, part, dates, key) for path, part in dates] + [None, None]
    source = SceneSource(t1=paths[0], t2=paths[1], keys=(keys[0], keys[1]), axes=axes, resample=resample)
    contract = Contract(nodata=tuple(nodata), mask=mask)
    if len(dates) < 2:
        return NextStep(source, contract, truth)
    with _unheard():
        return _fitting(NextStep(source, contract, truth), compared)


def _fitting(step: NextStep, compared: Comparison | None) -> NextStep:
    """The step with what must be asked of its two dates."""
    first: HsiCdError | None = None
    for align, common in product((False, True), repeat=2):
        contract = replace(step.contract, align=align, common_bands=common)
        try:
            pair = open_scene(step.source, contract, like=step.truth)
            if step.truth is not None:
                truth = replace(step.truth, align=align)
                truth_of(step.source, truth, pair.grid)
        except HsiCdError as error:
            first = first or error
            continue
        try:
            shifted = _is_shifted(pair, compared if not (align or common) else None)
            return replace(step, contract=replace(contract, register=shifted or None))
        except RegistrationError as error:
            return replace(step, contract=contract, refused=str(error))
    return replace(step, refused=str(first))


def _is_shifted(pair: ScenePair, compared: Comparison | None) -> bool:
    """Whether the dates are to be registered, as it was found already or is now.

    Raises:
        RegistrationError: they cannot be, and do not fit as they lie.
    """
    if compared is not None and compared.unmeasured is not None:
        raise RegistrationError(compared.unmeasured)
    if compared is not None and compared.shift is not None:
        return math.hypot(*compared.shift) > WORTH_TELLING
    found = measure_coregistration(pair)
    return math.hypot(found.down, found.right) > WORTH_TELLING


def _in_order(dates: list[tuple[Path, Part]]) -> list[tuple[Path, Part]]:
    """The earlier date first, where files or their names tell."""
    told = [(part.cube.acquired, part.cube.name) for _, part in dates]
    days = days_of(told[0], told[1])
    return dates[::-1] if days is not None and days[0] > days[1] else dates


def _key_of(path: Path, part: Part, dates: Sequence[tuple[Path, Part]], key: str | None) -> str | None:
    """The variable of a file, where it must be named: it was, or the file holds both dates."""
    cube: Cube = part.cube
    own = cube.name.removeprefix(f"{path.name}:")
    both = sum(other == path for other, _ in dates) > 1
    return own if own != cube.name and (both or key is not None) else None


def _holds_labels(file: SeenFile) -> bool:
    """Whether a file holds nothing but a map of few values, or shapes."""
    info = file.info
    maps = bool(info.parts) and all(part.is_map for part in info.parts)
    return bool(info.layers) or (maps and len(info.parts) == 1 and file.summaries[0].counts is not None)


@contextmanager
def _unheard() -> Iterator[None]:
    """Without the warnings of what is opened only to see whether it can be."""
    log = logging.getLogger("hsi_cd")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
