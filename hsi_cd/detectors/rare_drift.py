"""Whether what is called changed is a rare material that drifted: all of it, everywhere, to one and the same look.

Each date is predicted from the other by what most of a scene does. A material that is rare and brightens or dries
in its own way, as roofs do, fails that prediction wherever it lies. What tells it from change is the rest of the
scene: ground that changed looked before like ground elsewhere that did not change, or looks now like ground that
was there before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from hsi_cd.detectors.joint_spectra import SampledSpectra

_NEAR = 2.0  # mean distances of the sample that part the pixels of one place at most
_LIKE = 10  # pixels elsewhere that are most like a pixel
_ALL = 0.75  # of them called changed, by either date: all of the material is
_PLACES = 2  # other places in which they lie at least: two lakes that both dried up are change
_RARE = 0.05  # of the scene, up to which a material is too rare to have taught the prediction
_ASKED, _AT_ONCE = 1000, 100  # pixels that are looked at, and at a time


def drifting(spectra: SampledSpectra, called: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each called pixel is of a material that is called changed wherever it lies.

    Called pixels that lie together are one place. For each date the ten pixels of other places, or not called, are
    found that are most like a pixel at that date. Where three quarters of them are called changed, by both dates
    and in at least two other places, the pixel is of a material of its own that went the same way everywhere; a
    place is if half of its pixels are.

    Args:
        spectra: a sample of the scene.
        called: which of it is called changed, ``(pixels,)``.

    Returns:
        bool ``(pixels,)``; False where more than a twentieth of the scene is called changed. Of more than 1,000
        called pixels every n-th is looked at.
    """
    drifted = np.zeros(len(called), dtype=bool)
    where = np.flatnonzero(called)
    if len(where) <= _LIKE or len(where) > _RARE * len(called):
        return drifted
    place = np.full(len(called), -1)
    place[where] = _together(spectra.places[:, where], near=_NEAR * spectra.every**0.5)
    asked = where[:: -(-len(where) // _ASKED)]
    everywhere = np.ones(len(asked), dtype=bool)
    for date in np.split(spectra.values, 2):
        length = np.square(date).sum(axis=0)
        for start in range(0, len(asked), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            own = asked[part]
            squared = length - 2 * date[:, own].T @ date
            squared[place[own][:, None] == place] = np.inf
            like = np.argpartition(squared, _LIKE, axis=1)[:, :_LIKE]
            several = [len(set(places[places >= 0].tolist())) >= _PLACES for places in place[like]]
            everywhere[part] &= (called[like].mean(axis=1) >= _ALL) & several
    count = int(place.max()) + 1
    votes = np.bincount(place[asked], weights=everywhere, minlength=count)
    drifts = votes >= np.maximum(np.bincount(place[asked], minlength=count) / 2, 1)
    drifted[where] = drifts[place[where]]
    return drifted


def _together(places: NDArray[np.int64], *, near: float) -> NDArray[np.int32]:
    """Numbers of the places in which pixels ``(2, pixels)`` lie that are near one another, ``(pixels,)``."""
    count = places.shape[1]
    pairs = cKDTree(places.T).query_pairs(near, p=np.inf, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), dtype=bool), pairs.T), shape=(count, count))
    numbers: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return numbers
