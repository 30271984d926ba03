"""The smallest method of one's own: how far both dates' stored values lie apart."""

import numpy as np

from hsi_cd.detectors.states import bands_from_state, bands_state


class CityBlock:
    """Mean absolute difference of both dates' stored values; no labels."""

    name, title, reference = "city-block", "City block", "Minkowski 1896; as an example"
    needs_labels, unit, radius = False, "score", 0

    def __init__(self, bands, mean, spread):
        self.bands, self.mean, self.spread, self.threshold = bands, mean, spread, mean + 2 * spread

    @classmethod
    def fit(cls, scene, *, options=None, seed=0):
        found = np.concatenate([np.abs(t2 - t1).mean(axis=0).ravel() for _, (t1, t2) in scene.read("city block")])
        return cls(scene.pair.bands, float(np.nanmean(found)), float(np.nanstd(found)) or 1.0)

    @classmethod
    def from_state(cls, state, *, device=None):
        return cls(bands_from_state(state["bands"]), state["mean"], state["spread"])

    def score(self, t1, t2):
        return np.abs(t2 - t1).mean(axis=0)

    def probability(self, score):
        return 1 / (1 + np.exp((self.threshold - score) / self.spread))

    def parameters(self):
        return 2

    def state(self):
        return {"bands": bands_state(self.bands), "mean": self.mean, "spread": self.spread}
