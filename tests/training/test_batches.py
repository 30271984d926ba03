from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.config import TrainConfig, resolve
from hsi_cd.prepare.splits import stratified_folds
from hsi_cd.training.batches import make_batches, taught_positions
from hsi_cd.training.plan import make_plan
from hsi_cd.training.self_training import CertainPixels
from hsi_cd.training.training_set import TrainingSet


def settings(**train: Any) -> TrainConfig:
    return resolve([("test", {"train": train})]).train


@given(
    pixels=st.integers(1, 3000),
    size=st.integers(1, 300),
    accumulate=st.integers(1, 9),
    epochs=st.integers(1, 400),
)
def test_the_plan_keeps_to_the_fewest_and_the_most_steps(
    pixels: int, size: int, accumulate: int, epochs: int
) -> None:
    bounds = {"min_steps": 600, "max_steps": 900}
    config = settings(batch_size=size, accumulate=accumulate, epochs=epochs, **bounds)
    plan = make_plan(config, pixels)
    assert plan.batch_size == min(size, pixels) and 1 <= plan.batches == pixels // plan.batch_size
    length = plan.length
    assert (length.epoch - 1) * accumulate < plan.batches <= length.epoch * accumulate
    assert length.steps == plan.epochs * length.epoch
    assert config.min_steps <= length.steps < config.max_steps + length.epoch
    if config.min_steps <= epochs * length.epoch <= config.max_steps:
        assert plan.epochs == epochs
    alone = settings(batch_size=size, accumulate=accumulate, epochs=epochs)
    assert make_plan(alone, pixels).epochs == epochs  # exact, where no bounds are given
    by_default = settings(batch_size=size, accumulate=accumulate)
    assert make_plan(by_default, pixels) == make_plan(by_default.model_copy(update={"epochs": 300}), pixels)


@given(count=st.integers(4, 60), folds=st.integers(2, 4), members=st.integers(1, 6))
def test_a_member_learns_from_all_but_its_own_fold(count: int, folds: int, members: int) -> None:
    target = np.arange(count) % 2
    number = stratified_folds(target, folds=folds, seed=0)
    for member in range(members):
        own = taught_positions(member, number, count)
        assert not (number[own] == member % folds).any()
        assert len(own) == (number != member % folds).sum()
    np.testing.assert_array_equal(taught_positions(0, None, count), np.arange(count))


def batches(config: TrainConfig, *, certain: CertainPixels | None = None, labelled: int = 50) -> Any:
    target = (np.arange(labelled) % 3 == 0).astype(np.int64)
    folds = stratified_folds(target, folds=2, seed=0)
    valid = np.ones((12, 10), dtype=bool)
    valid[3] = False
    taught = TrainingSet(np.arange(60, 60 + labelled), target, certain)
    return make_batches(config, taught, folds, members=2, valid=valid)


def test_an_epoch_is_cut_into_steps_of_batches_of_every_member() -> None:
    drawn = batches(settings(batch_size=4, accumulate=4))
    orders = drawn.orders(np.random.default_rng(0))
    steps = drawn.steps(orders)
    assert [len(step) for step in steps] == [4, 2]  # 25 taught, six batches of four
    for member in range(2):
        taken = np.concatenate([batch[member] for step in steps for batch in step])
        np.testing.assert_array_equal(taken, orders[member])
        assert set(taken.tolist()) <= set(drawn.taught[member].tolist()) and len(taken) == 24


def test_the_default_draws_a_permutation_for_each_member() -> None:
    drawn = batches(settings(batch_size=8))
    expected = np.random.default_rng(5)
    for order, own in zip(drawn.orders(np.random.default_rng(5)), drawn.taught, strict=True):
        np.testing.assert_array_equal(order, expected.permutation(own)[:24])


def test_certain_pixels_come_behind_the_labels_and_spare_ones_behind_both() -> None:
    certain = CertainPixels(np.array([0, 1, 2, 40, 41, 42]), np.array([0, 0, 0, 1, 1, 1]), each_epoch=2)
    config = settings(batch_size=4, sampler="balanced", sampler_options={"balanced": {"fill": "scene"}})
    drawn = batches(config, certain=certain)
    assert drawn.plan.batches == (25 + 4) // 4
    np.testing.assert_array_equal(drawn.pixels[:56], [*range(60, 110), 0, 1, 2, 40, 41, 42])
    # All other pixels with data: row 3 has none, and what teaches already does not stand for the unchanged.
    others = [p for p in range(120) if not 30 <= p < 40 and not 60 <= p < 110 and p not in (0, 1, 2, 40, 41, 42)]
    np.testing.assert_array_equal(drawn.pixels[drawn.spare], others)
    assert (drawn.target[drawn.spare] == 0).all() and len(drawn.spare) == len(others)
    generator = np.random.default_rng(0)
    joined = np.concatenate([np.concatenate(drawn.orders(generator)) for _ in range(10)])
    assert np.isin(np.arange(50, 56), joined).all()


def test_without_fill_no_pixel_of_the_scene_is_spare() -> None:
    assert len(batches(settings(sampler="balanced")).spare) == 0


@pytest.mark.parametrize("side", [1, 5, 32])
def test_blocks_are_squares_of_the_scene(side: int) -> None:
    drawn = batches(settings(sampler="block", sampler_options={"block": {"side": side}}))
    row, col = drawn.pixels // 10, drawn.pixels % 10
    for i in range(len(drawn.pixels)):
        together = (row // side == row[i] // side) & (col // side == col[i] // side)
        np.testing.assert_array_equal(drawn.blocks == drawn.blocks[i], together)
