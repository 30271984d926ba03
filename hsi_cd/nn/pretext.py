"""What an encoder learns without labels: to fill in channels that were hidden, or to code patches in few numbers.

A task wraps a backbone, looks at patches of one date ``(N, C, s, s)`` and gives them back as it believes they are.
Errors count in deviations of the sensor's noise, so that no task gains by copying noise. When it is done, the
backbone is taken out and the rest is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pointwise import PointwiseConv


@dataclass(frozen=True)
class Reconstruction:
    """What a task made of a batch.

    Attributes:
        loss: what the training lowers, a scalar.
        terms: its parts by name, scalars.
        target: the patches that were to be told, in deviations of the noise, ``(N, C, p, p)``.
        values: what was told, the same shape.
        judged: which of them count, bool, the same shape.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    target: Tensor
    values: Tensor
    judged: Tensor


def hide_channels(
    samples: int, channels: int, *, share: float, contiguous: bool, generator: torch.Generator
) -> Tensor:
    """Which channels of each sample are hidden: as many of each, drawn anew.

    Args:
        samples: N.
        channels: C, at least 2: one channel tells nothing of itself.
        share: of the channels; at least one is hidden, and at least one is not.
        contiguous: hide one run of neighbouring channels in place of single ones. Neighbouring bands tell one
            another, so that single ones are filled in without knowing the spectrum.
        generator: source of the draws, on the CPU.

    Returns:
        bool ``(N, C)``.
    """
    count = min(max(1, round(share * channels)), channels - 1)
    if contiguous:
        start = torch.randint(channels - count + 1, (samples, 1), generator=generator)
        place = torch.arange(channels)
        return (place >= start) & (place < start + count)
    ranks = torch.rand(samples, channels, generator=generator).argsort(dim=1)
    return ranks < count


def masked_error(values: Tensor, target: Tensor, judged: Tensor) -> Tensor:
    """Mean squared error over the judged entries alone; all others have zero gradient. 0 where none is judged.

    Args:
        values: any shape.
        target: the same shape.
        judged: bool, the same shape.

    Returns:
        A scalar.
    """
    squared = torch.where(judged, values - target, 0).square()
    return squared.sum() / judged.sum().clamp_min(1)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a diagonal Gaussian from the standard one, in nats.

    ``sum_j (mean_j^2 + variance_j - log variance_j - 1) / 2`` (Kingma and Welling 2014, arXiv 1312.6114,
    appendix B).

    Args:
        mean: ``(N, L)``.
        log_variance: ``(N, L)``.

    Returns:
        ``(N,)``, not negative.
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1) / 2


def reparameterise(mean: Tensor, log_variance: Tensor, *, generator: torch.Generator) -> Tensor:
    """A sample of a diagonal Gaussian, differentiable in both parameters: ``mean + deviation * noise``.

    Args:
        mean: ``(N, L)``.
        log_variance: ``(N, L)``.
        generator: source of the noise, on the CPU: every device draws the same.

    Returns:
        ``(N, L)``.
    """
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
    return mean + (log_variance / 2).exp() * noise


