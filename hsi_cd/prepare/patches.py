"""p x p patches of a scene's components, cut when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PatchSource:
    """The mirror-padded components of a scene, from which patches are cut by pixel index.

    No patch is stored: a scene of 63,000 pixels cut into 9 x 9 patches would be 81 times its size.

    Attributes:
        t1: earlier date, float32 ``(components, rows + 2 radius, cols + 2 radius)``, 0 for no data.
        t2: later date, the same shape.
        valid: where both dates have data, bool ``(1, rows + 2 radius, cols + 2 radius)``.
        radius: half the patch.
    """

    t1: Tensor
    t2: Tensor
    valid: Tensor
    radius: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)`` of the scene without its padding."""
        return self.t1.shape[1] - 2 * self.radius, self.t1.shape[2] - 2 * self.radius

    def cut(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Patches around pixels.

        Args:
            pixels: flat (row-major) indices into the scene, int64 ``(N,)``.

        Returns:
            Both dates' patches, ``(N, components, p, p)``, and their validity, bool ``(N, 1, p, p)``, with
            ``p = 2 radius + 1``.
        """
        side = torch.arange(2 * self.radius + 1, device=pixels.device)
        row = (pixels // self.shape[1])[:, None, None] + side[:, None]
        col = (pixels % self.shape[1])[:, None, None] + side
        place = row * self.t1.shape[2] + col

        def gather(x: Tensor) -> Tensor:
            # Components last: a source stored that way (see pixel_major) gives each pixel in one piece.
            flat = x.permute(1, 2, 0).reshape(-1, len(x))
            return flat.index_select(0, place.flatten()).reshape(*place.shape, -1).permute(0, 3, 1, 2)

        return gather(self.t1), gather(self.t2), gather(self.valid)


def pixel_major(components: Tensor) -> Tensor:
    """The same ``(components, rows, cols)``, stored so that the components of a pixel lie side by side."""
    return components.permute(1, 2, 0).contiguous().permute(2, 0, 1)
