"""Small charts for a page: curves over epochs, and the reliability of probabilities. A template draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation import ReliabilityCurve

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 24, 36


@dataclass(frozen=True)
class Line:
    """A curve: its name, and the points of its unbroken parts as SVG has them."""

    name: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A chart, in pixels from its upper left corner.

    Attributes:
        title: what it is called, for those who do not see it too.
        x_title: what is along the axis.
        x_ticks: place, words and anchor of each.
        y_ticks: place and words of each.
        lines: the curves, two at most.
        dots: place and words of each.
        diagonal: whether a line leads from corner to corner.
        marks: place along the axis and words of each upright line.
        colour: of the curves, as ``#0077bb``; the page's own where it is empty.
    """

    title: str
    x_title: str
    x_ticks: Sequence[tuple[float, str, str]]
    y_ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line]
    dots: Sequence[tuple[str, str, str]] = ()
    diagonal: bool = False
    marks: Sequence[tuple[float, str]] = ()
    colour: str = ""
    width: int = field(default=_WIDTH, init=False)
    height: int = field(default=_HEIGHT, init=False)
    left: int = field(default=_LEFT, init=False)
    right: int = field(default=_WIDTH - _RIGHT, init=False)
    top: int = field(default=_TOP, init=False)
    bottom: int = field(default=_HEIGHT - _BOTTOM, init=False)


def curve_chart(
    x: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]], *, title: str, x_title: str = "epoch"
) -> Chart | None:
    """Up to two curves over a common axis; None where there is nothing to draw.

    Args:
        x: float64 ``(n,)``.
        curves: float64 ``(n,)`` by name, NaN where there is no point.
        title: what the chart is called.
        x_title: what is along the axis.
    """
    drawn = {name: np.isfinite(x) & np.isfinite(values) for name, values in curves.items()}
    drawn = dict([(name, mask) for name, mask in drawn.items() if mask.any()][:2])
    if not drawn:
        return None
    x_scale = _Scale.over([x[mask] for mask in drawn.values()], _LEFT, _WIDTH - _RIGHT)
    y_scale = _Scale.over([curves[name][mask] for name, mask in drawn.items()], _HEIGHT - _BOTTOM, _TOP)
    lines = [Line(name, (_points(x_scale(x[mask]), y_scale(curves[name][mask])),)) for name, mask in drawn.items()]
    return Chart(title, x_title, *_ticks(x_scale, y_scale), lines)


def reliability_chart(curve: ReliabilityCurve) -> Chart | None:
    """The share of changed pixels over their probability; None without pixels."""
    filled = curve.count > 0
    if not filled.any():
        return None
    x_scale, y_scale = _Scale(0.0, 1.0, _LEFT, _WIDTH - _RIGHT), _Scale(0.0, 1.0, _HEIGHT - _BOTTOM, _TOP)
    x, y = x_scale(curve.mean[filled]), y_scale(curve.share[filled])
    dots = [
        (f"{a:.1f}", f"{b:.1f}", f"{count:,} pixels")
        for a, b, count in zip(x, y, curve.count[filled].tolist(), strict=True)
    ]
    return Chart(
        "Share of changed pixels over their probability",
        "change probability; dots: share of pixels that are changed",
        *_ticks(x_scale, y_scale),
        [Line("", (_points(x, y),))],
        dots,
        diagonal=True,
    )


def spectrum_chart(
    x: NDArray[np.float64],
    curves: Mapping[str, NDArray[np.float64]],
    *,
    parts: Sequence[NDArray[np.intp]],
    title: str,
    x_title: str,
    marks: Mapping[int, str],
    colour: str,
) -> Chart | None:
    """Up to two spectra in one colour, broken where bands are missing; None where there is nothing to draw.

    Args:
        x: wavelengths, or numbers of bands, float64 ``(bands,)``.
        curves: float64 ``(bands,)`` by name, NaN where a band is not known.
        parts: bands of each stretch without a gap, in their order along the axis.
        title: what the chart is called.
        x_title: what is along the axis.
        marks: words for bands that are marked by an upright line.
        colour: of the curves.
    """
    drawn = {name: values for name, values in curves.items() if np.isfinite(values).any()}
    if not drawn:
        return None
    x_scale = _Scale.over([x], _LEFT, _WIDTH - _RIGHT)
    y_scale = _Scale.over([values[np.isfinite(values)] for values in drawn.values()], _HEIGHT - _BOTTOM, _TOP)
    lines = []
    for name, values in drawn.items():
        known = [part[np.isfinite(values[part])] for part in parts]
        lines.append(
            Line(name, tuple(_points(x_scale(x[own]), y_scale(values[own])) for own in known if len(own)))
        )
    places = [(float(x_scale(x[band : band + 1])[0]), words) for band, words in marks.items()]
    return Chart(title, x_title, *_ticks(x_scale, y_scale), lines, marks=places, colour=colour)


@dataclass(frozen=True)
class _Scale:
    """From values between two ends to pixels of the chart, linear."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[NDArray[np.float64]], start: float, end: float) -> _Scale:
        """The scale that holds all values; around a single one, half a unit to each side."""
        low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
        if high - low < 1e-12 * max(abs(low), abs(high), 1.0):
            low, high = low - 0.5, high + 0.5
        return cls(low, high, start, end)

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.start + (values - self.low) * ((self.end - self.start) / (self.high - self.low))


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _ticks(x: _Scale, y: _Scale) -> tuple[list[tuple[float, str, str]], list[tuple[float, str]]]:
    """The ends of the horizontal axis; ends and middle of the vertical one."""
    middle = (y.start + y.end) / 2, (y.low + y.high) / 2
    return (
        [(x.start, _short(x.low), "start"), (x.end, _short(x.high), "end")],
        [(place, _short(value)) for place, value in ((y.start, y.low), middle, (y.end, y.high))],
    )


def _short(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"  # 2500 nm are not 2.5e+03