class MaskedReconstruction(nn.Module):
    """Hide channels of a pixel, and tell them from the others (after He et al. 2022, arXiv 2111.06377).

    A channel is hidden in all that the backbone sees of the pixel's surroundings, since neighbours would give it
    away, and a learned value stands in its place. Only hidden channels are judged.

    Args:
        backbone: what is trained; has ``radius`` and ``out_channels``.
        noise: noise deviation of each channel, ``(C,)``.
        share: of the channels that are hidden.
        contiguous: hide neighbouring channels.
    """

    noise: Tensor
    patch = 1

    def __init__(self, backbone: nn.Module, noise: Tensor, *, share: float, contiguous: bool) -> None:
        super().__init__()
        channels, width = len(noise), int(backbone.out_channels)  # type: ignore[arg-type]
        self.backbone = backbone
        self.instead = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.decoder = nn.Sequential(PointwiseConv(width, width), nn.GELU(), PointwiseConv(width, channels))
        self.share = share
        self.contiguous = contiguous
        self.register_buffer("noise", noise.reshape(1, channels, 1, 1).clone())

    def forward(self, x: Tensor, valid: Tensor, *, generator: torch.Generator) -> Reconstruction:
        """Hide, tell and judge.

        Args:
            x: patches of one date, ``(N, C, patch + 2 radius, patch + 2 radius)``, 0 for no data.
            valid: where there are data, bool ``(N, 1, patch + 2 radius, patch + 2 radius)``.
            generator: source of the draws, on the CPU.
        """
        radius = int(self.backbone.radius)  # type: ignore[arg-type]
        hidden = hide_channels(
            len(x), x.shape[1], share=self.share, contiguous=self.contiguous, generator=generator
        ).to(x.device)[:, :, None, None]
        values = self.decoder(self.backbone(torch.where(hidden, self.instead, x)))
        target = crop(x, radius) / self.noise
        judged = hidden & crop(valid, radius)
        error = masked_error(values, target, judged)
        return Reconstruction(error, {"reconstruction": error}, target, values, judged)


class VariationalAutoencoder(nn.Module):
    """Code a patch of spectra in a few numbers, and tell the patch from them (arXiv 1312.6114).

    The posterior is a diagonal Gaussian, the prior the standard one; the likelihood is Gaussian with the sensor's
    own noise, so that the loss for ``beta`` 1 is the negative evidence bound of a patch up to a constant:
    ``|x - x'|^2 / (2 noise^2) + beta KL``. A ``beta`` above 1 asks for simpler codes (beta-VAE; Higgins et al.
    2017, ICLR).

    Args:
        backbone: what is trained; has ``radius`` and ``out_channels``.
        noise: noise deviation of each channel, ``(C,)``.
        patch: side of the patch that is told.
        latent: numbers L of the code.
        beta: weight of the divergence.
    """

    noise: Tensor
    patch: int

    def __init__(self, backbone: nn.Module, noise: Tensor, *, patch: int, latent: int, beta: float) -> None:
        super().__init__()
        channels, width = len(noise), int(backbone.out_channels)  # type: ignore[arg-type]
        self.backbone = backbone
        self.posterior = nn.Linear(width * patch**2, 2 * latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 2 * width), nn.GELU(), nn.Linear(2 * width, channels * patch**2)
        )
        self.patch = patch
        self.beta = beta
        self.register_buffer("noise", noise.reshape(1, channels, 1, 1).clone())

    def forward(self, x: Tensor, valid: Tensor, *, generator: torch.Generator) -> Reconstruction:
        """Code, tell and judge; arguments as for :class:`MaskedReconstruction`."""
        radius = int(self.backbone.radius)  # type: ignore[arg-type]
        target = crop(x, radius) / self.noise
        mean, log_variance = self.posterior(self.backbone(x).flatten(1)).chunk(2, dim=1)
        code = reparameterise(mean, log_variance, generator=generator)
        values = self.decoder(code).reshape(target.shape)
        judged = crop(valid, radius).expand(target.shape)
        told = torch.where(judged, values - target, 0).square().flatten(1).sum(dim=1).mean() / 2
        divergence = gaussian_kl(mean, log_variance).mean()
        return Reconstruction(
            told + self.beta * divergence, {"reconstruction": told, "kl": divergence}, target, values, judged
        )


def _masked(
    backbone: nn.Module,
    noise: Tensor,
    *,
    patch: int,
    share: float,
    contiguous: bool,
    latent: int,
    beta: float,
) -> nn.Module:
    return MaskedReconstruction(backbone, noise, share=share, contiguous=contiguous)


def _vae(
    backbone: nn.Module,
    noise: Tensor,
    *,
    patch: int,
    share: float,
    contiguous: bool,
    latent: int,
    beta: float,
) -> nn.Module:
    return VariationalAutoencoder(backbone, noise, patch=patch, latent=latent, beta=beta)


TASKS: dict[str, Callable[..., nn.Module]] = {"masked": _masked, "vae": _vae}
"""Tasks by name; builders take ``backbone, noise, *, patch, share, contiguous, latent, beta``."""
