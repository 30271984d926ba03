"""How many kinds of change there are, where nobody says it: groups whose number is known."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from hsi_cd.detectors.kind_clusters import KindOptions, find_centres, nearest, prediction_strength

Floats = NDArray[np.float64]


def groups(centres: Floats, sizes: list[int], seed: int = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Normal groups of deviation 1 around centres, in an order that says nothing."""
    draw = np.random.default_rng(seed)
    own = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return centres[own] + draw.standard_normal((len(own), centres.shape[1])), own


def test_a_far_kind_does_not_hide_the_others() -> None:
    """Two groups have the best silhouette by far; there are five."""
    centres = np.array([[60.0, 0, 0], [0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]])
    features, own = groups(centres, [150, 250, 200, 150, 100])
    found, told = find_centres(features, KindOptions())
    assert len(found) == 5 and adjusted_rand_score(own, nearest(features, found)) > 0.98
    assert told["prediction strength"] > 0.95


@pytest.mark.parametrize("stretch", [1.0, 2.0])
@pytest.mark.quick("2.0")
def test_one_kind_is_one(stretch: float) -> None:
    features, _ = groups(np.zeros((1, 6)), [900])
    features[:, 0] *= stretch
    assert len(find_centres(features, KindOptions())[0]) == 1


def test_the_strength_of_a_prediction_is_what_its_authors_say() -> None:
    """By hand: of each group of a half the pairs that the other half's centres keep together."""
    features, _ = groups(np.array([[0.0, 0], [9, 0]]), [120, 80])
    expected = []
    halves = [features[0::2], features[1::2]]
    models = [KMeans(3, n_init=20, random_state=0).fit(half) for half in halves]
    for i, half in enumerate(halves):
        own, other = (nearest(half, models[each].cluster_centers_) for each in (i, 1 - i))
        kept: Counter[int] = Counter()
        pairs: Counter[int] = Counter()
        for a, b in combinations(range(len(half)), 2):
            if own[a] == own[b]:
                pairs[own[a]] += 1
                kept[own[a]] += int(other[a] == other[b])
        expected.append(min(kept[group] / pairs[group] for group in pairs))
    assert prediction_strength(features, 3) == pytest.approx(np.mean(expected))
    assert prediction_strength(features, 2) == pytest.approx(1)
