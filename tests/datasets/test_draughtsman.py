"""Labels drawn from a truth map as people draw them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.datasets.simulated.draughtsman import ShapeKind
from hsi_cd.errors import ConfigError, LabelError

KINDS: list[ShapeKind] = ["points", "squares", "blobs"]


@pytest.fixture(scope="module")
def truth() -> hc.Labels:
    """Three changed fields in ground that did not change, with a part that nobody labelled."""
    values = np.zeros((80, 100), dtype=np.uint8)
    values[5:25, 8:30] = values[20:32, 40:60] = values[50:75, 70:90] = 1
    values[60:, :40] = 255
    return hc.open_labels(values)


def pixels(labels: hc.Labels) -> dict[int, NDArray[np.intp]]:
    """The pixels of each shape."""
    assert labels.shapes is not None
    return {n: np.argwhere(labels.shapes == n) for n in range(1, int(labels.shapes.max()) + 1)}


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_lie_well_inside_objects_of_their_class(truth: hc.Labels, kind: ShapeKind) -> None:
    drawn = hc.draw(truth, 8, kind=kind, seed=3)
    assert drawn.shapes is not None
    assert ((drawn.values == 255) == (drawn.shapes == 0)).all()
    assert len(pixels(drawn)) == 16
    taken = np.zeros(truth.shape, dtype=int)
    for number, where in pixels(drawn).items():
        own = number % 2  # odd shapes are changed, which is 1
        mask = np.zeros(truth.shape, dtype=bool)
        mask[tuple(where.T)] = True
        around = scipy.ndimage.binary_dilation(mask, np.ones((3, 3), dtype=bool))
        assert (truth.values[around] == own).all()  # not at the border of anything
        assert (drawn.values[mask] == own).all()
        assert scipy.ndimage.label(mask)[1] == 1
        taken += around
        if kind == "points":
            assert len(where) == 1
        elif kind == "squares":
            assert len(where) == 9 and (np.ptp(where, axis=0) == 2).all()
        else:
            assert 5 <= len(where) <= 40
        assert taken[mask].max() == 1  # a pixel away from all that were drawn before


@pytest.mark.parametrize("kind", KINDS)
def test_they_lie_in_one_view_that_shows_both_classes(truth: hc.Labels, kind: ShapeKind) -> None:
    corners = set()
    for seed in range(4):
        where = np.argwhere(hc.draw(truth, 5, kind=kind, seed=seed).values != 255)
        extent = np.ptp(where, axis=0)
        spill = 12 if kind == "blobs" else 1  # what is begun at the view's edge may go on
        assert extent[0] < 40 + 2 * spill and extent[1] < 50 + 2 * spill
        corners.add(tuple(where.min(axis=0)))
    assert len(corners) > 1  # another seed, another drawing


@given(
    kind=st.sampled_from(KINDS),
    few=st.integers(1, 6),
    more=st.integers(0, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_first_shapes_of_a_larger_drawing_are_the_smaller_one(
    truth: hc.Labels, kind: ShapeKind, few: int, more: int, seed: int
) -> None:
    small = hc.draw(truth, few, kind=kind, seed=seed).shapes
    large = hc.draw(truth, few + more, kind=kind, seed=seed).shapes
    assert small is not None and large is not None
    np.testing.assert_array_equal(np.where(large <= 2 * few, large, 0), small)


def test_where_objects_are_thin_shapes_lie_at_their_border() -> None:
    values = np.zeros((40, 40), dtype=np.uint8)
    values[3:6, 4:13] = 1  # room for three squares side by side, none of them inside
    for seed in range(10):
        try:
            drawn = hc.draw(values, 3, seed=seed)
        except LabelError as error:  # the first was drawn where it left too little room
            assert "room for" in str(error)
        else:
            assert (drawn.values == 1).sum() == 27
    assert (hc.draw(values, 1).values == 1).sum() == 9


def test_what_cannot_be_drawn_is_told(truth: hc.Labels) -> None:
    values = np.zeros((30, 30), dtype=np.uint8)
    values[4:6, 4:9] = 1
    with pytest.raises(LabelError, match="room for 0 changed squares, and 2 are asked for: ask for fewer, or for"):
        hc.draw(values, 2)
    assert hc.draw(values, 10, kind="points").counts() == (10, 10, 880)
    with pytest.raises(LabelError, match=r"room for 10 changed points, and 11 are asked for: ask for fewer$"):
        hc.draw(values, 11, kind="points")
    with pytest.raises(LabelError, match="has no changed pixel"):
        hc.draw(hc.Labels(np.zeros_like(values)), 2)
    with pytest.raises(ConfigError, match="kind is 'lines': expected points, squares or blobs"):
        hc.draw(truth, 2, kind="lines")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="shapes is 0"):
        hc.draw(truth, 0)
    with pytest.raises(ConfigError, match="seed is -1"):
        hc.draw(truth, seed=-1)


def test_objects_go_on_beyond_the_scene() -> None:
    """All of a narrow scene is near its edge, which is no border."""
    values = np.zeros((30, 3), dtype=np.uint8)
    values[15:] = 1
    drawn = hc.draw(values, 2)
    assert drawn.counts() == (18, 18, 54)
    assert (drawn.values[14:16] == 255).all()  # but this is one, and there was room elsewhere
