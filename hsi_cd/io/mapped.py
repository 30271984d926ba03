"""Numbers that lie bare in a file, mapped for as long as a window is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError


@dataclass(frozen=True)
class MappedArray:
    """An array in a file, of which slices are copied out.

    It is mapped anew for each slice (some 50 microseconds): the pages of a map that is kept stay in memory, until
    all of a large file is there.

    Attributes:
        path: the file.
        dtype: type of its numbers.
        offset: bytes before the first.
        shape: its shape.
        order: ``C`` where the last axis is contiguous, ``F`` where the first is.
    """

    path: Path
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    def __getitem__(self, index: Any) -> NDArray[np.generic]:
        try:
            whole: NDArray[np.generic] = np.memmap(
                self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape, order=self.order
            )
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{self.path} cannot be read any more ({error}): it was changed or removed"
            ) from error
        return np.array(whole[index])
