from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.training.augmentation import Variation, draw_variation


def draw(seed: int, number: int = 64, **settings: Any) -> Variation:
    settings = {"flips": True, "turns": True, "date_swap": True, "mixup": 0.6} | settings
    return draw_variation(number, **settings, random=np.random.default_rng(seed))


def test_a_square_is_laid_in_each_of_the_eight_ways() -> None:
    square = np.arange(25).reshape(5, 5)
    ways = [np.rot90(y, k) for y in (square, square[:, ::-1]) for k in range(4)]
    seen = set()
    for seed in range(80):
        laid = draw(seed, 1).lay(torch.from_numpy(square)).numpy()
        same = [np.array_equal(laid, way) for way in ways]
        assert sum(same) == 1
        seen.add(same.index(True))
    assert seen == set(range(8))


@pytest.mark.parametrize(("flips", "turns", "ways"), [(True, False, {0, 4}), (False, True, {0, 1, 2, 3})])
def test_flips_and_turns_can_be_had_apart(flips: bool, turns: bool, ways: set[int]) -> None:
    drawn = [draw(seed, 1, flips=flips, turns=turns) for seed in range(40)]
    assert {4 * vary.flipped + vary.turns for vary in drawn} == ways


def test_about_half_of_the_samples_exchange_their_dates() -> None:
    swapped = draw(0, 200).swapped
    assert swapped is not None and 60 < swapped.sum() < 140


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_targets_are_blended_by_the_formula(alpha: float) -> None:
    target = torch.tensor([0.0, 1, 1, 0, 1, 0])
    variation = draw(4, 6, flips=False, turns=False, date_swap=False, mixup=alpha)
    random = np.random.default_rng(4)
    share = random.beta(alpha, alpha, size=6)
    share = np.maximum(share, 1 - share)
    other = random.permutation(6)
    expected = [share[i] * target[i] + (1 - share[i]) * target[j] for i, j in enumerate(other)]
    np.testing.assert_allclose(variation.blend(target), expected, atol=1e-6)


def test_a_blend_keeps_more_of_its_own() -> None:
    target = torch.ones(64)
    target[32:] = 0
    soft = draw(0).blend(target)
    assert (soft[:32] >= 0.5).all() and (soft[32:] <= 0.5).all() and ((soft > 0) & (soft < 1)).any()


def test_what_is_switched_off_is_not_drawn() -> None:
    plain = draw(3, flips=False, turns=False, date_swap=False, mixup=0)
    assert plain == Variation()
    target = torch.tensor([0.0, 1])
    assert plain.blend(target) is target


def test_one_seed_varies_a_batch_in_one_way() -> None:
    one, again, other = (vars(draw(seed)) for seed in (1, 1, 2))
    for name, value in one.items():
        np.testing.assert_array_equal(value, again[name])
    assert any(not np.array_equal(value, other[name]) for name, value in one.items())
