"""A hundred damaged variants of each product through the command line: one line, or the right map."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
import rasterio
from damage import SPOILS

VARIANTS, QUICK = 100, 5
LEAST = 0.75  # of the intersection over union, where bands or pixels of the first date are lost


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """Makes both dates of a product when they are first asked for; nobody writes there."""
    folder = tmp_path_factory.mktemp("dates")

    @functools.cache
    def make(name: str) -> tuple[Path, Path]:
        (folder / name).mkdir()
        return deliveries.MAKERS[name](folder / name, 1), deliveries.MAKERS[name](folder / name, 2)

    return make


def agreement(change: np.ndarray) -> float:
    """Intersection over union with the block that changed, where the map says anything."""
    truth = np.zeros(change.shape, dtype=bool)
    truth[deliveries.BLOCK] = True
    known = change != 255
    assert known.mean() > 0.3
    return float(((change == 1) & truth & known).sum() / (((change == 1) | truth) & known).sum())


def one_variant(cli: Any, capsys: Any, dates: tuple[Path, Path], folder: Path, seed: int) -> str:
    """What became of a variant: ``refused``, ``map`` or, of a damage that no file shows, ``unseen``."""
    first, second = dates
    spoil = sorted(SPOILS)[seed % len(SPOILS)]
    spoilt = deliveries.copied(first, folder)
    SPOILS[spoil](spoilt, np.random.default_rng(seed))
    out = folder / "change.tif"
    capsys.readouterr()
    code = cli("detect", "--method", "cva", "--t1", spoilt, "--t2", second, "--output", out)
    told = capsys.readouterr()
    assert code in (0, 2), (seed, spoil, told)
    assert "Traceback" not in told.err + told.out
    if code == 2:
        assert not out.exists()
        assert told.err.startswith("hsi-cd: error: ") and told.err.count("\n") == 1, told.err
        return "refused"
    with rasterio.open(out) as file:
        change, place, crs = file.read(1), file.transform, file.crs
    with rasterio.open(folder.parent / "right.tif") as file:
        right = file.transform, file.crs
    if spoil in ("misstated", "garbled"):
        # Another sensible number in the place of a right one is not seen in a file.
        return "map" if (place, crs) == right and agreement(change) >= LEAST else "unseen"
    assert (place, crs) == right, (seed, spoil)
    assert agreement(change) >= LEAST, (seed, spoil)
    return "map"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(deliveries.MAKERS))
@pytest.mark.parametrize("first", range(0, VARIANTS, 20))
def test_a_hundred_variants(
    cli: Any, capsys: Any, tmp_path: Path, dates: Callable[[str], tuple[Path, Path]], name: str, first: int
) -> None:
    run(cli, capsys, tmp_path, dates(name), range(first, first + 20))


@pytest.mark.parametrize("name", ["neon", "aviris_classic", "landsat"])
@pytest.mark.quick("neon", "landsat")
def test_a_few_variants(
    cli: Any, capsys: Any, tmp_path: Path, dates: Callable[[str], tuple[Path, Path]], name: str
) -> None:
    run(cli, capsys, tmp_path, dates(name), range(1000, 1000 + QUICK))


def run(cli: Any, capsys: Any, folder: Path, dates: tuple[Path, Path], seeds: range) -> dict[str, int]:
    """Counts of what became of the variants."""
    words = ["detect", "--method", "cva", "--t1", dates[0], "--t2", dates[1], "--output", folder / "right.tif"]
    assert cli(*words) == 0
    became = {"refused": 0, "map": 0, "unseen": 0}
    for seed in seeds:
        variant = folder / str(seed)
        variant.mkdir()
        became[one_variant(cli, capsys, dates, variant, seed)] += 1
        shutil.rmtree(variant)
    assert became["unseen"] <= 0.1 * len(seeds), became
    return became
