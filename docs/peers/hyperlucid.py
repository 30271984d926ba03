"""HyperLUCID (Lin et al. 2026, arXiv 2608.06028) as a peer: learn what the air did, undo it, compare angles.

A small network learns to turn the first date's spectra into the second's, from the pixels whose spectra lie
closest in angle: those hardly changed, so what tells them apart is light, air and sensor. It turns the whole
first date, the closest pixels of the result join those that teach, and so on until their angles spread alike. What
still differs in angle changed. As in the authors' program, all of the scene is held in memory.
"""

import logging
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hsi_cd.detectors.states import bands_from_state, bands_state
from hsi_cd.errors import BandError

log = logging.getLogger(__name__)

_ROUNDS, _SHORTER = 10, 0.7  # at most; epochs of a round, times those of the one before
_SETTLED = 0.05  # relative change of the angles' deviation that ends the rounds


class Calibration(nn.Module):
    """Spectra ``(N, bands)`` to spectra: four groups of bands to 16 features each, and these to what is added."""

    def __init__(self, bands):
        super().__init__()
        quarter = bands // 4
        self.sizes = (quarter, quarter, quarter, bands - 3 * quarter)
        self.groups = nn.ModuleList(nn.Linear(size, 16) for size in self.sizes)
        self.spectrum = nn.Linear(64, bands)

    def forward(self, x):
        parts = [group(part) for group, part in zip(self.groups, x.split(self.sizes, dim=1), strict=True)]
        return x + functional.elu(self.spectrum(functional.elu(torch.cat(parts, dim=1))))


def angles(x, y):
    """Angles between spectra ``(N, bands)``, radians; by halves, since the arc cosine loses small angles."""
    x, y = functional.normalize(x), functional.normalize(y)
    return 2 * torch.atan2((x - y).norm(dim=1), (x + y).norm(dim=1))


class HyperLUCID:
    """Spectral angle after a calibration learned from unchanged pixels, which are found in rounds; no labels."""

    name, title = "hyperlucid", "HyperLUCID"
    reference = "after Lin et al. 2026, arXiv 2608.06028"
    needs_labels, unit, radius = False, "score", 0
    options: ClassVar = {"epochs": 100, "rate": 0.005, "share": 0.2, "angle": 0.2}
    ranges: ClassVar = {"epochs": (1, None), "rate": (0, None), "share": (0, 1), "angle": (0, 3.14)}

    def __init__(self, bands, limits, nets, threshold, spread):
        self.bands, self.limits, self.nets, self.threshold, self.spread = bands, limits, nets, threshold, spread

    @classmethod
    def fit(cls, scene, *, options, seed):
        count = scene.pair.bands.count
        if count < 4:
            raise BandError(f"{count} bands: HyperLUCID needs 4 or more, of which it makes four groups")
        torch.manual_seed(seed)
        t1, t2, limits = _spectra(scene)
        net, nets, teach, before = Calibration(count), [], None, 1e-5
        found, spread = _closest(angles(t1, t2), options["share"])
        for turn in range(_ROUNDS):
            teach = found if teach is None else teach | found
            _learn(net, t1[teach], t2[teach], int(options["epochs"] * _SHORTER**turn), options["rate"])
            with torch.no_grad():
                t1 = net(t1)
            nets.append({name: value.clone() for name, value in net.state_dict().items()})
            before, (found, spread) = spread, _closest(angles(t1, t2), options["share"])
            if abs(spread - before) <= _SETTLED * before:
                break
        log.info("HyperLUCID: %d rounds, %.0f %% of the pixels taught", len(nets), 100 * teach.float().mean())
        return cls(scene.pair.bands, limits, nets, options["angle"], spread)

    @classmethod
    def from_state(cls, state, *, device=None):
        bands, limits = bands_from_state(state["bands"]), state["limits"]
        return cls(bands, limits, state["nets"], state["threshold"], state["spread"])

    def state(self):
        state = {"bands": bands_state(self.bands), "limits": self.limits, "nets": self.nets}
        return state | {"threshold": self.threshold, "spread": self.spread}

    def parameters(self):
        return sum(value.numel() for weights in self.nets for value in weights.values())

    def score(self, t1, t2):
        """Angles of a window, from stored values ``(bands, h, w)``."""
        x, y = (_scaled(date, limits) for date, limits in zip((t1, t2), self.limits, strict=True))
        net = Calibration(self.bands.count)
        with torch.inference_mode():
            for weights in self.nets:
                net.load_state_dict(weights)
                x = net(x)
            return angles(x, y).reshape(t1.shape[1:]).numpy()

    def probability(self, score):
        return 1 / (1 + np.exp(np.clip((self.threshold - score) / self.spread, -50, 50)))


def _spectra(scene):
    """Scaled spectra of both dates, ``(N, bands)``, where both have data; each date's least and greatest value."""
    dates = ([], [])
    for _, block in scene.read("HyperLUCID"):
        known = np.isfinite(block[0]).all(axis=0) & np.isfinite(block[1]).all(axis=0)
        for kept, date in zip(dates, block, strict=True):
            kept.append(date[:, known].T)
    values = [np.concatenate(date) for date in dates]
    limits = [[float(date.min()), float(date.max())] for date in values]
    t1, t2 = (_scaled(date.T, limit) for date, limit in zip(values, limits, strict=True))
    return t1, t2, limits


def _scaled(date, limits):
    """Values ``(bands, ...)`` as spectra ``(N, bands)``, the date's least value 0 and its greatest 1."""
    low, high = limits
    spectra = torch.from_numpy(np.ascontiguousarray(date.reshape(len(date), -1).T))
    return (spectra - low) / ((high - low) or 1.0)


def _closest(found, share):
    """Which pixels have the smallest angles, this share of all; and the deviation of those angles."""
    chosen = torch.zeros(len(found), dtype=torch.bool)
    order = found.topk(max(1, int(len(found) * share)), largest=False)
    chosen[order.indices] = True
    return chosen, float(order.values.std(correction=0)) or 1e-5


def _learn(net, x, y, epochs, rate):
    """Let the network turn ``x`` into ``y``, all pixels at once, by their mean absolute difference."""
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    lower = torch.optim.lr_scheduler.StepLR(optimiser, 20, gamma=0.9)
    for _ in range(epochs):
        loss = functional.l1_loss(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        lower.step()
