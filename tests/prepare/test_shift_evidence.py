from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hsi_cd.prepare.shift_evidence import exceeds_its_error, undoing_agrees

smooth = partial(ndimage.gaussian_filter, sigma=1)


def looks(shift: tuple[float, float], gains: list[float]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    ground = ndimage.gaussian_filter(rng.normal(size=(len(gains), 60, 70)), (0, 1.5, 1.5))
    moved = np.stack(
        [g * ndimage.shift(a, shift, order=5, mode="mirror") for g, a in zip(gains, ground, strict=True)]
    )
    return ground.astype(np.float32), moved.astype(np.float32)


def moved_back(shift: tuple[float, float], values: np.ndarray) -> np.ndarray:
    back: np.ndarray = ndimage.shift(values, [-s for s in shift], order=3, mode="mirror")
    return back


@settings(max_examples=25, deadline=None)
@given(
    down=st.floats(-1.5, 1.5), right=st.floats(0.2, 1.5),
    gains=st.lists(st.sampled_from([-3.0, -1.0, 0.2, 1.0, 5.0]), min_size=1, max_size=4),
)  # fmt: skip
def test_the_true_shift_agrees_and_its_opposite_does_not(down: float, right: float, gains: list[float]) -> None:
    t1, t2 = looks((down, right), gains)
    known = np.ones(t1.shape[1:], dtype=bool)
    for sign, expected in ((1, True), (-1, False)):
        undo = partial(moved_back, (sign * down, sign * right))
        assert undoing_agrees(zip(t1, t2, strict=True), known, undo=undo, smooth=smooth) is expected
    still = looks((0, 0), gains)
    undo = partial(moved_back, (down, right))
    assert not undoing_agrees(zip(*still, strict=True), known, undo=undo, smooth=smooth)


def test_nothing_known_agrees_with_nothing() -> None:
    t1, t2 = looks((0.5, 0.5), [1.0])
    nothing = np.zeros(t1.shape[1:], dtype=bool)
    assert not undoing_agrees(
        zip(t1, t2, strict=True), nothing, undo=partial(moved_back, (0.5, 0.5)), smooth=smooth
    )
    flat = np.zeros_like(t1)
    assert not undoing_agrees(
        zip(flat, flat, strict=True), ~nothing, undo=partial(moved_back, (0.5, 0.5)), smooth=smooth
    )


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_the_error_is_that_of_many_repeats(size: float) -> None:
    """Least squares repeated on noise that is the same in each square: the error is how much they scatter."""
    rng = np.random.default_rng(0)
    used = np.ones((64, 80), dtype=bool)
    slopes = rng.normal(size=(2, 3, used.size))
    a, b = slopes
    normal = np.array([[np.vdot(a, a), np.vdot(a, b)], [np.vdot(a, b), np.vdot(b, b)]])
    tile = lambda: np.repeat(np.repeat(rng.normal(size=(8, 10)), 8, 0), 8, 1).ravel()  # noqa: E731
    pulled = slopes * np.abs(tile())  # so that squares weigh differently
    repeats = []
    for _ in range(400):
        rest = (tile() * pulled[0, 0])[None].repeat(3, 0)
        repeats.append(np.linalg.solve(normal, [np.vdot(a, rest), np.vdot(b, rest)]))
    deviation = np.std(repeats, axis=0)
    for factor, expected in ((size * 0.25, False), (size * 12, True)):
        said = []
        for _ in range(20):
            rest = (tile() * pulled[0, 0])[None].repeat(3, 0)
            said.append(exceeds_its_error(np.array([deviation[0] * factor, 0]), (a, b), rest, used))
        assert np.mean(said) == expected


def test_dates_without_noise_have_no_error_and_few_pixels_tell_none() -> None:
    used = np.ones((40, 40), dtype=bool)
    a, b = np.random.default_rng(0).normal(size=(2, 1, used.size))
    assert exceeds_its_error(np.array([0.3, 0.0]), (a, b), np.zeros((1, used.size)), used)
    small = np.ones((8, 8), dtype=bool)
    assert not exceeds_its_error(np.array([0.3, 0.0]), (a[:, :64], b[:, :64]), np.zeros((1, 64)), small)
