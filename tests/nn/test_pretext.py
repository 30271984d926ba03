"""What encoders learn without labels, against closed forms and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hsi_cd.nn.backbones import Pointwise, SpectralSpatial
from hsi_cd.nn.pretext import (
    TASKS,
    MaskedReconstruction,
    VariationalAutoencoder,
    gaussian_kl,
    hide_channels,
    masked_error,
    reparameterise,
)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def backbone(channels: int, *, spatial: bool = False) -> nn.Module:
    torch.manual_seed(0)
    kind = SpectralSpatial if spatial else Pointwise
    return kind(channels, width=8, depth=2)


def test_the_divergence_is_the_sum_over_the_dimensions() -> None:
    random = np.random.default_rng(0)
    mean, log_variance = random.normal(size=(5, 3)), random.normal(size=(5, 3))
    found = gaussian_kl(torch.from_numpy(mean), torch.from_numpy(log_variance))
    for sample in range(5):
        expected = 0.0
        for m, v in zip(mean[sample], np.exp(log_variance[sample]), strict=True):
            expected += math.log(1 / math.sqrt(v)) + (v + m**2) / 2 - 1 / 2
        assert found[sample].item() == pytest.approx(expected, abs=1e-12)


def test_the_divergence_is_torchs() -> None:
    mean, log_variance = torch.randn(4, 7), torch.randn(4, 7)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)
    torch.testing.assert_close(gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_a_sample_has_the_moments_of_its_gaussian_and_lets_gradients_through() -> None:
    mean = torch.tensor([[1.0, -2.0]]).expand(20000, 2).clone().requires_grad_()
    log_variance = torch.tensor([[0.0, 2 * math.log(3.0)]]).expand(20000, 2).clone().requires_grad_()
    sample = reparameterise(mean, log_variance, generator=draws())
    np.testing.assert_allclose(sample.mean(dim=0).detach(), [1, -2], atol=0.07)
    np.testing.assert_allclose(sample.std(dim=0).detach(), [1, 3], rtol=0.03)
    sample.sum().backward()
    # d sample / d mean = 1, and d sample / d log variance = (sample - mean) / 2.
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_variance.grad, ((sample - mean) / 2).detach())


@given(
    samples=st.integers(1, 9),
    channels=st.integers(2, 40),
    share=st.floats(0.01, 0.99),
    contiguous=st.booleans(),
    seed=st.integers(0, 99),
)
def test_as_many_channels_are_hidden_of_each_sample(
    samples: int, channels: int, share: float, contiguous: bool, seed: int
) -> None:
    hidden = hide_channels(samples, channels, share=share, contiguous=contiguous, generator=draws(seed))
    assert hidden.shape == (samples, channels) and hidden.dtype == torch.bool
    counts = set(hidden.sum(dim=1).tolist())
    assert len(counts) == 1
    (count,) = counts
    assert 1 <= count <= channels - 1 and abs(count - share * channels) <= 1
    if contiguous:
        assert all(np.ptp(np.flatnonzero(row)) == count - 1 for row in hidden.numpy())


@pytest.mark.parametrize("contiguous", [False, True])
def test_every_channel_is_hidden_at_times(contiguous: bool) -> None:
    hidden = hide_channels(500, 6, share=0.5, contiguous=contiguous, generator=draws())
    shares = hidden.float().mean(dim=0)
    assert (shares > 0.1).all()
    if not contiguous:
        assert (shares - 0.5).abs().max() < 0.08


def test_the_masked_error_is_that_of_a_loop_and_ignores_the_rest() -> None:
    random = np.random.default_rng(1)
    values = torch.from_numpy(random.normal(size=(3, 4, 2, 2))).requires_grad_()
    target, judged = torch.from_numpy(random.normal(size=(3, 4, 2, 2))), torch.rand(3, 4, 2, 2) < 0.4
    error = masked_error(values, target, judged)
    squares = [(values[at].item() - target[at].item()) ** 2 for at in np.ndindex(3, 4, 2, 2) if judged[at].item()]
    assert error.item() == pytest.approx(sum(squares) / len(squares), abs=1e-12)
    error.backward()
    assert values.grad is not None
    assert (values.grad[~judged] == 0).all() and (values.grad[judged] != 0).all()


def test_nothing_judged_is_no_error() -> None:
    values = torch.full((1, 2, 1, 1), torch.inf, requires_grad=True)
    error = masked_error(values, torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1, dtype=torch.bool))
    error.backward()
    assert error.item() == 0 and (values.grad == 0).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("spatial", [False, True])
def test_what_is_hidden_is_not_seen(spatial: bool) -> None:
    """Changing the hidden channels, wherever in the patch, changes nothing that is told of them."""
    task = MaskedReconstruction(
        backbone(6, spatial=spatial), torch.full((6,), 0.5), share=0.5, contiguous=False
    ).eval()
    side = 1 + 2 * int(task.backbone.radius)  # type: ignore[arg-type]
    x, valid = torch.randn(4, 6, side, side), torch.ones(4, 1, side, side, dtype=torch.bool)
    told = task(x, valid, generator=draws())
    assert told.values.shape == (4, 6, 1, 1) and told.judged.sum(dim=1).unique().tolist() == [3]
    other = torch.where(told.judged, x + torch.randn_like(x), x)
    again = task(other, valid, generator=draws())
    torch.testing.assert_close(again.values, told.values)
    torch.testing.assert_close(again.judged, told.judged)
    centre = x[:, :, side // 2, side // 2][:, :, None, None] / 0.5
    torch.testing.assert_close(told.target, centre)
    shown = task(torch.where(told.judged, x, x + 1), valid, generator=draws())
    assert not torch.allclose(shown.values, told.values)


def test_pixels_without_data_are_not_judged() -> None:
    for name in TASKS:
        task = build(name, backbone(4), channels=4, patch=3)
        x, valid = torch.randn(2, 4, task.patch, task.patch), torch.ones(2, 1, task.patch, task.patch) > 0
        valid[1] = False
        told = task(x, valid, generator=draws())
        assert told.judged[0].any() and not told.judged[1].any()


def build(name: str, encoder: nn.Module, *, channels: int, patch: int) -> nn.Module:
    noise = torch.full((channels,), 0.5)
    return TASKS[name](encoder, noise, patch=patch, share=0.5, contiguous=False, latent=3, beta=1.0)


def vae_loss_by_hand(task: VariationalAutoencoder, x: Tensor, code: Tensor) -> tuple[float, float]:
    """Reconstruction and divergence of a batch of patches, pixel by pixel."""
    features = task.backbone(x).flatten(1)
    mean, log_variance = task.posterior(features).chunk(2, dim=1)
    values = task.decoder(code).reshape(x.shape)
    reconstruction = divergence = 0.0
    for sample in range(len(x)):
        for at in np.ndindex(*x.shape[1:]):
            told, there = values[sample][at].item() * 0.5, x[sample][at].item()
            reconstruction += (told - there) ** 2 / (2 * 0.5**2) / len(x)
        for m, v in zip(mean[sample].tolist(), log_variance[sample].exp().tolist(), strict=True):
            divergence += (m**2 + v - math.log(v) - 1) / 2 / len(x)
    return reconstruction, divergence


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_loss_of_the_autoencoder_is_the_evidence_bound(beta: float) -> None:
    task = VariationalAutoencoder(backbone(4), torch.full((4,), 0.5), patch=3, latent=2, beta=beta)
    x, valid = torch.randn(5, 4, 3, 3), torch.ones(5, 1, 3, 3, dtype=torch.bool)
    told = task(x, valid, generator=draws(7))
    mean, log_variance = task.posterior(task.backbone(x).flatten(1)).chunk(2, dim=1)
    code = mean + (log_variance / 2).exp() * torch.randn(5, 2, generator=draws(7))
    reconstruction, divergence = vae_loss_by_hand(task, x, code)
    assert told.terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-5)
    assert told.terms["kl"].item() == pytest.approx(divergence, rel=1e-4)
    assert told.loss.item() == pytest.approx(reconstruction + beta * divergence, rel=1e-5)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("spatial", [False, True])
def test_the_encoder_learns(name: str, spatial: bool) -> None:
    """Gradients reach every weight of the backbone; patches are as wide as patch and radius say."""
    encoder = backbone(5, spatial=spatial)
    task = build(name, encoder, channels=5, patch=5)
    side = task.patch + 2 * int(encoder.radius)  # type: ignore[arg-type, operator]
    x, valid = torch.randn(6, 5, side, side), torch.ones(6, 1, side, side, dtype=torch.bool)
    told = task(x, valid, generator=draws())
    assert told.values.shape == told.target.shape == told.judged.shape == (6, 5, task.patch, task.patch)
    told.loss.backward()
    for parameter in encoder.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", TASKS)
def test_the_same_draws_give_the_same_loss(name: str) -> None:
    task = build(name, backbone(4), channels=4, patch=1)
    x, valid = torch.randn(8, 4, 1, 1), torch.ones(8, 1, 1, 1, dtype=torch.bool)
    losses = [task(x, valid, generator=draws(seed)).loss.item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
