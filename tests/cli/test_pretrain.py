"""hsi-cd pretrain: encoders from a scene of which nobody knows the truth, and trainings that start from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import rasterio
import torch

import hsi_cd.api.opening  # noqa: F401 - before a test replaces what it imports
from hsi_cd.config import read_config_file
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint

Capture = pytest.CaptureFixture[str]
QUICK = ["--set", "model.members=2", "--set", "pretrain.epochs=2", "--set", "pretrain.pixels=256"]


@pytest.fixture(scope="module")
def scene(simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The options that name the dates alone, with no truth beside them."""
    folder = tmp_path_factory.mktemp("alone")
    for file in (simulated.t1, simulated.t2):
        shutil.copy(file, folder)
    return ["--t1", folder / "t1.tif", "--t2", folder / "t2.tif", "--device", "cpu"]


@pytest.fixture(scope="module")
def encoder(cli: Any, scene: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoders of a quick run; nobody writes into its folder."""
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    assert cli("pretrain", *scene, *QUICK, "--seed", 4, "--run", folder) == 0
    return folder / "encoder.pt"


def test_a_run_leaves_these_files_and_reads_no_labels(
    cli: Any, scene: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a truth map was read")

    for name in ("hsi_cd.io.read_labels", "hsi_cd.io.map_shape", "hsi_cd.datasets.open_dataset"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.chdir(tmp_path)
    words = ["--task", "vae", "--set", "pretrain.latent=3", "--set", "pretrain.patch=1"]
    assert cli("pretrain", *scene, *QUICK, *words) == 0
    out, err = capsys.readouterr()
    (folder,) = Path("runs").iterdir()
    assert err == "" and f"--set train.pretrained={folder}/encoder.pt" in out
    assert "held-out pixels" in out and folder.name.startswith(f"{scene[1].parent.name}-vae-seed0-")  # type: ignore[attr-defined]
    names = {path.name for path in folder.iterdir()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events == {
        "config.yaml",
        "curves.csv",
        "encoder.pt",
        "last.pt",
        "pretrain.json",
        "provenance.json",
        "train.log",
    }
    facts = json.loads((folder / "pretrain.json").read_text())
    assert (facts["task"], facts["encoders"], facts["channels"]) == ("vae", 2, 16)
    assert facts["pixels"]["held_out"] > 0 and set(facts["held_out"]) == {
        "loss/val",
        "reconstruction/val",
        "kl/val",
        "explained/val",
    }
    assert read_config_file(folder / "config.yaml")["pretrain"]["task"] == "vae"
    head, *rows = (folder / "curves.csv").read_text().splitlines()
    assert head == "epoch,loss/train,loss/val,explained/val,reconstruction/val,kl/val,lr"
    assert [row.split(",")[0] for row in rows] == ["1", "2"]


def test_a_training_starts_from_the_encoders(
    cli: Any, simulated: PairFiles, scene: list[object], encoder: Path, tmp_path: Path
) -> None:
    """With the encoders' learning rate at nothing, the trained network still holds them."""
    still = cli.settings(train__lr=1e-12, train__weight_decay=0, train__map_every=0)
    start = ["--set", f"train.pretrained={encoder}"]
    words = ["train", *scene, "--truth", simulated.truth, *still, *start]
    assert cli(*words, "--run", tmp_path / "run") == 0
    ours = load_checkpoint(tmp_path / "run" / "best.pt")["detector"]["network"]
    for member, weights in enumerate(torch.load(encoder, weights_only=True)["encoders"]):
        for name, value in weights.items():
            torch.testing.assert_close(ours[f"members.{member}.backbone.{name}"], value, rtol=0, atol=1e-6)
    assert read_config_file(tmp_path / "run" / "config.yaml")["train"]["pretrained"] == str(encoder)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["details"]["pretrained"]


@pytest.mark.slow
def test_weights_then_pretraining_then_training(
    cli: Any, simulated: PairFiles, scene: list[object], tmp_path: Path
) -> None:
    """Pre-training starts from a resnet's file, and training from what that made of it."""
    file, kept = tmp_path / "resnet18.pth", "layer1.0.conv1.weight"
    drawn = torch.rand((64, 64, 3, 3), generator=torch.Generator().manual_seed(1)) / 24
    torch.save({kept: drawn}, file)
    backbone = {"kind": "resnet18", "until": "layer1", "patch": 3, "width": 8}
    model = [word for key, value in backbone.items() for word in ("--set", f"model.backbone.{key}={value}")]
    start = ["--set", f"model.backbone.weights={file}"]
    model += ["--set", "pretrain.epochs=1", "--set", "pretrain.pixels=512"]
    still = ["--set", "pretrain.lr=1e-9", "--set", "pretrain.weight_decay=0"]
    fast = ["--set", "pretrain.lr=0.1"]
    assert cli("pretrain", *scene, *QUICK, *still, *model, *start, "--run", tmp_path / "still") == 0
    first, second = torch.load(tmp_path / "still" / "encoder.pt", weights_only=True)["encoders"]
    for encoder in (first, second):
        torch.testing.assert_close(encoder[kept], drawn, rtol=0, atol=1e-6)
    assert cli("pretrain", *scene, *QUICK, *model, *start, *fast, "--run", tmp_path / "taught") == 0
    encoder = tmp_path / "taught" / "encoder.pt"
    taught = [each[kept] for each in torch.load(encoder, weights_only=True)["encoders"]]
    assert not torch.allclose(taught[0], drawn, atol=1e-3)
    settings = cli.settings(train__lr=1e-9, train__weight_decay=0, train__map_every=0, train__pretrained=encoder)
    train = ["train", *scene, "--truth", simulated.truth, *settings, *model, "--run", tmp_path / "run"]
    assert cli(*train) == 0
    network = load_checkpoint(tmp_path / "run" / "last.pt")["detector"]["network"]
    for number, weights in enumerate(taught):
        torch.testing.assert_close(network[f"members.{number}.backbone.{kept}"], weights, rtol=0, atol=1e-6)


def test_other_scenes_and_backbones_are_refused_and_leave_no_folder(
    cli: Any, simulated: PairFiles, scene: list[object], encoder: Path, tmp_path: Path, capsys: Capture
) -> None:
    start = ["--set", f"train.pretrained={encoder}", *cli.settings()]
    words = ["train", "--truth", simulated.truth, *start, "--run", tmp_path / "run"]
    swapped = ["--t1", scene[3], "--t2", scene[1]]
    refused = {
        "prepare.components=5": "takes 16 channels, but the scene has 5",
        "model.backbone.kind=spectral_spatial": "is a pointwise backbone, but here it is spectral_spatial",
        "prepare.projection=pca": "prepare.projection mnf, but here it is pca",
        "bands.drop_bad=false": None,
    }
    for setting, message in refused.items():
        dates = scene if message else [*swapped, "--set", "prepare.clip_percent=10"]
        assert cli(*words, *dates, "--set", setting) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and err.startswith("hsi-cd: error: encoder ")
        assert (message or "which mix the bands in another way than this scene's") in err
        assert not (tmp_path / "run").exists()


REFUSED: dict[str, tuple[list[object], str]] = {
    "unknown task": (
        ["--task", "mask"],
        "pretrain.task is 'mask': did you mean masked? Input should be 'masked' or 'vae'",
    ),
    "unknown key": (["--set", "pretrain.epoch=3"], "did you mean pretrain.epochs"),
    "even patch": (["--set", "pretrain.patch=2"], "pretrain: patch is 2: it must be odd"),
    "everything hidden": (["--set", "pretrain.hidden=1"], "pretrain.hidden is 1: input should be less than 1"),
    "everything held out": (["--set", "pretrain.held_out=0.9"], "pretrain.held_out is 0.9"),
    "nothing left to teach": (
        ["--task", "vae", "--set", "pretrain.patch=31", "--set", "pretrain.held_out=0.5"],
        "lower pretrain.held_out or pretrain.patch",
    ),
    "one channel": (["--set", "prepare.components=1"], "needs at least 2 channels but the scene has 1"),
    "a truth": (["--truth", "truth.tif"], "No such option"),
    "missing date": (["--t1", "no.tif"], "no.tif does not exist"),
    "dataset and files": (["--dataset", "river"], "name two scenes"),
    "resume without a run": (["--resume"], "--resume needs --run DIR"),
    "nothing to resume": (["--resume", "--run", "none"], "holds no run"),
    "run folder in use": (["--run", "."], "exists and is not empty"),
    "negative seed": (["--seed", "-1"], "seed is -1"),
    "wrong device": (["--device", "tpu"], "'tpu' is not one of"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_one_line_and_nothing_written(
    cli: Any,
    scene: list[object],
    tmp_path: Path,
    more: list[object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("mine")
    assert cli("pretrain", *scene, *QUICK, *more) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("hsi-cd: error: ")
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["here.txt"]


def test_only_its_own_run_is_resumed(
    cli: Any, scene: list[object], encoder: Path, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["pretrain", *scene, *QUICK, "--resume", "--run"]
    shutil.copytree(encoder.parent, tmp_path / "ours")
    assert cli(*words, tmp_path / "ours") == 2
    assert "seed: 4 then, seed: 0 now" in capsys.readouterr().err
    other = shutil.copy(str(scene[3]), tmp_path / "other.tif")
    with rasterio.open(other, "r+") as file:
        file.write(file.read(1) * 2, 1)
    words = ["pretrain", *scene[:3], other, *scene[4:], *QUICK, "--seed", 4, "--resume", "--run"]
    assert cli(*words, tmp_path / "ours") == 2
    assert "other.tif has another content than" in capsys.readouterr().err
    shutil.copytree(encoder.parent, tmp_path / "theirs")
    shutil.copy(trained / "last.pt", tmp_path / "theirs")
    words = ["pretrain", *scene, *QUICK, "--resume", "--run"]
    assert cli(*words, tmp_path / "theirs", "--seed", 4) == 2
    assert "was not written by hsi-cd pretrain" in capsys.readouterr().err
    assert cli("predict", "--checkpoint", encoder, *scene[:4], "--output", tmp_path / "change.tif") == 2
    assert "was not written by hsi-cd train" in capsys.readouterr().err
