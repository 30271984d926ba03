import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.training.samplers import SAMPLERS, Pool, balanced, block, hard, shuffle


def pool(n: int = 60, *, changed: int = 15, blocks: int = 1, spare: int = 0, seed: int = 0) -> Pool:
    """A member's pixels, every third position of a scene whose last positions are spare."""
    rng = np.random.default_rng(seed)
    size = 3 * n + spare
    target = np.zeros(size, dtype=np.int64)
    own = np.arange(0, 3 * n, 3)
    target[own[:changed]] = 1
    return Pool(own, target, rng.integers(0, blocks, size), np.ones(size), np.arange(3 * n, size))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", SAMPLERS)
@given(n=st.integers(1, 60), changed=st.integers(0, 60), length=st.integers(1, 60), seed=st.integers(0, 5))
def test_as_many_positions_as_wanted_and_only_the_members_own(
    name: str, n: int, changed: int, length: int, seed: int
) -> None:
    drawn = pool(n, changed=min(changed, n), blocks=4, seed=seed)
    length = min(length, n)
    order = SAMPLERS[name](drawn, length, rng(seed))
    assert order.shape == (length,) and order.dtype == np.int64
    assert np.isin(order, drawn.own).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_seed_gives_one_order_and_each_epoch_another(name: str) -> None:
    drawn = pool(blocks=4)
    generator = rng(7)
    first, second = (SAMPLERS[name](drawn, 60, generator) for _ in range(2))
    np.testing.assert_array_equal(first, SAMPLERS[name](drawn, 60, rng(7)))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_changes_nothing_it_is_given(name: str) -> None:
    drawn, before = pool(blocks=3, spare=5), pool(blocks=3, spare=5)
    SAMPLERS[name](drawn, 40, rng())
    for field in vars(drawn):
        np.testing.assert_array_equal(getattr(drawn, field), getattr(before, field))


@pytest.mark.parametrize("sampler", [shuffle, block])
def test_a_pass_meets_every_pixel_once(sampler) -> None:
    drawn = pool(blocks=5)
    np.testing.assert_array_equal(np.sort(sampler(drawn, 60, rng())), drawn.own)


def test_shuffling_is_numpys_permutation() -> None:
    drawn = pool()
    np.testing.assert_array_equal(shuffle(drawn, 50, rng(3)), rng(3).permutation(drawn.own)[:50])


@given(changed=st.integers(1, 59), spare=st.integers(0, 30), seed=st.integers(0, 5))
def test_balance_gives_each_class_half(changed: int, spare: int, seed: int) -> None:
    drawn = pool(changed=changed, spare=spare, seed=seed)
    order = balanced(drawn, 60, rng(seed))
    assert abs(int(drawn.target[order].sum()) - 30) <= 1


def test_balance_repeats_the_rarer_class_evenly() -> None:
    drawn = pool(changed=7)
    positions, times = np.unique(balanced(drawn, 60, rng()), return_counts=True)
    rarer = drawn.target[positions] == 1
    assert rarer.sum() == 7 and set(times[rarer].tolist()) <= {4, 5} and (times[~rarer] == 1).all()


def test_too_few_unchanged_pixels_are_filled_up_from_the_scene() -> None:
    drawn = pool(changed=50, spare=40)
    order = balanced(drawn, 60, rng())
    filled = order[order >= 180]
    assert len(filled) == 20 and len(np.unique(filled)) == 20  # 30 of each class, 10 of them labelled unchanged
    assert set(drawn.own[50:].tolist()) <= set(order.tolist())
    again = balanced(drawn, 60, rng(1))
    assert set(again[again >= 180].tolist()) != set(filled.tolist())


def test_nothing_is_filled_up_where_the_unchanged_are_enough() -> None:
    drawn = pool(changed=7, spare=40)
    np.testing.assert_array_equal(balanced(drawn, 60, rng(2)), balanced(pool(changed=7), 60, rng(2)))


def test_hard_pixels_come_as_often_as_their_loss_says() -> None:
    drawn = pool(20)
    loss = drawn.last_loss.copy()
    loss[drawn.own] = np.linspace(0, 4, 20)
    order = hard(Pool(drawn.own, drawn.target, drawn.blocks, loss, drawn.spare), 40_000, rng())
    share = np.array([(order == position).mean() for position in drawn.own])
    np.testing.assert_allclose(share, 0.5 / 20 + 0.5 * loss[drawn.own] / loss[drawn.own].sum(), atol=0.005)


def test_before_anything_was_learned_no_pixel_is_hard() -> None:
    for loss in (np.ones(60), np.zeros(60)):
        drawn = pool(20)
        order = hard(Pool(drawn.own, drawn.target, drawn.blocks, loss, drawn.spare), 20_000, rng())
        assert np.unique(order, return_counts=True)[1] == pytest.approx(1000, rel=0.15)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=st.integers(0, 9))
def test_every_stretch_of_an_epoch_holds_each_blocks_share(sizes: list[int], seed: int) -> None:
    number = np.repeat(np.arange(len(sizes)), sizes)
    total = len(number)
    own = np.arange(total)
    order = block(Pool(own, own * 0, number, np.ones(total), own[:0]), total, rng(seed))
    np.testing.assert_array_equal(np.sort(order), own)
    for code, size in enumerate(sizes):
        met = np.cumsum(number[order] == code)
        expected = np.arange(1, total + 1) * size / total
        # Laid out evenly, a block is never ahead or behind by more than the other blocks' roundings can add up to.
        assert np.abs(met - expected).max() <= 1 + len(sizes) * size / total


def test_the_pixels_of_a_block_come_in_random_order() -> None:
    own = np.arange(50)
    one = Pool(own, own * 0, own * 0, np.ones(50), own[:0])
    first, second = block(one, 50, rng(0)), block(one, 50, rng(1))
    assert not np.array_equal(first, second) and not np.array_equal(first, own)
