"""Small charts as SVG elements for a page: curves over epochs, and the reliability of probabilities."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation.continuous import ReliabilityCurve

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 24, 36


def curve_chart(
    x: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]], *, title: str, x_title: str = "epoch"
) -> str:
    """Up to two curves over a common axis; an empty text where there is nothing to draw.

    Args:
        x: float64 ``(n,)``.
        curves: float64 ``(n,)`` by name, NaN where there is no point.
        title: what the chart is called, for those who do not see it too.
        x_title: what is along the axis.
    """
    drawn = {name: np.isfinite(x) & np.isfinite(values) for name, values in curves.items()}
    drawn = {name: mask for name, mask in drawn.items() if mask.any()}
    if not drawn:
        return ""
    inside = np.concatenate([curves[name][mask] for name, mask in drawn.items()])
    along = np.concatenate([x[mask] for mask in drawn.values()])
    to_x, x_ends = _scale(along, _LEFT, _WIDTH - _RIGHT)
    to_y, y_ends = _scale(inside, _HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(title, x_ends, y_ends, x_title)]
    for kind, (name, mask) in zip("ab", drawn.items(), strict=False):
        points = " ".join(f"{to_x(a):.1f},{to_y(b):.1f}" for a, b in zip(x[mask], curves[name][mask], strict=True))
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        at = _LEFT if kind == "a" else _LEFT + 150
        parts.append(f'<line class="{kind}" x1="{at}" x2="{at + 24}" y1="11" y2="11"/>')
        parts.append(f'<text x="{at + 30}" y="15">{html.escape(name)}</text>')
    return _svg(parts, title)


def reliability_chart(curve: ReliabilityCurve) -> str:
    """The share of changed pixels over their probability; an empty text without pixels."""
    filled = curve.count > 0
    if not filled.any():
        return ""
    to_x, _ = _scale(np.array([0.0, 1.0]), _LEFT, _WIDTH - _RIGHT)
    to_y, _ = _scale(np.array([0.0, 1.0]), _HEIGHT - _BOTTOM, _TOP)
    title = "Share of changed pixels over their probability"
    parts = [_frame(title, (0.0, 1.0), (0.0, 1.0), "change probability; dots: share of pixels that are changed")]
    parts.append(f'<line class="ideal" x1="{to_x(0)}" y1="{to_y(0)}" x2="{to_x(1)}" y2="{to_y(1)}"/>')
    points = [(to_x(a), to_y(b)) for a, b in zip(curve.mean[filled], curve.share[filled], strict=True)]
    parts.append('<polyline class="a" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in points) + '"/>')
    for (a, b), count in zip(points, curve.count[filled].tolist(), strict=True):
        parts.append(
            f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="3"><title>{count:,} pixels</title></circle>'
        )
    return _svg(parts, title)


class _Scale:
    """From values to pixels of the chart, linear."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._per, self._start = low, (end - start) / (high - low), start

    def __call__(self, value: float) -> float:
        return self._start + (float(value) - self._low) * self._per


def _scale(values: NDArray[np.float64], start: float, end: float) -> tuple[_Scale, tuple[float, float]]:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-12 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    return _Scale(low, high, start, end), (low, high)


def _frame(title: str, x_ends: tuple[float, float], y_ends: tuple[float, float], x_title: str) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    middle = (y_ends[0] + y_ends[1]) / 2
    parts = [f"<title>{html.escape(title)}</title>"]
    for y, value in ((bottom, y_ends[0]), ((bottom + _TOP) / 2, middle), (_TOP, y_ends[1])):
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(value)}</text>')
    for x, value, anchor in ((_LEFT, x_ends[0], "start"), (right, x_ends[1], "end")):
        parts.append(f'<text x="{x}" y="{bottom + 15}" text-anchor="{anchor}">{_short(value)}</text>')
    parts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(x_title)}</text>'
    )
    return "".join(parts)


def _short(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else ""


def _svg(parts: Sequence[str], title: str) -> str:
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg role="img" aria-label="{html.escape(title)}" {size}>{"".join(parts)}</svg>'
