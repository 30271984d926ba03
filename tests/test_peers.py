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

PEERS = Path(__file__).parents[1] / "docs" / "peers"
NAMES = ("patch_network", "spectral_kan", "fc_siam_diff")


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
    "method", ["spectral_kan:SpectralKAN", pytest.param("fc_siam_diff:FCSiamDiff", marks=pytest.mark.slow)]
)
def test_a_peer_trains_and_its_checkpoint_maps_the_same(
    cli: Any, dates: list[str], simulated: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*dates, "--truth", simulated.truth, "--set", "options.epochs=12", "--set", "options.side=5"]
    words += ["--set", "split.fraction=0.2"]
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
    knots = layer.knots.double().numpy()
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
