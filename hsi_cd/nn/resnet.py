"""ResNet-18, -34 and -50 as encoders, with torchvision's parameter names, so that its weight files load."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.patch_encoder import PatchEncoder


class ResNet(PatchEncoder):
    """A residual network (He et al. 2016, doi 10.1109/CVPR.2016.90), or its first stages, run on each patch.

    Parameters of the network proper have torchvision's names (``conv1``, ``bn1``, ``layer1.0.conv1``, ...,
    ``layer2.0.downsample.0``; no ``fc``), those of ours are ``project`` (1 x 1, to ``width`` channels) and
    ``upsample``. As torchvision's, ResNet-50 has its stride in the 3 x 3 convolution. Each stage halves the
    resolution once more (conv1 to 1/2, layer4 to 1/32).

    Args:
        channels: input channels B.
        width: channels of the features.
        blocks: residual blocks of each of the four layers.
        bottleneck: blocks of 1 x 1, 3 x 3, 1 x 1 (ResNet-50) in place of two 3 x 3.
        until: last stage that is used, one of ``STAGES``; None for all.
        patch: side of the patch each pixel is encoded from, odd.
        upsample: how features return to full resolution: ``bilinear`` or ``transposed`` (learned).
    """

    STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
    FIRST = "conv1.weight"
    IN_FILES = ("fc", *STAGES)

    def __init__(
        self,
        channels: int,
        *,
        width: int,
        blocks: tuple[int, int, int, int],
        bottleneck: bool = False,
        until: str | None = None,
        patch: int = 9,
        upsample: str = "bilinear",
    ) -> None:
        super().__init__()
        self.stages = self.stages_until(until)[1:]
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
        self.finish(inner, width=width, patch=patch, upsample=upsample, halvings=1 + len(self.stages))

    def coarse(self, patches: Tensor) -> tuple[Tensor, list[int]]:
        """See :meth:`PatchEncoder.coarse`."""
        sizes = [patches.shape[-1]]
        x = F.relu(self.bn1(self.conv1(patches)))
        for name in self.stages:
            sizes.append(x.shape[-1])
            x = self.get_submodule(name)(self.maxpool(x) if name == "layer1" else x)
        return x, sizes


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


resnet18 = partial(ResNet, blocks=(2, 2, 2, 2))
resnet34 = partial(ResNet, blocks=(3, 4, 6, 3))
resnet50 = partial(ResNet, blocks=(3, 4, 6, 3), bottleneck=True)
