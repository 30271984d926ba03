"""The published networks of docs/peers as methods beside the built-in ones."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from scipy.interpolate import BSpline

import hsi_cd as hc

PEERS = Path(__file__).parents[1] / "docs" / "peers"
NAMES = ("patch_network", "spectral_kan", "fc_siam_diff", "hyperlucid")
SMALL = ["--set", "options.epochs=12", "--set", "options.side=5", "--set", "split.fraction=0.2"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with the peers in it, which the rest of the tests does not see."""
    for name in NAMES:
        shutil.copy(PEERS / f"{name}.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("spectral_kan:SpectralKAN", SMALL),
        pytest.param("fc_siam_diff:FCSiamDiff", SMALL, marks=pytest.mark.slow),
        ("hyperlucid:HyperLUCID", []),
    ],
)
def test_a_peer_trains_and_its_checkpoint_maps_the_same(
    cli: Any, dates: list[str], simulated: Any, method: str, settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*dates, "--truth", simulated.truth, *settings]
    assert cli("train", "--method", method, *words, "--run", "run") == 0
    result = json.loads(Path("run/result.json").read_text())
    assert result["protocol"] == "P1" and result["scores"]["kappa"] > 0.3
    monkeypatch.setenv("HSI_CD_PLUGINS", ",".join(NAMES))
    assert cli("predict", "--checkpoint", "run/best.pt", *dates, "--output", "again.tif", "--memory", "64MB") == 0
    with rasterio.open("run/change.tif") as run, rasterio.open("again.tif") as again:
        np.testing.assert_array_equal(run.read(), again.read())


def test_splines_are_those_of_scipy() -> None:
    from spectral_kan import Layer

    layer = Layer(3, 2)
    x = torch.linspace(-0.99, 0.99, 41)
    knots = np.arange(-3, 9) * 0.4 - 1  # five intervals of -1..1, and three more on either side
    splines = [BSpline.basis_element(knots[i : i + 5], extrapolate=False) for i in range(8)]
    expected = np.stack([spline(x.numpy()) for spline in splines], axis=1)
    np.testing.assert_allclose(layer.basis(x).numpy(), np.nan_to_num(expected), atol=1e-5)


def test_sizes_are_those_of_the_papers() -> None:
    from fc_siam_diff import Network
    from spectral_kan import SpectralKAN

    # Two numbers an edge and eight an input: 26 inputs with 16 + 1 outputs, 155 bands with two.
    expected = (25 * 16 + 16 * 1 + 155 * 2) * 2 + (25 + 16 + 155) * 8
    assert sum(each.numel() for each in SpectralKAN.network(155, 5).parameters()) == expected
    network = Network(3, 17).eval()
    assert network(torch.zeros(2, 3, 17, 17), torch.zeros(2, 3, 17, 17)).shape == (2, 2)
    assert 1_300_000 < sum(each.numel() for each in network.parameters()) < 1_400_000  # 1.35 million in the paper


def test_a_peer_does_not_care_how_a_window_is_cut() -> None:
    from fc_siam_diff import Network

    torch.manual_seed(0)
    network = Network(2, 9).eval()
    t1, t2 = torch.randn(2, 5, 2, 9, 9)
    whole = network(t1, t2)
    np.testing.assert_allclose(whole[2:3].detach().numpy(), network(t1[2:3], t2[2:3]).detach().numpy(), atol=1e-5)


def spectra(bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Two dates of 40 x 40 pixels: date 2 is date 1 under other light, and a block's spectra are reversed."""
    rng = np.random.default_rng(0)
    materials = rng.uniform(0.2, 0.8, (4, bands))
    first = (rng.dirichlet(np.ones(4), (40, 40)) @ materials).transpose(2, 0, 1).astype(np.float32)
    second = np.linspace(0.2, 1, bands, dtype=np.float32)[:, None, None] * first + 0.1
    second[:, :10, :10] = second[::-1, :10, :10]
    return first, second


def test_hyperlucid_undoes_what_light_and_air_did() -> None:
    first, second = spectra(12)
    change = hc.detect(hc.open_pair(first, second, axes="bands,rows,cols"), method="hyperlucid:HyperLUCID")
    inside = np.zeros((40, 40), bool)
    inside[:10, :10] = True
    # Angles as they were measured, by the arc cosine: most of what did not change lies above 0.2.
    cosine = (first * second).sum(axis=0) / np.linalg.norm(first, axis=0) / np.linalg.norm(second, axis=0)
    before = np.arccos(cosine)[~inside]
    assert (before > 0.2).mean() > 0.5
    assert (change.score[~inside] > 0.2).mean() < 0.05
    assert (change.score[inside] > 0.2).mean() > 0.8


def test_angles_are_those_of_the_arc_cosine_and_small_ones_too() -> None:
    from hyperlucid import angles

    x = np.random.default_rng(0).random((50, 7))
    y = x[::-1].copy()
    cosine = (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(angles(torch.from_numpy(x), torch.from_numpy(y)), np.arccos(cosine), atol=1e-6)
    turned = torch.tensor([[1.0, 1e-5]])
    assert float(angles(torch.tensor([[1.0, 0.0]]), turned)) == pytest.approx(1e-5, rel=1e-3)
