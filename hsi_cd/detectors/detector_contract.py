"""What a fitted detector of another package must keep to, tried on a few pixels before it is believed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.method import Method
from hsi_cd.errors import ConfigError, HsiCdError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import Bands, ScenePair

_CORNERS = ((0, 0), (7, 8))  # of the window that is tried


def fit_method(
    method: Method,
    measurement: Measurement,
    *labelled: NDArray[np.int64],
    options: Mapping[str, Any],
    seed: int,
    shapes: NDArray[np.integer] | None = None,
) -> Detector:
    """The detector that a method fits; one of another package is tried on a few pixels before it is believed.

    Args:
        method: a method with ``fit``.
        measurement: of the scene.
        labelled: pixels and target, where the method learns from labels.
        options: those that the user said.
        seed: of its draws.
        shapes: shape that each labelled pixel was drawn with; methods of other packages are not told.

    Raises:
        UnknownNameError: it has no such option.
        ConfigError: an option is of another type; a method of another package fails, or what it fits is no
            detector.
    """
    if method.fit is None:
        raise TypeError(f"{method.name} is a network: the training loop fits it")
    if not method.place:
        drawn = {"shapes": shapes} if labelled and shapes is not None else {}
        return method.fit(measurement, *labelled, options=options, seed=seed, **drawn)
    chosen = method.choose(options)
    with blamed(method.name, "fit"):
        fitted = method.fit(measurement, *labelled, options=chosen, seed=seed)
    check_detector(fitted, method=method, pair=measurement.pair)
    return fitted


def check_detector(detector: Any, *, method: Method, pair: ScenePair) -> None:
    """Refuse what a method fitted if it is no detector, having tried it on a window of the scene.

    Raises:
        ConfigError: with what it lacks of :class:`~hsi_cd.detectors.base.Detector`.
    """
    name = method.name
    check_members(detector, method=name)
    with blamed(name, "its detector"):
        facts = {
            "radius": _is(detector.radius, int, least=0) or "a whole number from 0 up",
            "bands": (isinstance(detector.bands, Bands) and detector.bands.count == pair.bands.count)
            or f"those of the scene ({pair.bands.count}), as scene.pair.bands",
            "unit": detector.unit in ("probability", "score") or "'probability' or 'score'",
            "threshold": _is(detector.threshold, float, least=-np.inf) or "a float",
            "parameters()": _is(detector.parameters(), int, least=0) or "a whole number from 0 up",
        }
    for fact, well in facts.items():
        if well is not True:
            found = detector.parameters() if fact == "parameters()" else getattr(detector, fact)
            raise refused(name, f"{fact} of what it fits is {str(found)[:60]!r}, expected {well}")
    again = _rebuilt(detector, method)
    r, (top, left) = detector.radius, (side // 2 for side in pair.shape)
    t1, t2 = read_window(pair, slice(top, top + 8), slice(left, left + 9), radius=r)
    with blamed(name, "score"):
        score = _score(detector, t1, t2, name=name)
        patches = [
            _score(
                detector, *(date[:, row : row + 2 * r + 1, col : col + 2 * r + 1] for date in (t1, t2)), name=name
            )
            for row, col in _CORNERS
        ]
        t1_gap = t1.copy()
        t1_gap[:, r, r] = np.nan
        gap, later = _score(detector, t1_gap, t2, name=name), _score(again, t1, t2, name=name)
    if not all(_alike(score[corner], patch[0, 0]) for corner, patch in zip(_CORNERS, patches, strict=True)):
        raise refused(
            name, f"score gives a pixel another value in a window than alone with its surroundings (radius {r})"
        )
    if not np.isnan(gap[0, 0]):
        raise refused(name, f"score is {gap[0, 0]:g} where a date has no data, expected NaN")
    if not _alike(score, later):
        raise refused(name, "from_state(state()) scores otherwise than what was fitted")
    with blamed(name, "probability"):
        p = np.asarray(detector.probability(score.copy()))
        if p.shape != score.shape or (p < 0).any() or (p > 1).any() or (np.isnan(p) != np.isnan(score)).any():
            raise refused(name, "probability(score) is not, for each score, from 0 to 1, and NaN for NaN")


def check_members(detector: Any, *, method: str) -> None:
    """Refuse what lacks a part of :class:`~hsi_cd.detectors.base.Detector`.

    Raises:
        ConfigError: with what is missing.
    """
    members = [part for part in vars(Detector) if not part.startswith("_")]
    missing = [part for part in members if not hasattr(detector, part)]
    if missing:
        raise refused(method, f"what it gives is a {type(detector).__name__}, which lacks {', '.join(missing)}")


def _rebuilt(detector: Detector, method: Method) -> Detector:
    """The detector after a way through a file."""
    file = io.BytesIO()
    with blamed(method.name, "state"):
        torch.save(detector.state(), file)
    file.seek(0)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise refused(
            method.name, "state() holds more than tensors and plain values: an array is torch.from_numpy(array)"
        ) from error
    with blamed(method.name, "from_state"):
        again = method.from_state(state, device=torch.device("cpu"))
    check_members(again, method=method.name)
    return again


def _score(detector: Detector, t1: NDArray[np.float32], t2: NDArray[np.float32], *, name: str) -> NDArray[Any]:
    score = detector.score(t1.copy(), t2.copy())
    expected = tuple(side - 2 * detector.radius for side in t1.shape[1:])
    found = (score.dtype.name, score.shape) if isinstance(score, np.ndarray) else type(score).__name__
    if found != ("float32", expected):
        raise refused(name, f"score of a window of {t1.shape} is {found}, expected float32 of {expected}")
    return score


def _alike(a: NDArray[Any], b: NDArray[Any]) -> bool:
    size = float(np.max(np.abs(a), initial=0, where=np.isfinite(a)))
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-4 * size, equal_nan=True))


def _is(value: Any, kind: type, *, least: float) -> bool:
    kinds = (int, float) if kind is float else int  # numpy's are no numbers of JSON
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(value >= least)


@contextmanager
def blamed(name: str, part: str) -> Iterator[None]:
    """Whatever foreign code provokes while the block runs, as an error that names it."""
    try:
        yield
    except (HsiCdError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        told = " ".join(str(error).split())
        raise ConfigError(
            f"method {name} fails in {part} ({type(error).__name__}{': ' if told else ''}{told})"
        ) from error


def refused(name: str, why: str) -> ConfigError:
    """The error for a method that lacks something."""
    return ConfigError(f"method {name} does not keep the contract of a method: {why}; see help(hsi_cd.Method)")
