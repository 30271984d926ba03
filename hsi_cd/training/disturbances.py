"""Disturbances of training patches: what differs between two looks at the same ground, drawn for each date.

Light, haze, noise, a poor registration. Only bands are dropped from both dates alike: in one alone it would be
change. Pixels without data stay 0.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor

from hsi_cd.config import AugmentConfig


def disturb(
    t1: Tensor, t2: Tensor, valid: Tensor, *, config: AugmentConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Disturb a batch in every way that is configured, one after the other.

    Args:
        t1: components of the earlier date, ``(N, C, p, p)``.
        t2: the later date, the same shape.
        valid: where both dates have data, bool ``(N, 1, p, p)``.
        config: which disturbances, and how strong.
        random: source of every draw; what is off draws nothing.

    Returns:
        Both dates and their validity.
    """
    if config.shift:
        t1, t2, valid = misregister(t1, t2, valid, largest=config.shift, random=random)
    if config.gain or config.offset:
        t1, t2 = (relight(x, valid, gain=config.gain, offset=config.offset, random=random) for x in (t1, t2))
    if config.spectral_noise:
        t1, t2 = (add_noise(x, valid, deviation=config.spectral_noise, random=random) for x in (t1, t2))
    if config.band_dropout:
        t1, t2 = drop_bands(t1, t2, share=config.band_dropout, random=random)
    return t1, t2, valid


def misregister(
    t1: Tensor, t2: Tensor, valid: Tensor, *, largest: float, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the later date of each sample by a part of a pixel against the earlier one (bilinear).

    Args:
        t1: ``(N, C, p, p)``; it stays.
        t2: ``(N, C, p, p)``; what lies beyond the patch is taken to be as its edge.
        valid: bool ``(N, 1, p, p)``.
        largest: both parts of the shift are uniform within so many pixels.
        random: source of the shift.

    Returns:
        Both dates and where they are valid: no pixel is that takes from one without data.
    """
    n, _, side, _ = t2.shape
    if side == 1:
        return t1, t2, valid
    pixels = random.uniform(-largest, largest, size=(n, 2)).astype(np.float32)
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    theta[:, :, 2] = torch.from_numpy(pixels) * 2 / (side - 1)  # the patch reaches from -1 to 1
    theta = theta.to(t2.device)
    both = torch.cat([t2, valid.to(t2.dtype)], dim=1)
    grid = F.affine_grid(theta, list(both.shape), align_corners=True)
    moved = F.grid_sample(both, grid, padding_mode="border", align_corners=True)
    valid = valid & (moved[:, -1:] > 1 - 1e-4)
    return t1 * valid, moved[:, :-1] * valid, valid


def relight(x: Tensor, valid: Tensor, *, gain: float, offset: float, random: np.random.Generator) -> Tensor:
    """Scale the spectra of each patch of one date, and add to each of its bands (light, haze and calibration).

    Args:
        x: ``(N, C, p, p)``.
        valid: bool ``(N, 1, p, p)``.
        gain: deviation of the factor around 1, one of a patch.
        offset: deviation of the sum around 0, one of a patch and band.
        random: source of both.
    """
    n, bands = x.shape[:2]
    factor = 1 + gain * random.standard_normal((n, 1, 1, 1), dtype=np.float32)
    added = offset * random.standard_normal((n, bands, 1, 1), dtype=np.float32)
    return (x * torch.from_numpy(factor).to(x.device) + torch.from_numpy(added).to(x.device)) * valid


def add_noise(x: Tensor, valid: Tensor, *, deviation: float, random: np.random.Generator) -> Tensor:
    """Add independent normal noise to every value of one date, ``(N, C, p, p)``, where it is ``valid``."""
    noise = torch.from_numpy(random.standard_normal(x.shape, dtype=np.float32)).to(x.device)
    return x + deviation * noise * valid


def drop_bands(t1: Tensor, t2: Tensor, *, share: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Set bands of each sample to 0, their mean, in both dates: dropped in one alone they would be change.

    Args:
        t1: ``(N, C, p, p)``.
        t2: ``(N, C, p, p)``.
        share: of the bands, on average.
        random: source of the choice.
    """
    kept = torch.from_numpy(random.random(t1.shape[:2]) >= share).to(t1.device)[:, :, None, None]
    return t1 * kept, t2 * kept
