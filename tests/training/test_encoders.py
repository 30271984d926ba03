"""A pre-trained encoder starts a training, or is refused in one line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import RunConfig, resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import BandError, CheckpointError, MissingInputError
from hsi_cd.scene import Bands, Cube, ScenePair, cube_from_array
from hsi_cd.training.pretrain.encoders import backbones, save_encoders, use_encoders


def scene(*, seed: int = 0, bands: int = 16, waves: float = 0.0) -> ScenePair:
    pair = simulate_pair(SimulationOptions(rows=40, cols=40, bands=bands, seed=seed))
    return ScenePair(*(_moved(cube, waves) for cube in (pair.t1, pair.t2)), name=f"scene{seed}")


def _moved(values: Any, waves: float) -> Cube:
    count = len(values)
    return cube_from_array(values, bands=Bands(count, centres=tuple(500.0 + 20 * b + waves for b in range(count))))


def configuration(*layers: dict[str, Any]) -> RunConfig:
    quick: dict[str, Any] = {"model": {"members": 2}, "prepare": {"registration": False, "components": 6}}
    return resolve([("test", layer) for layer in (quick, *layers)])


def detector(pair: ScenePair, *layers: dict[str, Any]) -> SiameseDetector:
    torch.manual_seed(0)
    return fit_siamese(pair, configuration(*layers))


def encoders(path: Path, pair: ScenePair, *layers: dict[str, Any]) -> Path:
    """A file of encoders of weights that nobody else has."""
    taught = detector(pair, *layers)
    for number, encoder in enumerate(backbones(taught)):
        for parameter in encoder.parameters():
            torch.nn.init.constant_(parameter, 0.01 * (number + 1))
    save_encoders(path, taught, backbones(taught), scene=pair.name, task="vae")
    return path


def test_every_member_starts_from_its_own_encoder_and_the_rest_as_ever(tmp_path: Path) -> None:
    path = encoders(tmp_path / "encoder.pt", scene())
    started, ever = detector(scene()), detector(scene())
    use_encoders(path, started)
    for name, value in started.network.state_dict().items():
        if ".backbone." in name:
            member = int(name.split(".")[1])
            assert (value == torch.tensor(0.01 * (member + 1))).all()
        else:
            torch.testing.assert_close(value, ever.network.state_dict()[name], rtol=0, atol=0)


def test_fewer_encoders_than_members_go_round_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = encoders(tmp_path / "encoder.pt", scene())
    started = detector(scene(), {"model": {"members": 3}})
    with caplog.at_level(logging.WARNING):
        use_encoders(path, started)
    assert "2 encoders for 3 members" in caplog.text
    means = [float(next(iter(e.parameters())).detach().mean()) for e in backbones(started)]
    assert means == pytest.approx([0.01, 0.02, 0.01])


def test_without_a_projection_an_encoder_serves_other_scenes_of_its_bands(tmp_path: Path) -> None:
    """Each scene's bands are standardised by its own means and deviations: one channel is one band in both."""
    plain = {"prepare": {"projection": "none"}}
    path = encoders(tmp_path / "encoder.pt", scene(), plain)
    use_encoders(path, detector(scene(seed=1), plain))


REFUSED: dict[str, tuple[ScenePair, dict[str, Any], str]] = {
    "another scene's components": (scene(seed=1), {}, "components of scene0, which mix the bands in another way"),
    "other channels": (scene(), {"prepare": {"components": 5}}, "takes 6 channels, but the scene has 5"),
    "other scaling": (
        scene(),
        {"prepare": {"scaling": "minmax"}},
        "scaling zscore, but here it is minmax",
    ),
    "other projection": (
        scene(),
        {"prepare": {"projection": "pca"}},
        "projection mnf, but here it is pca",
    ),
    "another backbone": (
        scene(),
        {"model": {"backbone": {"kind": "spectral_spatial"}}},
        "is a pointwise backbone, but here it is spectral_spatial",
    ),
    "another width": (
        scene(),
        {"model": {"backbone": {"width": 32}}},
        r"layers.0.bias has shape \(64,\), not \(32,\); set model.backbone as in the pre-training",
    ),
    "more layers": (scene(), {"model": {"backbone": {"depth": 4}}}, "layers.3.bias is not in the encoder"),
    "fewer layers": (scene(), {"model": {"backbone": {"depth": 2}}}, "layers.2.bias is in the encoder alone"),
}


