"""DenseNet-121 as an encoder, with torchvision's parameter names, so that its weight files load."""

from __future__ import annotations

import re
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.patch_encoder import PatchEncoder

_STEM = 64  # features of the first convolution
_BOTTLENECK = 4  # a layer's 1 x 1 convolution gives so many times the growth
_OLD_NAME = re.compile(
    r"(.*\.denselayer\d+\.(?:norm|conv))\.([12]\..+)"
)  # norm.1 for norm1, until torchvision 0.3


class DenseNet(PatchEncoder):
    """A densely connected network (Huang et al. 2017, doi 10.1109/CVPR.2017.243), or a prefix, run on each patch.

    Every layer of a block sees the features of all layers before it, and adds ``growth`` of its own; between two
    blocks a transition halves features and resolution. Parameters of the network proper have torchvision's names
    (``features.conv0``, ``features.denseblock1.denselayer1.norm1``, ..., ``features.norm5`` of the whole; no
    ``classifier``), those of ours are ``project`` (1 x 1, to ``width`` channels) and ``upsample``. Transitions
    round an odd side up where torchvision rounds it down, so that a small patch never shrinks to nothing.

    Args:
        channels: input channels B.
        width: channels of the features.
        blocks: layers of each of the four dense blocks.
        growth: features that each layer adds.
        until: last stage that is used, one of ``STAGES``; None for all. ``conv0`` is the stem without its pooling.
        patch: side of the patch each pixel is encoded from, odd.
        upsample: how features return to full resolution: ``bilinear`` or ``transposed`` (learned).
    """

    STAGES = (
        "conv0",
        "denseblock1",
        "transition1",
        "denseblock2",
        "transition2",
        "denseblock3",
        "transition3",
        "denseblock4",
    )
    FIRST = "features.conv0.weight"
    IN_FILES = ("classifier", "features.norm5", *(f"features.{stage}" for stage in STAGES))

    def __init__(
        self,
        channels: int,
        *,
        width: int,
        blocks: tuple[int, int, int, int],
        growth: int = 32,
        until: str | None = None,
        patch: int = 9,
        upsample: str = "bilinear",
    ) -> None:
        super().__init__()
        self.stages = self.stages_until(until)[1:]
        self.features = nn.ModuleDict(
            {
                "conv0": nn.Conv2d(channels, _STEM, 7, stride=2, padding=3, bias=False),
                "norm0": nn.BatchNorm2d(_STEM),
            }
        )
        inner = _STEM
        for name in self.stages:
            if name.startswith("transition"):
                self.features[name] = Transition(inner)
                inner //= 2
            else:
                layers = blocks[int(name[-1]) - 1]
                self.features[name] = DenseBlock(inner, layers=layers, growth=growth)
                inner += layers * growth
        if self.stages[-1:] == self.STAGES[-1:]:
            self.features["norm5"] = nn.BatchNorm2d(inner)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        halvings = 1 + sum(map(_halves, self.stages))
        self.finish(inner, width=width, patch=patch, upsample=upsample, halvings=halvings)

    def coarse(self, patches: Tensor) -> tuple[Tensor, list[int]]:
        """See :meth:`PatchEncoder.coarse`."""
        sizes = [patches.shape[-1]]
        x = F.relu(self.features["norm0"](self.features["conv0"](patches)))
        for name in self.stages:
            if _halves(name):
                sizes.append(x.shape[-1])
            if name == "denseblock1":
                x = F.max_pool2d(x, 3, stride=2, padding=1)
            x = self.features[name](x)
        if "norm5" in self.features:
            x = F.relu(self.features["norm5"](x))
        return x, sizes

    @staticmethod
    def present_name(name: str) -> str:
        """``features.denseblock1.denselayer1.norm.1.weight`` of older files as ``...norm1.weight``."""
        return _OLD_NAME.sub(r"\1\2", name)


class DenseBlock(nn.ModuleDict):
    """Layers that each add ``growth`` features to those before."""

    def __init__(self, channels: int, *, layers: int, growth: int) -> None:
        super().__init__(
            {f"denselayer{i + 1}": DenseLayer(channels + i * growth, growth=growth) for i in range(layers)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(M, channels, H, W)`` to ``(M, channels + layers growth, H, W)``."""
        for layer in self.values():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseLayer(nn.Module):
    """Normed 1 x 1, then normed 3 x 3 convolutions; names and order as in torchvision."""

    def __init__(self, channels: int, *, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, _BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The new features alone: ``(M, channels, H, W)`` to ``(M, growth, H, W)``."""
        y = self.conv1(F.relu(self.norm1(x)))
        found: Tensor = self.conv2(F.relu(self.norm2(y)))
        return found


class Transition(nn.Module):
    """Half the features, by a normed 1 x 1 convolution, at half the resolution, by means of 2 x 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, channels, H, W)`` to ``(M, channels / 2, H / 2, W / 2)``, sides rounded up."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2, ceil_mode=True)


def _halves(stage: str) -> bool:
    """Whether a stage halves the resolution: the first block, by the pooling before it, and the transitions."""
    return stage == "denseblock1" or stage.startswith("transition")


densenet121 = partial(DenseNet, blocks=(6, 12, 24, 16))
