"""Patches of several scenes in one table, cut by pixel index as those of one scene are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.prepare.scratch import scratch_array
from hsi_cd.scene import ScenePair
from hsi_cd.training.augmentation import Variation
from hsi_cd.training.patches import PatchSource, fill_patches, gather


@dataclass(frozen=True)
class ManyPatches:
    """The mirror-padded components of several scenes, one scene behind the other.

    A pixel has one number among those of all scenes: its flat index in its own, counted on from :attr:`first`.

    Attributes:
        both: float32 ``(2, P, 2 channels)``, as of :class:`~hsi_cd.training.patches.PatchSource`, each scene's
            padded pixels row by row; in a temporary file where it is large.
        valid: where both dates have data, bool ``(P,)``.
        radius: half the patch.
        shapes: ``(rows, cols)`` of each scene without its padding.
    """

    both: Tensor
    valid: Tensor
    radius: int
    shapes: tuple[tuple[int, int], ...]

    @property
    def first(self) -> NDArray[np.int64]:
        """Number of the first pixel of each scene, then one past the last of all, int64 ``(scenes + 1,)``."""
        return np.cumsum([0, *(rows * cols for rows, cols in self.shapes)])

    @property
    def shape(self) -> tuple[int, int]:
        """All pixels as one row: scenes of several shapes have no other."""
        return 1, int(self.first[-1])

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where both dates have data, bool ``(1, pixels of all scenes)``."""
        return np.concatenate([self.scene(i).inside.ravel() for i in range(len(self.shapes))])[None]

    def scene(self, number: int) -> PatchSource:
        """The patches of one scene."""
        rows, cols = self._padded(number)
        at = slice(int(self._start[number]), int(self._start[number]) + rows * cols)
        return PatchSource(self.both[:, at].view(2, rows, cols, -1), self.valid[at].view(rows, cols), self.radius)

    def window(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """What a network scores around the first pixels of the first scene."""
        return self.scene(0).window(side)

    def cut(self, pixels: Tensor, variation: Variation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Patches around pixels of any of the scenes; see :meth:`~hsi_cd.training.patches.PatchSource.cut`."""
        vary, device = variation or Variation(), pixels.device
        scene = torch.searchsorted(torch.from_numpy(self.first).to(device), pixels, right=True) - 1
        first, start, cols = (
            torch.as_tensor(np.asarray(each), device=device)[scene]
            for each in (self.first, self._start, [cols for _, cols in self.shapes])
        )
        width, own = cols + 2 * self.radius, pixels - first
        side = torch.arange(2 * self.radius + 1, device=device)
        down, right = (vary.lay(part).flatten() for part in torch.meshgrid(side, side, indexing="ij"))
        corner = start + own // cols * width + own % cols
        place = corner[:, None] + down * width[:, None] + right
        return gather(self.both.view(-1, self.both.shape[-1]), self.valid, place, vary)

    def _padded(self, number: int) -> tuple[int, int]:
        rows, cols = self.shapes[number]
        return rows + 2 * self.radius, cols + 2 * self.radius

    @property
    def _start(self) -> NDArray[np.int64]:
        """Where the padded pixels of each scene begin."""
        sizes = [rows * cols for rows, cols in map(self._padded, range(len(self.shapes)))]
        return np.cumsum([0, *sizes])[:-1]


Patches = PatchSource | ManyPatches
"""Patches of one scene, or of several."""


def patches_of_scenes(detectors: Sequence[SiameseDetector], pairs: Sequence[ScenePair]) -> ManyPatches:
    """What the network sees of several whole scenes.

    They are read one after the other, block by block; what is large lies in a temporary file, so that memory grows
    neither with the number of scenes nor with their size.

    Args:
        detectors: the detector of each scene, with one network.
        pairs: the scenes.
    """
    network, device = detectors[0].network, detectors[0].device
    r, channels, shapes = network.radius, detectors[0].channels, tuple(pair.shape for pair in pairs)
    sizes = [(rows + 2 * r) * (cols + 2 * r) for rows, cols in shapes]
    both: NDArray[np.float32] = scratch_array((2, sum(sizes), 2 * channels), np.float32)  # type: ignore[assignment]
    valid, start = np.empty(sum(sizes), dtype=bool), 0
    for detector, pair, size in zip(detectors, pairs, sizes, strict=True):
        rows, cols = (side + 2 * r for side in pair.shape)
        at = slice(start, start + size)
        fill_patches(
            detector, pair, both[:, at].reshape(2, rows, cols, -1), valid[at].reshape(rows, cols), radius=r
        )
        start += size
    return ManyPatches(torch.from_numpy(both).to(device), torch.from_numpy(valid).to(device), r, shapes)
