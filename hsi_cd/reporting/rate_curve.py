"""The figure of a learning-rate schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hsi_cd.reporting.figures import DPI


def rate_figure(rates: Sequence[float], *, steps_per_epoch: int, title: str) -> Figure:
    """Draw the learning rate over the epochs.

    Args:
        rates: of each step of the optimiser.
        steps_per_epoch: steps of one epoch.
        title: what the schedule is called.
    """
    figure = Figure(figsize=(5.2, 2.8), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(np.arange(len(rates)) / steps_per_epoch, rates, color="#0072B2", linewidth=1.4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Epoch", fontsize=8)
    axes.set_ylabel("Learning rate", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_title(title, fontsize=9)
    return figure
