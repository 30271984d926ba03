"""Networks of other blocks, through the command line: trained, mapped, mapped again, stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint, save_checkpoint
from hsi_cd.training import keeping

NETWORKS: dict[str, dict[str, object]] = {
    "resnet18": {
        "model__backbone__kind": "resnet18",
        "model__backbone__until": "layer1",
        "model__backbone__patch": 3,
        "model__backbone__upsample": "transposed",
        "model__attention__kind": "channel",
        "model__attention__place": "features",
        "model__attention__window": 3,
        "model__threshold": 0.4,
    },
    "densenet121": {
        "model__members": 1,
        "model__backbone__kind": "densenet121",
        "model__backbone__until": "transition1",
        "model__backbone__patch": 3,
        "train__freeze__groups": 2,
    },
    "inception": {
        "model__backbone__kind": "inception",
        "model__backbone__depth": 2,
        "model__attention__kind": "cbam",
        "model__attention__window": 3,
        "model__head": "euclidean",
        "model__threshold": "learned",
    },
    "spectral": {
        "prepare__projection": "none",
        "model__backbone__kind": "spectral",
        "model__backbone__conv": "3d",
        "model__attention__kind": "joint_bam",
        "model__attention__window": 3,
        "model__head": "concatenation",
    },
    "transformer": {
        "model__backbone__kind": "transformer",
        "model__backbone__depth": 2,
        "model__backbone__window": 3,
        "model__attention__kind": "pam",
        "model__attention__window": 3,
        "model__attention__scales": "[1,2]",
        "model__head": "cosine",
    },
}


def read_band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def train(
    cli: Any, simulated: PairFiles, dates: list[str], folder: Path, *more: object, **settings: object
) -> int:
    settings = {"train__map_every": 0, "train__certain": 0, **settings}
    options = [*dates, "--truth", simulated.truth, "--device", "cpu", "--run", folder, *more]
    return cli("train", *options, *cli.settings(**settings))


# The blocks themselves are tested in tests/nn; the road from a setting to a map is one for all of them.
@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_trained_network_maps_as_it_did(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, kind: str
) -> None:
    settings, run = NETWORKS[kind], tmp_path / "run"
    assert train(cli, simulated, dates, run, **settings) == 0
    again, score = tmp_path / "change.tif", tmp_path / "score.tif"
    options = ["--checkpoint", run / "best.pt", *dates, "--output", again, "--score", score, "--device", "cpu"]
    assert cli("predict", *options) == 0
    np.testing.assert_array_equal(read_band(again), read_band(run / "change.tif"))
    np.testing.assert_allclose(read_band(score), read_band(run / "score.tif"), atol=1e-5)
    # One row band at a time gives the same scores: the map does not depend on the tiling.
    assert cli("predict", *options, "--memory", "1MB", "--overwrite") == 0
    np.testing.assert_allclose(read_band(score), read_band(run / "score.tif"), atol=1e-5)
    result = json.loads((run / "result.json").read_text())
    wanted = settings.get("model__threshold", "validation")
    calibration = load_checkpoint(run / "best.pt")["detector"]["calibration"]
    if wanted == "learned":
        assert calibration == {"slope": 1.0, "offset": 0.0, "threshold": 0.5}
    if wanted == 0.4:
        assert result["threshold"] == 0.4 and calibration["slope"] != 1.0


@pytest.mark.slow
def test_a_frozen_encoder_resumes_in_the_same_weights(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        **NETWORKS["resnet18"],
        "model__backbone__until": "conv1",
        "train__max_steps": 16,  # four epochs
        "train__freeze__groups": 2,
        "train__freeze__names": "['head.distance.*']",
        "train__freeze__until": 2,
    }
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(cli, simulated, dates, whole, **settings) == 0
    for at in (1, 3):  # while it is frozen, and after

        def save_and_stop(path: Path, *arguments: Any, at: int = at, **others: Any) -> None:
            save_checkpoint(path, *arguments, **others)
            if path.name == "last.pt" and others["training"]["progress"]["epoch"] == at:
                raise KeyboardInterrupt

        monkeypatch.setattr(keeping, "save_checkpoint", save_and_stop)
        assert train(cli, simulated, dates, stopped, *(["--resume"] if at > 1 else []), **settings) == 130
        state = load_checkpoint(stopped / "last.pt")["training"]["steps"]["optimizer"]["state"]
        assert (
            len(state) == len(load_checkpoint(whole / "last.pt")["training"]["steps"]["optimizer"]["state"])
        ) == (at > 2)
    monkeypatch.undo()
    monkeypatch.setattr("hsi_cd.training.run._draw", lambda *drawn: None)
    assert train(cli, simulated, dates, stopped, "--resume", **settings) == 0
    ours, theirs = (load_checkpoint(run / "last.pt")["detector"]["network"] for run in (stopped, whole))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.slow
def test_weights_of_a_file_stay_while_they_are_frozen(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(64, 3, 7, 7, generator=generator)
    torch.save({"conv1.weight": first, "fc.bias": torch.zeros(3)}, tmp_path / "first.pth")
    network = {
        "model__backbone__kind": "resnet18",
        "model__backbone__until": "conv1",
        "model__backbone__patch": 3,
        "model__backbone__weights": tmp_path / "first.pth",
        "train__freeze__groups": 2,
    }
    run = tmp_path / "run"
    assert train(cli, simulated, dates, run, **network) == 0
    (warned,) = [record.getMessage() for record in caplog.records if "weights" in record.getMessage()]
    assert "absent in the file: bn1.weight, bn1.bias" in warned and "extra in the file: fc.bias" in warned
    state = load_checkpoint(run / "best.pt")["detector"]["network"]
    for member in range(2):
        path = f"members.{member}.backbone"
        torch.testing.assert_close(state[f"{path}.conv1.weight"], first[:, [i % 3 for i in range(16)]] * 3 / 16)
        assert (state[f"{path}.bn1.running_mean"] == 0).all()  # frozen batch norms keep their statistics
        assert int(state[f"{path}.bn1.num_batches_tracked"]) == 0
    # The file is needed once: the checkpoint holds all there is.
    (tmp_path / "first.pth").unlink()
    options = ["--checkpoint", run / "best.pt", *dates, "--output", tmp_path / "change.tif", "--device", "cpu"]
    assert cli("predict", *options) == 0
    np.testing.assert_array_equal(read_band(tmp_path / "change.tif"), read_band(run / "change.tif"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train__freeze__groups": 7}, "groups is 7, but the backbone has 3 parts"),
        ({"train__freeze__names": "['encoder.*']"}, "no parameter fits 'encoder.*'"),
        (
            {"model__backbone__kind": "resnet18", "model__backbone__weights": "none.pth"},
            "weights none.pth is not a file",
        ),
        ({"model__backbone__until": "layer1"}, "pointwise has no layers of those names"),
        ({"model__threshold": 2}, "2 is no threshold"),
    ],
)
def test_what_does_not_fit_leaves_no_folder(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capsys: Any, settings: Any, message: str
) -> None:
    assert train(cli, simulated, dates, tmp_path / "run", **settings) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and message in said.err
    assert not (tmp_path / "run").exists()
