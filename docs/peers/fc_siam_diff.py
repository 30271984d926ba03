"""FC-Siam-diff (Caye Daudt et al. 2018, arXiv 1810.08462) as a peer: a Siamese U-Net bridged by differences.

Both dates go through one encoder of four levels with pooling between them; on the way back up, differences
of the two dates' features join at each level. The paper trains on whole labelled images; where single pixels are
labelled, the network sees the patch around each, pads inside it, and the middle pixel is called: a score
does not depend on how a scene is cut.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from patch_network import PatchNetwork
from torch import nn
from torch.nn import functional

_WIDTHS = (16, 32, 64, 128)
_DEPTHS = (2, 2, 3, 3)  # convolutions of each level


def _block(widths):
    layers = []
    for inside, outside in pairwise(widths):
        layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(), nn.Dropout2d(0.2)]
    return nn.Sequential(*layers)


class Network(nn.Module):
    """Both dates' patches ``(N, channels, side, side)`` to two logits of their middle pixel."""

    def __init__(self, channels, side):
        super().__init__()
        inside = (channels, *_WIDTHS)
        levels = zip(inside, _WIDTHS, _DEPTHS, strict=False)
        self.down = nn.ModuleList(_block([before, *[width] * depth]) for before, width, depth in levels)
        self.up, self.joined = nn.ModuleList(), nn.ModuleList()
        for level in range(len(_WIDTHS) - 1, -1, -1):
            width, out = _WIDTHS[level], _WIDTHS[max(level - 1, 0)]
            self.up.append(nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1))
            self.joined.append(_block([2 * width, *[width] * (_DEPTHS[level] - 1), out]))
        self.classes = nn.Conv2d(_WIDTHS[0], 2, 1)
        self.middle = side // 2

    def encode(self, x):
        """Features of each level, and the last ones pooled."""
        found = []
        for level in self.down:
            x = level(x)
            found.append(x)
            x = functional.max_pool2d(x, 2, ceil_mode=True)
        return found, x

    def forward(self, t1, t2):
        (first, _), (second, x) = self.encode(t1), self.encode(t2)
        for up, joined, one, other in zip(self.up, self.joined, reversed(first), reversed(second), strict=True):
            height, width = one.shape[2:]
            x = up(x)[:, :, :height, :width]
            x = joined(torch.cat([x, (one - other).abs()], dim=1))
        return self.classes(x)[:, :, self.middle, self.middle]


class FCSiamDiff(PatchNetwork):
    """A Siamese U-Net whose bridges are absolute differences, on the patch around each pixel; few labels."""

    name, title = "fc-siam-diff", "FC-Siam-diff"
    reference = "after Caye Daudt et al. 2018, arXiv 1810.08462"
    options: ClassVar = PatchNetwork.options | {"side": 9, "epochs": 100}
    network = staticmethod(Network)
