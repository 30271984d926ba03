"""A store of the patches that several scenes teach with, cut by pixel number as those of one scene are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.prepare.scratch import let_go, scratch_array
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.progress import progress
from hsi_cd.scene import ScenePair
from hsi_cd.training.augmentation import Variation
from hsi_cd.training.patches import PatchSource, gather, see_rows


@dataclass(frozen=True)
class ManyPatches:
    """What is seen around the pixels of several scenes that teach, and nothing else of these scenes.

    A pixel has one number among those of all scenes: its flat index in its own, counted on from the first pixel of
    the scene. Patches that overlap share what they have in common.

    Attributes:
        both: float32 ``(2 P, 2 channels)``, as of :class:`~hsi_cd.training.patches.PatchSource`, of the P pixels
            that lie in a patch; in a temporary file where it is large.
        valid: where both dates have data, bool ``(P,)``.
        pixels: numbers of the pixels that have a patch, ascending, int64 ``(N,)``.
        places: rows of each patch's pixels, int64 ``(N, p * p)``.
        radius: half the patch.
        count: pixels of all scenes.
    """

    both: Tensor
    valid: Tensor
    pixels: Tensor
    places: Tensor
    radius: int
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """All pixels as one row: scenes of several shapes have no other."""
        return 1, self.count

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The pixels that have a patch, bool ``(1, pixels of all scenes)``."""
        there = np.zeros((1, self.count), dtype=bool)
        there[0, self.pixels.cpu().numpy()] = True
        return there

    def window(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """What a network scores at ``side`` x ``side`` pixels, of which nothing is seen: for its shape alone."""
        reach, channels = side + 2 * self.radius, self.both.shape[-1] // 2
        empty = self.both.new_zeros(1, channels, reach, reach)
        return empty, empty.clone(), torch.ones(1, 1, reach, reach, dtype=torch.bool, device=empty.device)

    def cut(self, pixels: Tensor, variation: Variation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Patches around pixels that have one; see :meth:`~hsi_cd.training.patches.PatchSource.cut`."""
        vary, side = variation or Variation(), 2 * self.radius + 1
        order = vary.lay(torch.arange(side * side, device=pixels.device).view(side, side)).flatten()
        place = self.places[torch.searchsorted(self.pixels, pixels)][:, order]
        return gather(self.both, self.valid, place, vary)


Patches = PatchSource | ManyPatches
"""Patches of one scene, or of several."""

_CHUNK = 1024  # patches at once


def odds_at(detector: SiameseDetector, source: Patches, pixels: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """What the label-free score that a network sees says of pixels, and adds to its logits.

    Args:
        detector: of the scene in which the pixels lie.
        source: what its network sees, of this scene or of several.
        pixels: numbers of the pixels, int64 ``(N,)``, which have a patch.

    Returns:
        Log-odds of change, float32 ``(N,)``; None where the network sees no score, or another prior counts.
    """
    if detector.scored is None or detector.prior is not None:
        return None
    r, device = source.radius, source.valid.device
    chunks = [torch.from_numpy(pixels[at : at + _CHUNK]).to(device) for at in range(0, len(pixels), _CHUNK)]
    seen = torch.cat([source.cut(chunk)[0][:, -1, r, r] for chunk in chunks])
    return detector.scored.log_odds(seen.cpu().numpy())


def patches_of_scenes(
    detectors: Sequence[SiameseDetector], pairs: Sequence[ScenePair], drawn: Sequence[NDArray[np.int64]]
) -> ManyPatches:
    """What the network sees around the pixels of several scenes that teach.

    The scenes are read one after the other, block by block, where they have such pixels. How much is kept depends
    on these, not on the size of the scenes, and what is large lies in a temporary file.

    Args:
        detectors: the detector of each scene, with one network.
        pairs: the scenes.
        drawn: flat indices of the pixels of each that teach, ascending, int64.
    """
    network, device = detectors[0].network, detectors[0].device
    r, channels = network.radius, detectors[0].channels
    seen = [_around(pair.shape, pixels, radius=r) for pair, pixels in zip(pairs, drawn, strict=True)]
    sizes = [int(np.count_nonzero(each)) for each in seen]
    starts, first = np.cumsum([0, *sizes]), np.cumsum([0, *(pair.shape[0] * pair.shape[1] for pair in pairs)])
    both: NDArray[np.float32] = scratch_array((2, sum(sizes), 2 * channels), np.float32)  # type: ignore[assignment]
    valid, places = np.empty(sum(sizes), dtype=bool), list[NDArray[np.int64]]()
    for detector, pair, pixels, mask, start in zip(detectors, pairs, drawn, seen, starts, strict=False):
        at, width = int(start), mask.shape[1]
        for block in progress(list(row_blocks(*mask.shape)), desc="patches", unit="block"):
            wanted = mask[block]
            if not wanted.any():
                continue
            earlier, later, known = see_rows(detector, pair, block, radius=r)
            rows = slice(at, at + int(np.count_nonzero(wanted)))
            both[0, rows], both[1, rows], valid[rows] = earlier[wanted], later[wanted], known[wanted]
            let_go(both)
            at = rows.stop
        number = start + np.cumsum(mask.ravel()) - 1  # row of each padded pixel that is seen
        corner = pixels // pair.shape[1] * width + pixels % pair.shape[1]
        side = np.arange(2 * r + 1)
        places.append(number[corner[:, None] + (side[:, None] * width + side).ravel()])
    numbers = np.concatenate([pixels + at for pixels, at in zip(drawn, first, strict=False)])
    return ManyPatches(
        torch.from_numpy(both).view(-1, 2 * channels).to(device),
        torch.from_numpy(valid).to(device),
        torch.from_numpy(numbers).to(device),
        torch.from_numpy(np.concatenate(places)).to(device),
        r,
        int(first[-1]),
    )


def _around(shape: tuple[int, int], pixels: NDArray[np.int64], *, radius: int) -> NDArray[np.bool_]:
    """Pixels of the padded scene that lie in a patch, bool ``(rows + 2 radius, cols + 2 radius)``."""
    rows, cols = shape
    seen = np.zeros((rows + 2 * radius, cols + 2 * radius), dtype=bool)
    row, col = pixels // cols, pixels % cols
    for down in range(2 * radius + 1):
        for right in range(2 * radius + 1):
            seen[row + down, col + right] = True
    return seen
