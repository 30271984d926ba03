import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from hsi_cd.prepare.augment import flip_and_turn, mixup, swap_dates


def batch(n: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    t1, t2 = torch.from_numpy(rng.normal(size=(2, n, 3, 5, 5)).astype(np.float32))
    valid = torch.from_numpy(rng.random((n, 1, 5, 5)) < 0.8)
    return t1, t2, valid, torch.from_numpy(rng.integers(0, 2, n).astype(np.float32))


def eight_ways(x: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(y, k, axes=(-2, -1)) for y in (x, x[..., ::-1]) for k in range(4)]


def test_all_tensors_are_moved_in_one_of_the_eight_ways_alike() -> None:
    t1, t2, valid, _ = batch()
    tensors = (t1, t2, valid)
    ways = list(zip(*(eight_ways(x.numpy()) for x in tensors), strict=True))
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(80):
        moved = flip_and_turn([t1, t2, valid], random=random)
        same = [all(np.array_equal(m.numpy(), w) for m, w in zip(moved, way, strict=True)) for way in ways]
        assert sum(same) == 1
        seen.add(same.index(True))
    assert seen == set(range(8))


def test_dates_are_swapped_sample_by_sample() -> None:
    t1, t2, _, _ = batch(200)
    first, second = swap_dates(t1, t2, random=np.random.default_rng(0))
    swapped = (first == t2).all(dim=(1, 2, 3))
    kept = (first == t1).all(dim=(1, 2, 3))
    assert (swapped ^ kept).all()
    assert 60 < swapped.sum() < 140
    torch.testing.assert_close(first + second, t1 + t2)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_blends_are_those_of_the_formula(alpha: float) -> None:
    t1, t2, valid, target = batch()
    b1, b2, both, soft = mixup(t1, t2, valid, target, alpha=alpha, random=np.random.default_rng(4))
    random = np.random.default_rng(4)
    share = random.beta(alpha, alpha, size=6)
    share = np.maximum(share, 1 - share)
    other = random.permutation(6)
    for i, j in enumerate(other):
        for blended, whole in ((b1, t1), (b2, t2), (soft, target)):
            expected = share[i] * whole[i].numpy() + (1 - share[i]) * whole[j].numpy()
            np.testing.assert_allclose(blended[i].numpy(), expected, atol=1e-6)
        np.testing.assert_array_equal(both[i].numpy(), valid[i].numpy() & valid[j].numpy())


def test_a_blend_keeps_more_of_its_own() -> None:
    t1, t2, valid, _ = batch(64)
    target = torch.ones(64)
    target[32:] = 0
    soft = mixup(t1, t2, valid, target, alpha=0.6, random=np.random.default_rng(0))[3]
    assert (soft[:32] >= 0.5).all() and (soft[32:] <= 0.5).all() and ((soft > 0) & (soft < 1)).any()


def test_one_seed_varies_a_batch_in_one_way() -> None:
    t1, t2, valid, target = batch()
    before = [x.clone() for x in (t1, t2, valid, target)]

    def varied(seed: int) -> list[Tensor]:
        random = np.random.default_rng(seed)
        a, b, v = flip_and_turn([t1, t2, valid], random=random)
        a, b = swap_dates(a, b, random=random)
        return list(mixup(a, b, v, target, alpha=0.6, random=random))

    for one, again in zip(varied(1), varied(1), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert any(not torch.equal(one, other) for one, other in itertools.product(varied(1)[:1], varied(2)[:1]))
    for now, then in zip((t1, t2, valid, target), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
