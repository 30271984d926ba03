import numpy as np
import pytest
import scipy
import torch
from torch import Tensor

from hsi_cd.config import AugmentConfig
from hsi_cd.training.disturbances import add_noise, disturb, drop_bands, misregister, relight

STRENGTHS = ("shift", "gain", "offset", "spectral_noise", "band_dropout")


def batch(n: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    t1, t2 = torch.from_numpy(rng.normal(size=(2, n, 3, 5, 5)).astype(np.float32))
    return t1, t2, torch.from_numpy(rng.random((n, 1, 5, 5)) < 0.8)


def disturbed(patches: tuple[Tensor, ...], seed: int = 0, **on: float) -> tuple[Tensor, ...]:
    return disturb(*patches, config=AugmentConfig(**on), random=np.random.default_rng(seed))


def test_by_default_nothing_happens_and_nothing_is_drawn() -> None:
    patches, random = batch(), np.random.default_rng(0)
    assert all(
        now is then
        for now, then in zip(disturb(*patches, config=AugmentConfig(), random=random), patches, strict=True)
    )
    assert random.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("seed", range(4))
def test_bands_are_dropped_from_both_dates_alike(seed: int) -> None:
    """Two equal dates stay equal: a band dropped from one alone would look like change."""
    t1, _, valid = batch()
    a, b, _ = disturbed((t1, t1.clone(), valid), seed, band_dropout=0.5)
    assert torch.equal(a, b) and not torch.equal(a, t1)


@pytest.mark.parametrize("on", [{"gain": 0.1}, {"offset": 0.1}, {"spectral_noise": 0.1}, {"shift": 0.4}])
def test_what_differs_between_two_looks_is_drawn_for_each_date(on: dict[str, float]) -> None:
    t1, _, valid = batch()
    a, b, _ = disturbed((t1, t1.clone(), valid), **on)
    assert not torch.allclose(a, b)


@pytest.mark.parametrize("name", STRENGTHS)
def test_pixels_without_data_stay_0(name: str) -> None:
    t1, t2, valid = batch()
    a, b, kept = disturbed((t1 * valid, t2 * valid, valid), **{name: 0.9})
    assert (kept <= valid).all()
    assert (a[~kept.expand_as(a)] == 0).all() and (b[~kept.expand_as(b)] == 0).all()


def test_bands_are_dropped_as_often_as_configured() -> None:
    ones = torch.ones(400, 20, 2, 2)
    a, b = drop_bands(ones, 2 * ones, share=0.3, random=np.random.default_rng(0))
    dropped = a[:, :, 0, 0] == 0
    assert torch.equal(a * 2, b) and set(a.unique().tolist()) == {0, 1}
    assert torch.equal(a, a[:, :, :1, :1].expand_as(a))  # the whole patch, or nothing of it
    assert float(dropped.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert len(dropped.unique(dim=0)) > 300  # other bands in each sample


def test_light_is_a_factor_and_haze_a_sum() -> None:
    t1, _, valid = batch(500)
    valid = torch.ones_like(valid)
    scaled = relight(t1, valid, gain=0.1, offset=0.0, random=np.random.default_rng(0)) / t1
    factors = scaled[:, 0, 0, 0]
    torch.testing.assert_close(scaled, factors[:, None, None, None].expand_as(scaled), rtol=1e-4, atol=1e-4)
    assert float(factors.mean()) == pytest.approx(1, abs=0.02) and float(factors.std()) == pytest.approx(
        0.1, rel=0.1
    )
    added = relight(t1, valid, gain=0.0, offset=0.2, random=np.random.default_rng(0)) - t1
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added), rtol=1e-4, atol=1e-5)
    assert float(added[:, :, 0, 0].std()) == pytest.approx(0.2, rel=0.1)


def test_noise_is_independent_and_normal() -> None:
    zeros = torch.zeros(200, 8, 5, 5)
    found = add_noise(zeros, zeros[:, :1] == 0, deviation=0.3, random=np.random.default_rng(0))
    assert float(found.std()) == pytest.approx(0.3, rel=0.02) and abs(float(found.mean())) < 0.01
    assert abs(float(np.corrcoef(found[:, 0].ravel(), found[:, 1].ravel())[0, 1])) < 0.05


def test_a_poor_registration_is_scipys_bilinear_shift_of_date_2() -> None:
    t1, t2, valid = batch()
    a, b, kept = misregister(t1, t2, torch.ones_like(valid), largest=0.7, random=np.random.default_rng(2))
    pixels = np.random.default_rng(2).uniform(-0.7, 0.7, size=(6, 2)).astype(np.float32)
    assert torch.equal(a, t1) and kept.all()
    for i, (right, down) in enumerate(pixels):
        for band in range(3):
            expected = scipy.ndimage.shift(t2[i, band].numpy(), (-down, -right), order=1, mode="nearest")
            np.testing.assert_allclose(b[i, band].numpy(), expected, atol=1e-5)


def test_a_pixel_that_takes_from_one_without_data_has_none() -> None:
    t1, t2, _ = batch(20)
    valid = torch.ones(20, 1, 5, 5, dtype=torch.bool)
    valid[:, :, 2, 2] = False
    _, _, kept = misregister(t1, t2, valid, largest=0.5, random=np.random.default_rng(0))
    lost = ~kept[:, 0]
    assert lost[:, 2, 2].all()
    assert (lost.sum(dim=(1, 2)) == 4).all()  # the pixel, and the three that look at it


def test_a_patch_of_one_pixel_has_nothing_to_be_shifted_from() -> None:
    one = torch.ones(3, 2, 1, 1)
    a, b, kept = misregister(one, 2 * one, one[:, :1] > 0, largest=0.5, random=np.random.default_rng(0))
    assert torch.equal(a, one) and torch.equal(b, 2 * one) and kept.all()


def test_every_disturbance_at_once_follows_the_seed() -> None:
    patches = batch(20)
    on = dict.fromkeys(STRENGTHS, 0.2)
    first, again, other = (disturbed(patches, seed, **on) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert all(torch.equal(a, b) for a, b in zip(patches, batch(20), strict=True))
