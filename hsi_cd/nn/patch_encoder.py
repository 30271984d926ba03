"""Encoders of images, strides and padding and all, on the patch around each pixel; and what their weights need.

A strided network is not the same everywhere: shift a scene by one pixel, and its samples fall elsewhere. So
every pixel is encoded from the square around it alone, its *patch*: the network, with its strides and its
padding, runs on the patch, its features return to the patch's full resolution, and the centre is kept. Whole
scenes, windows and single patches then agree, for any stride and any padding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hsi_cd.nn.neighbourhoods import crop, windows
from hsi_cd.nn.pointwise import PointwiseConv

_AT_ONCE = 512  # patches encoded at once outside training: their first features take 3 MB at a patch of 9
_AT_ONCE_ON_GPU = 16384


def per_patch(encode: Callable[[Tensor], Tensor], x: Tensor, *, side: int, at_most: int | None) -> Tensor:
    """Encode every pixel of a window from its own patch.

    Args:
        encode: maps patches ``(M, C, side, side)`` to features of their centres, ``(M, K, 1, 1)``.
        x: the window, ``(N, C, H, W)``.
        side: of a patch, odd.
        at_most: patches encoded at once, so that memory does not grow with the window; None for all, as batch
            statistics need in training.

    Returns:
        ``(N, K, H - side + 1, W - side + 1)``.
    """
    n, channels, height, width = x.shape
    if at_most is not None and n > at_most:
        return torch.cat([per_patch(encode, part, side=side, at_most=at_most) for part in torch.split(x, at_most)])
    rows, cols = height - side + 1, width - side + 1
    if rows == cols == 1:
        return encode(x)
    patches = windows(x, side, 1)  # (N, C, rows, cols, side, side), a view
    step = rows if at_most is None else max(1, at_most // (n * cols))
    parts = []
    for row in range(0, rows, step):
        part = patches[:, :, row : row + step].permute(0, 2, 3, 1, 4, 5)
        encoded = encode(part.reshape(-1, channels, side, side))
        parts.append(encoded.reshape(n, -1, cols, encoded.shape[1]))
    return torch.cat(parts, dim=1).permute(0, 3, 1, 2)


class PatchEncoder(nn.Module):
    """A network for images that encodes each pixel from its own patch.

    A subclass builds the network proper, with the names that weight files have, then calls :meth:`finish`; and it
    says in :meth:`coarse` how the network runs.
    """

    STAGES: ClassVar[tuple[str, ...]]
    """Where the network may end, from its first stage to the whole."""

    FIRST: ClassVar[str]
    """Name of the first convolution's weights, the only ones that depend on the number of bands."""

    IN_FILES: ClassVar[tuple[str, ...]]
    """What weight files hold beside what is used: names, or their first parts."""

    def finish(self, channels: int, *, width: int, patch: int, upsample: str, halvings: int) -> None:
        """Add what follows the network proper; to be called at the end of a subclass's ``__init__``.

        Args:
            channels: of the network's last features.
            width: channels of the features that are given.
            patch: side of the patch each pixel is encoded from, odd.
            upsample: how features return to full resolution: ``bilinear``, or ``transposed`` convolutions that
                double the resolution, learned from the bilinear ones (Long et al. 2015, doi
                10.1109/CVPR.2015.7298965).
            halvings: how often the network halves the resolution.
        """
        self.project = PointwiseConv(channels, width)
        self.upsample = nn.ModuleList(doubling(width) for _ in range(halvings if upsample == "transposed" else 0))
        self.patch = patch
        self.radius = patch // 2
        self.out_channels = width

    @classmethod
    def stages_until(cls, until: str | None) -> tuple[str, ...]:
        """The stages that are used, the last one ``until``; None for all.

        Raises:
            ValueError: there is no such stage.
        """
        if until is None:
            return cls.STAGES
        if until not in cls.STAGES:
            raise ValueError(f"until is {until!r}: expected {', '.join(cls.STAGES[:-1])} or {cls.STAGES[-1]}")
        return cls.STAGES[: cls.STAGES.index(until) + 1]

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``, each pixel from its own patch."""
        at_most = None if self.training else _AT_ONCE_ON_GPU if x.is_cuda else _AT_ONCE
        return per_patch(self.encode, x, side=self.patch, at_most=at_most)

    def coarse(self, patches: Tensor) -> tuple[Tensor, list[int]]:
        """The network proper.

        Args:
            patches: ``(M, C, patch, patch)``.

        Returns:
            Its features ``(M, K, h, h)``, and the sides of what it halved, in order; the first is ``patch``.
        """
        raise NotImplementedError

    def encode(self, patches: Tensor) -> Tensor:
        """Features of the centres, ``(M, width, 1, 1)``, of patches ``(M, C, patch, patch)``."""
        x, sizes = self.coarse(patches)
        x = self.project(x)
        if self.upsample:
            for double, size in zip(self.upsample, reversed(sizes), strict=True):
                x = double(x)[..., :size, :size]
        else:
            x = F.interpolate(x, size=patches.shape[-2:], mode="bilinear", align_corners=False)
        return crop(x, self.radius)

    def pretrained_names(self) -> list[str]:
        """Names in the state dictionary that a weight file has, too."""
        return [name for name in self.state_dict() if name.split(".")[0] not in ("project", "upsample")]

    @staticmethod
    def present_name(name: str) -> str:
        """A name in a weight file as it is called today; older files have other ones of some networks."""
        return name


def fold_batch_norm(network: nn.Module) -> None:
    """Take every batch norm of a network that only evaluates into the convolution before it, in place.

    The outputs stay the same up to rounding; the network can neither learn on nor be saved as it was.

    Args:
        network: in evaluation mode; each of its batch norms was registered right after its convolution.
    """
    for module in list(network.modules()):
        for (before, convolution), (name, norm) in pairwise(list(module.named_children())):
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                setattr(module, before, fuse_conv_bn_eval(convolution, norm))
                setattr(module, name, nn.Identity())


def doubling(channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution, one filter a channel, that doubles the resolution bilinearly until it learns."""
    layer = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
    tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.copy_(torch.outer(tent, tent).expand_as(layer.weight))
    return layer


def adapt_bands(weight: Tensor, bands: int, *, how: str) -> Tensor:
    """A first convolution for as many bands as a scene has, from one for other images, as of red, green, blue.

    Scaled so that what follows finds the amplitudes it was trained with.

    Args:
        weight: filters of the file, ``(out, inputs, k, k)``.
        bands: wanted inputs B.
        how: ``repeat`` (the inputs in turn, times inputs / B) or ``mean`` (their mean for every band, times the
            same).

    Returns:
        ``(out, B, k, k)``; the filters as they are where they fit.
    """
    inputs = weight.shape[1]
    if bands == inputs:
        return weight
    mean = weight.mean(dim=1, keepdim=True)
    filled = mean.expand(-1, bands, -1, -1) if how == "mean" else weight[:, torch.arange(bands) % inputs]
    return filled * (inputs / bands)
