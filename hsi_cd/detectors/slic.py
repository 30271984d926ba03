"""Regions of like pixels (superpixels), and their means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def segment(key: NDArray[np.float32], *, region: int) -> NDArray[np.int64]:
    """Superpixels of one block of rows, by SLIC.

    Args:
        key: what regions are to be alike in, ``(keys, rows, cols)``, scaled so that a distance of 1 is as far as
            one region's side; no data is 0, and forms regions of its own. (SLIC's masks draw their seeds at
            random, and compare all pairs of them.)
        region: mean size, pixels.

    Returns:
        Labels from 0, int64 ``(rows, cols)``.

    Reference:
        Achanta et al. 2012, doi:10.1109/TPAMI.2012.120
    """
    from skimage.segmentation import slic

    spread = float(np.ptp(key))
    labels = slic(
        np.moveaxis(key, 0, -1),
        n_segments=max(1, round(key[0].size / region)),
        # The library scales every image to 0-1 first: divided by the same spread, a distance means the same in
        # every block, whatever its brightest pixel is.
        compactness=1 / spread if spread > 0 else 1.0,
        convert2lab=False,  # three keys are no colours
        enforce_connectivity=True,
        start_label=0,
        channel_axis=-1,
    )
    return np.asarray(labels, dtype=np.int64)


def region_means(
    values: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of the values in each region.

    Args:
        values: float64 ``(components, pixels)``, without NaN.
        labels: region of each pixel, ``(pixels,)``.

    Returns:
        Means, float64 ``(components, regions)``, and sizes, int64 ``(regions,)``, of the regions that have pixels.
    """
    size = np.bincount(labels)
    kept = size > 0
    sums = np.stack([np.bincount(labels, weights=plane, minlength=len(size)) for plane in values])
    return sums[:, kept] / size[kept], size[kept]
