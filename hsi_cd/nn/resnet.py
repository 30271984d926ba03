"""ResNet-18, -34 and -50 as encoders, with torchvision's parameter names, so that its weight files load.

A strided network is not the same everywhere: shift a scene by one pixel, and its samples fall elsewhere. So
every pixel is encoded from the square around it alone, its *patch*: the network, with its strides and its
padding, runs on the patch, its features return to the patch's full resolution, and the centre is kept. Whole
scenes, windows and single patches then agree, for any stride and any padding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hsi_cd.nn.neighbourhoods import crop, windows
from hsi_cd.nn.pointwise import PointwiseConv

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
"""Where a ResNet may end; each stage halves the resolution once more (conv1 to 1/2, layer4 to 1/32)."""

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


class ResNet(nn.Module):
    """A residual network (He et al. 2016, doi 10.1109/CVPR.2016.90), or its first stages, run on each patch.

    Parameters of the network proper have torchvision's names (``conv1``, ``bn1``, ``layer1.0.conv1``, ...,
    ``layer2.0.downsample.0``; no ``fc``), those of ours are ``project`` (1 x 1, to ``width`` channels) and
    ``upsample``. As torchvision's, ResNet-50 has its stride in the 3 x 3 convolution.

    Args:
        channels: input channels B.
        width: channels of the features.
        blocks: residual blocks of each of the four layers.
        bottleneck: blocks of 1 x 1, 3 x 3, 1 x 1 (ResNet-50) in place of two 3 x 3.
        until: last stage that is used, one of :data:`STAGES`.
        patch: side of the patch each pixel is encoded from, odd.
        upsample: how features return to full resolution: ``bilinear``, or ``transposed`` convolutions that
            double the resolution, learned from the bilinear ones (Long et al. 2015, doi
            10.1109/CVPR.2015.7298965).
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int,
        blocks: tuple[int, int, int, int],
        bottleneck: bool = False,
        until: str = "layer4",
        patch: int = 9,
        upsample: str = "bilinear",
    ) -> None:
        super().__init__()
        self.stages = STAGES[1 : STAGES.index(until) + 1]
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        block, inner = Bottleneck if bottleneck else BasicBlock, 64
        for index, name in enumerate(self.stages):
            planes = 64 * 2**index
            layer = [block(inner, planes, stride=1 if index == 0 else 2)]
            inner = layer[0].out_channels
            layer += [block(inner, planes, stride=1) for _ in range(blocks[index] - 1)]
            setattr(self, name, nn.Sequential(*layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.project = PointwiseConv(inner, width)
        halvings = 1 + len(self.stages)
        self.upsample = nn.ModuleList(doubling(width) for _ in range(halvings if upsample == "transposed" else 0))
        self.patch = patch
        self.radius = patch // 2
        self.out_channels = width

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``, each pixel from its own patch."""
        at_most = None if self.training else _AT_ONCE_ON_GPU if x.is_cuda else _AT_ONCE
        return per_patch(self.encode, x, side=self.patch, at_most=at_most)

    def encode(self, patches: Tensor) -> Tensor:
        """Features of the centres, ``(M, width, 1, 1)``, of patches ``(M, C, patch, patch)``."""
        sizes = [patches.shape[-1]]
        x = F.relu(self.bn1(self.conv1(patches)))
        for name in self.stages:
            sizes.append(x.shape[-1])
            x = self.get_submodule(name)(self.maxpool(x) if name == "layer1" else x)
        x = self.project(x)
        if self.upsample:
            for double, size in zip(self.upsample, reversed(sizes), strict=True):
                x = double(x)[..., :size, :size]
        else:
            x = F.interpolate(x, size=patches.shape[-2:], mode="bilinear", align_corners=False)
        return crop(x, self.radius)

    def pretrained_names(self) -> list[str]:
        """Names in the state dictionary that a weight file of torchvision's has, too."""
        return [name for name in self.state_dict() if name.split(".")[0] not in ("project", "upsample")]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and the way past them; names and order as in torchvision."""

    def __init__(self, channels: int, planes: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.out_channels = planes
        self.downsample = _shortcut(channels, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, channels, H, W)`` to ``(M, planes, H / stride, W / stride)``, rounded up."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and the way past them; names and order as in torchvision."""

    def __init__(self, channels: int, planes: int, *, stride: int) -> None:
        super().__init__()
        self.out_channels = 4 * planes
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, self.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out_channels)
        self.downsample = _shortcut(channels, self.out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, channels, H, W)`` to ``(M, 4 planes, H / stride, W / stride)``, rounded up."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


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
