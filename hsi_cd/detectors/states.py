"""What a checkpoint holds of a detector, read with suspicion: it comes from outside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import CheckpointError
from hsi_cd.scene import UNLABELLED, Bands, KindTable


@contextmanager
def rebuilding(part: str) -> Iterator[None]:
    """Turn whatever a damaged state provokes while the block runs into one line.

    Args:
        part: what is built, as ``front end``.

    Raises:
        CheckpointError: the block failed.
    """
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        reason = next(iter(said.splitlines()), "") or type(error).__name__
        raise CheckpointError(f"the checkpoint's {part} cannot be rebuilt ({reason}): train it again") from error


def finite(name: str, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A float64 array of a state, if it has this shape and no number in it is infinite or none.

    Raises:
        ValueError: with what is wrong.
    """
    array: NDArray[Any] = value.numpy()
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if array.dtype != np.float64:
        raise ValueError(f"{name} holds {array.dtype}, not float64")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds what is no finite number")
    return array


def whole(value: Any, name: str, *, least: int) -> int:
    """A whole number of a state, ``least`` or more.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, not a whole number from {least} on")
    return value


def found_from_state(state: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """What a fit found, for the result's record.

    Raises:
        ValueError: a name or a number is none.
    """
    found = tuple(state.items())
    for name, value in found:
        if not isinstance(name, str) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name!r} of what the fit found is {value!r}")
    return found


def bands_state(bands: Bands) -> dict[str, Any]:
    """Bands as plain values."""
    return {
        "count": bands.count,
        "centres": list(bands.centres),
        "fwhm": list(bands.fwhm),
        "names": list(bands.names),
    }


def bands_from_state(state: Mapping[str, Any]) -> Bands:
    """The bands that :func:`bands_state` described.

    Raises:
        ValueError, KeyError, TypeError: they do not make sense.
    """
    bands = Bands(
        count=whole(state["count"], "bands.count", least=1),
        **{name: tuple(state[name]) for name in ("centres", "fwhm", "names")},
    )
    numbers = (*bands.centres, *bands.fwhm)
    if not all(isinstance(n, int | float) and math.isfinite(n) and n > 0 for n in numbers):
        raise ValueError("a wavelength or width of a band is no positive number")
    if not all(isinstance(name, str) for name in bands.names):
        raise ValueError("a band's name is no text")
    return bands


def kind_table_state(table: KindTable) -> dict[str, Any]:
    """A table of kinds of change as plain values."""
    return {"stored": list(table.stored), "names": list(table.names)}


def kind_table_from_state(state: Mapping[str, Any]) -> KindTable:
    """The table that :func:`kind_table_state` described.

    Raises:
        ValueError, KeyError, TypeError: it does not make sense.
    """
    stored, names = tuple(state["stored"]), tuple(state["names"])
    if len(stored) != len(names) or not 0 < len(stored) < UNLABELLED:
        raise ValueError(f"{len(stored)} values and {len(names)} names of kinds of change")
    if not all(type(value) is int for value in stored) or not all(isinstance(name, str) for name in names):
        raise ValueError("a kind of change has no number, or no name")
    if len(set(stored)) < len(stored) or len(set(names)) < len(names):
        raise ValueError(f"two kinds of change have one value or one name, of {stored} and {names}")
    return KindTable(stored, names)
