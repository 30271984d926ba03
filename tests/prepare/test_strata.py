"""Protocols that draw from each kind of change: how many, which, and that the unchanged ones stay as they were."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import LabelError
from hsi_cd.prepare.splits import make_split, split_p1
from hsi_cd.prepare.strata import check_kinds
from hsi_cd.scene import Labels, LabelScheme


def labels_of(sizes: list[int], *, shuffle: int = 0, cols: int = 25) -> Labels:
    """Labels with so many unchanged pixels, then so many of each kind, stored as 10, 11, ..."""
    values = np.repeat([0, *range(10, 9 + len(sizes))], sizes)
    rest = -len(values) % cols
    stored = np.concatenate([values, np.full(rest, 255)])
    np.random.default_rng(shuffle).shuffle(stored)
    stored = stored.reshape(-1, cols)
    scheme = LabelScheme((0,), tuple(range(10, 9 + len(sizes))), (255,))
    kinds = np.where((stored >= 10) & (stored < 255), stored, 0).astype(np.int32)
    return Labels(scheme.encode(stored), scheme, kinds=kinds)


@given(
    sizes=st.lists(st.integers(2, 400), min_size=2, max_size=6),
    unchanged=st.integers(100, 600),
    fraction=st.sampled_from([0.01, 0.05, 0.29, 0.5, 0.99]),
    seed=st.integers(0, 5),
)
def test_p1_draws_its_share_of_each_kind_and_one_at_least(
    sizes: list[int], unchanged: int, fraction: float, seed: int
) -> None:
    labels = labels_of([unchanged, *sizes], shuffle=seed)
    drawn = split_p1(labels, seed=seed, fraction=fraction, kinds=True)
    taught = np.bincount(labels.kind_numbers().ravel()[drawn], minlength=len(sizes) + 1)
    share = Fraction(str(fraction))
    assert taught.tolist() == [int(share * unchanged), *(max(int(share * size), 1) for size in sizes)]
    assert len(np.unique(drawn)) == len(drawn)
    assert (taught[1:] < sizes).all()  # some are left to judge
    state = np.random.RandomState(seed)
    by_hand = state.choice(np.flatnonzero(labels.values.ravel() == 0), int(share * unchanged), replace=False)
    np.testing.assert_array_equal(drawn[: len(by_hand)], by_hand)


@pytest.mark.parametrize("protocol", ["P1", "P1-strict", "P2"])
def test_unchanged_pixels_are_those_of_the_draw_without_kinds(protocol: str) -> None:
    labels = labels_of([900, 200, 120, 7])
    with_kinds, without = (
        make_split(labels, protocol=protocol, seed=3, fraction=0.05, count=40, kinds=kinds)
        for kinds in (True, False)
    )
    own = [split.train[labels.values.ravel()[split.train] == 0] for split in (with_kinds, without)]
    np.testing.assert_array_equal(*own)
    assert with_kinds.fingerprint != without.fingerprint


def test_p2_takes_half_of_a_kind_that_has_too_few() -> None:
    labels = labels_of([900, 200, 120, 7])
    split = make_split(labels, protocol="P2", seed=0, count=100, kinds=True)
    taught = np.bincount(labels.kind_numbers().ravel()[split.train])
    assert taught.tolist() == [100, 100, 60, 3]


def test_p3_goes_on_until_blocks_of_each_kind_teach() -> None:
    labels = labels_of([900, 200, 120, 30], cols=50)
    split = make_split(labels, protocol="P3", seed=0, fraction=0.1, block=5, radius=1, kinds=True)
    numbers = labels.kind_numbers()
    taught = np.bincount(numbers.ravel()[split.train], minlength=4)
    assert (taught >= 0.1 * np.array([900, 200, 120, 30])).all()
    assert split.test_mask(labels).any()


def test_a_kind_without_two_pixels_is_named() -> None:
    with pytest.raises(LabelError, match=r"'kind 11' \(value 11\) 1;"):
        check_kinds(labels_of([50, 20, 1]))
    with pytest.raises(LabelError, match="tells no kinds of change apart"):
        check_kinds(Labels(np.zeros((2, 2), dtype=np.uint8)))
    with pytest.raises(LabelError, match="tells 255 kinds of change apart, but a map holds 254"):
        check_kinds(
            Labels(np.zeros((2, 2), np.uint8), LabelScheme((0,), tuple(range(1, 256))), kinds=np.ones((2, 2)))
        )
