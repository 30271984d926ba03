"""p x p patches of a scene's components, cut when they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.prepare.measurement import Scene, measured
from hsi_cd.prepare.scratch import let_go, scratch_array
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.progress import progress
from hsi_cd.scene import ScenePair
from hsi_cd.training.augmentation import Variation


@dataclass(frozen=True)
class PatchSource:
    """The mirror-padded components of a scene, from which patches are cut by pixel index.

    No patch is stored: a scene of 63,000 pixels cut into 9 x 9 patches would be 81 times its size.

    Attributes:
        both: float32 ``(2, rows + 2 radius, cols + 2 radius, 2 components)``, 0 for no data: what is known of a
            pixel in one piece, the earlier date first, then once more the later date first.
        valid: where both dates have data, bool ``(rows + 2 radius, cols + 2 radius)``.
        radius: half the patch.
    """

    both: Tensor
    valid: Tensor
    radius: int

    @classmethod
    def of(cls, t1: Tensor, t2: Tensor, valid: Tensor, *, radius: int) -> PatchSource:
        """From two padded dates, each ``(components, rows, cols)``, and their validity, ``(1, rows, cols)``."""
        return cls(
            torch.stack([torch.cat([t1, t2]), torch.cat([t2, t1])]).movedim(1, -1).contiguous(), valid[0], radius
        )

    @property
    def t1(self) -> Tensor:
        """The earlier date, ``(components, rows + 2 radius, cols + 2 radius)``."""
        return self.both[0].movedim(-1, 0).chunk(2)[0]

    @property
    def t2(self) -> Tensor:
        """The later date, ``(components, rows + 2 radius, cols + 2 radius)``."""
        return self.both[0].movedim(-1, 0).chunk(2)[1]

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)`` of the scene without its padding."""
        return self.valid.shape[0] - 2 * self.radius, self.valid.shape[1] - 2 * self.radius

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where both dates have data, ``(rows, cols)``, without the padding."""
        rows, cols = self.shape
        inner = self.valid[self.radius : self.radius + rows, self.radius : self.radius + cols]
        return inner.cpu().numpy()

    def window(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """Both dates and their validity around the first ``side`` x ``side`` pixels: what a network scores."""
        reach = slice(side + 2 * self.radius)
        return self.t1[None, :, reach, reach], self.t2[None, :, reach, reach], self.valid[None, None, reach, reach]

    def cut(self, pixels: Tensor, variation: Variation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Patches around pixels.

        Args:
            pixels: flat (row-major) indices into the scene, int64 ``(N,)``.
            variation: how they are turned, exchanged and blended; not at all by default.

        Returns:
            Both dates' patches, ``(N, components, p, p)``, and their validity, bool ``(N, 1, p, p)``, with
            ``p = 2 radius + 1``.
        """
        vary, device = variation or Variation(), pixels.device
        side, width = torch.arange(2 * self.radius + 1, device=device), self.valid.shape[1]
        corner = pixels // self.shape[1] * width + pixels % self.shape[1]
        place = corner[:, None] + vary.lay(side[:, None] * width + side).flatten()  # (N, p * p)
        return gather(self.both.view(-1, self.both.shape[-1]), self.valid.view(-1), place, vary)


def gather(table: Tensor, valid: Tensor, place: Tensor, vary: Variation) -> tuple[Tensor, Tensor, Tensor]:
    """Patches whose pixels lie at given rows of a table.

    Args:
        table: what is known of each pixel, ``(2 P, 2 channels)``: the P pixels with the earlier date first, then
            the same ones with the later date first.
        valid: where both dates have data, bool ``(P,)``.
        place: rows of each patch's pixels, int64 ``(N, p * p)``, turned already.
        vary: which of them are exchanged and blended.

    Returns:
        As :meth:`PatchSource.cut`.
    """
    device, p = place.device, math.isqrt(place.shape[1])
    kept, pixels = valid[place], len(valid)
    if vary.swapped is not None:
        place = place + pixels * torch.from_numpy(vary.swapped).to(device)[:, None]
    if vary.partner is None or vary.share is None:
        patches = table.index_select(0, place.flatten())
    else:
        partner, share = (torch.from_numpy(x).to(device) for x in (vary.partner, vary.share))
        kept &= kept[partner]
        # Weighted sums of a table's rows in one pass, which is what an embedding bag is.
        pairs = torch.stack([place, place[partner]], dim=-1).view(-1, 2)
        weights = torch.stack([share, 1 - share], dim=-1)[:, None].expand(-1, place.shape[1], -1)
        patches = F.embedding_bag(pairs, table, per_sample_weights=weights.reshape(-1, 2), mode="sum")
    t1, t2 = patches.view(len(place), p, p, -1).movedim(-1, 1).chunk(2, dim=1)
    return t1, t2, kept.view(-1, 1, p, p)


def scene_patches(detector: SiameseDetector, scene: Scene, *, radius: int | None = None) -> PatchSource:
    """The components of a whole scene, mirror-padded, ready to be cut into patches.

    Those of a large scene lie in a temporary file: memory does not grow with its height.

    Args:
        detector: a fitted detector; the patches lie on its device.
        scene: the scene, or its measurement.
        radius: half a patch; the network's own by default.
    """
    pair = measured(scene).pair
    r = detector.network.radius if radius is None else radius
    rows, cols = pair.shape
    shape = (2, rows + 2 * r, cols + 2 * r, 2 * detector.channels)
    both: NDArray[np.float32] = scratch_array(shape, np.float32)  # type: ignore[assignment]
    valid = np.empty(shape[1:3], dtype=bool)
    for block in progress(list(row_blocks(rows + 2 * r, cols)), desc="patches", unit="block"):
        both[0, block], both[1, block], valid[block] = see_rows(detector, pair, block, radius=r)
        let_go(both)
    return PatchSource(torch.from_numpy(both).to(detector.device), torch.from_numpy(valid).to(detector.device), r)


def see_rows(
    detector: SiameseDetector, pair: ScenePair, block: slice, *, radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """What the network sees of some rows of a scene.

    Args:
        detector: a fitted detector.
        pair: the scene.
        block: rows of the mirror-padded scene, from 0.
        radius: of the padding, half a patch.

    Returns:
        The earlier date first and then the later one, float32 ``(rows, cols + 2 radius, 2 channels)``, the same
        the other way round, and where both have data, bool ``(rows, cols + 2 radius)``.
    """
    # Read anew, not taken from the components that the shift was measured on: float32 sums over bands round by the
    # window's shape, to 1e-6, and a training carries such a difference far. These are the windows it always had.
    window = slice(block.start - radius, block.stop - radius)
    values = read_window(pair, window, slice(-radius, pair.shape[1] + radius), radius=detector.input_radius)
    first, second, known = detector.inputs(*values)
    dates = [x.movedim(0, -1).numpy() for x in (first, second)]
    return np.concatenate(dates, axis=-1), np.concatenate(dates[::-1], axis=-1), known[0].numpy()