@pytest.mark.parametrize(("pair", "layer", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit(pair: ScenePair, layer: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = encoders(tmp_path / "encoder.pt", scene())
    refusing = detector(pair, layer)
    before = {name: value.clone() for name, value in refusing.network.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        use_encoders(path, refusing)
    assert "\n" not in str(caught.value) and "encoder.pt" in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in refusing.network.state_dict().items())


def test_other_bands(tmp_path: Path) -> None:
    path = encoders(tmp_path / "encoder.pt", scene())
    with pytest.raises(BandError, match=r"the encoder .*encoder\.pt"):
        use_encoders(path, detector(scene(waves=300.0)))


def test_other_bands_left_out(tmp_path: Path) -> None:
    plain = {"prepare": {"projection": "none"}}
    values = scene()
    fewer = [ScenePair(values.t1, values.t2, used=used) for used in (tuple(range(12)), tuple(range(4, 16)))]
    path = encoders(tmp_path / "encoder.pt", fewer[0], plain)
    use_encoders(path, detector(fewer[0], plain))
    with pytest.raises(CheckpointError, match="on other bands of the scene"):
        use_encoders(path, detector(fewer[1], plain))


def test_a_file_that_is_no_encoder(tmp_path: Path, trained: Path) -> None:
    fitted = detector(scene())
    (tmp_path / "text.pt").write_text("weights\n" * 50)
    whole = encoders(tmp_path / "encoder.pt", scene())
    (tmp_path / "cut.pt").write_bytes(whole.read_bytes()[:2000])
    for name in ("text.pt", "cut.pt"):
        with pytest.raises(CheckpointError, match=rf"encoder .*{name} cannot be read"):
            use_encoders(tmp_path / name, fitted)
    with pytest.raises(MissingInputError, match=r"none\.pt is not a file: give the encoder\.pt"):
        use_encoders(tmp_path / "none.pt", fitted)
    with pytest.raises(CheckpointError, match=r"was not written by hsi-cd pretrain: give the encoder\.pt"):
        use_encoders(trained / "best.pt", fitted)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoders", []),
        ("encoders", 5),
        ("encoders", [5]),
        ("encoders", [{"layers.0.weight": "text"}]),
        ("mixture", "text"),
        ("prepare", {}),
        ("bands", {"count": 3, "centres": (1.0,)}),
        ("bands", {"number": 3}),
        ("backbone", None),
    ],
)
@pytest.mark.quick("encoders-5", "mixture-*", "bands-*")
def test_a_file_with_something_else_inside(key: str, value: Any, tmp_path: Path) -> None:
    path = encoders(tmp_path / "encoder.pt", scene())
    content = torch.load(path, weights_only=True)
    torch.save(content | {key: value}, path)
    with pytest.raises((CheckpointError, BandError)) as caught:
        use_encoders(path, detector(scene()))
    assert "\n" not in str(caught.value)


def test_the_mixture_is_what_each_channel_is_made_of(tmp_path: Path) -> None:
    """Channels are this mixture of each date's own standardised bands."""
    fitted = detector(scene())
    content = torch.load(encoders(tmp_path / "encoder.pt", scene()), weights_only=True)
    values = scene().t2.read()
    flat = values.reshape(16, -1).astype(np.float64)
    standardised = (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)
    mixed = content["mixture"].numpy() @ standardised
    found = fitted.transform.apply(values, date=1).reshape(6, -1)
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), mixed, atol=5e-3)
