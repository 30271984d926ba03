"""Encoders that learn without labels: what they come to know, and where the run may be stopped."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from hsi_cd.config import BACKBONES, RunConfig, resolve
from hsi_cd.detectors.siamese import fit_siamese
from hsi_cd.errors import EXIT_REQUEUE
from hsi_cd.nn.pretext import TASKS, Reconstruction
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.patches import scene_patches
from hsi_cd.training.pretrain.encoders import backbones
from hsi_cd.training.pretrain.pretraining import CURVES, build_tasks, run_pretraining
from hsi_cd.training.pretrain.pretraining_loop import both_dates, judge
from tests.training.test_resume import asked_at_step, saved_times, tensors, wait_for

QUICK = {
    "model.members": 2,
    "pretrain.epochs": 6,
    "pretrain.pixels": 128,
    "pretrain.batch_size": 64,
    "pretrain.validate_every": 3,
    "pretrain.save_every": 1,
    "pretrain.latent": 3,
}


def configuration(**changes: Any) -> RunConfig:
    values = QUICK | {name.replace("__", "."): value for name, value in changes.items()}
    layers = []
    for key, value in values.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        layers.append(("test", value))
    return resolve(layers)


def low_rank_scene(*, rows: int = 64, cols: int = 48, bands: int = 12, noise: float = 0.02) -> ScenePair:
    """Spectra that are mixtures of two materials, with a little noise: any band tells nearly all others."""
    random = np.random.default_rng(3)
    spectra = random.random((2, bands))
    share = random.random((2, rows, cols))
    dates = np.einsum("drc,b->dbrc", share, spectra[0]) + np.einsum("drc,b->dbrc", 1 - share, spectra[1])
    dates = (dates + noise * random.normal(size=dates.shape)).astype(np.float32)
    t1, t2 = (cube_from_array(values, name=name) for name, values in zip(("t1", "t2"), dates, strict=True))
    return ScenePair(t1, t2, name="mixtures")


@pytest.mark.parametrize("task", ["masked", "vae"])
@pytest.mark.slow
def test_what_is_told_of_held_out_pixels_beats_the_mean(task: str, tmp_path: Path) -> None:
    """One number tells each spectrum of this scene, up to the noise."""
    config = configuration(
        prepare__projection="none",
        prepare__registration=False,
        model__members=1,
        pretrain__task=task,
        pretrain__patch=1,
        pretrain__epochs=20,
        pretrain__pixels=1024,
    )
    facts = run_pretraining(low_rank_scene(), config, tmp_path / "run")
    assert facts["held_out"]["explained/val"] > 0.8
    assert facts["pixels"] == {"taught": 64 * 48 - 256 * 1, "held_out": 256}
    rows = [line.split(",") for line in (tmp_path / "run" / "curves.csv").read_text().splitlines()]
    assert tuple(rows[0]) == ("epoch", *CURVES)
    explained = [float(row[3]) for row in rows[1:] if row[3]]
    assert len(explained) == 7 and explained[-1] > explained[0] and explained[-1] > 0.8


class Mean(torch.nn.Module):
    """Tells the mean of every channel, as the known pixels have it."""

    def __init__(self, mean: torch.Tensor) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, x: torch.Tensor, valid: torch.Tensor, *, generator: torch.Generator) -> Any:
        values, judged = self.mean.expand(x.shape), valid.expand(x.shape)
        return Reconstruction((values - x).square().mean(), {}, x, values, judged)


def test_telling_the_mean_explains_nothing_and_telling_all_explains_all() -> None:
    detector = fit_siamese(low_rank_scene(), configuration(prepare__registration=False))
    source = scene_patches(detector, low_rank_scene(), radius=0)
    pixels = torch.arange(64 * 48)
    mean = (torch.cat([source.t1, source.t2], dim=2)).mean(dim=(1, 2))[None, :, None, None]
    found = judge(torch.nn.ModuleList([Mean(mean)]), source, pixels)
    assert found["explained/val"] == pytest.approx(0, abs=1e-6)
    shifted = judge(torch.nn.ModuleList([Mean(mean + 1)]), source, pixels)
    assert shifted["explained/val"] < 0
    assert shifted["loss/val"] == pytest.approx(found["loss/val"] + 1, rel=1e-4)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.quick(
    "pointwise-*", "spectral_spatial-masked", "resnet18-vae", "transformer-masked", "densenet121-vae"
)
def test_every_backbone_can_be_taught(kind: str, task: str) -> None:
    """Patches are as wide as the backbone eats, and gradients reach all of it."""
    until = {"resnet": "layer1", "densenet": "denseblock1"}.get(kind.rstrip("0123456789"))
    small = {"kind": kind, "width": 8, "depth": 2, "until": until} if until else {"kind": kind}
    config = configuration(model__members=1, model__backbone=small, prepare__components=4, pretrain__task=task)
    detector = fit_siamese(low_rank_scene(rows=20, cols=20), config)
    tasks = build_tasks(detector, config.pretrain)
    (encoder,) = backbones(detector)
    half = tasks[0].patch // 2 + int(encoder.radius)  # type: ignore[arg-type, operator]
    source = scene_patches(detector, low_rank_scene(rows=20, cols=20), radius=half)
    told = tasks[0](*both_dates(source, torch.arange(6)), generator=torch.Generator())
    told.loss.backward()
    assert torch.isfinite(told.loss)
    for name, parameter in tasks[0].get_submodule("backbone").named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def test_each_member_learns_from_its_own_start(tmp_path: Path) -> None:
    """Encoders differ from one another, and from what they started as."""
    run_pretraining(low_rank_scene(), configuration(), tmp_path / "run")
    first, second = torch.load(tmp_path / "run" / "encoder.pt", weights_only=True)["encoders"]
    torch.manual_seed(0)
    fresh = [encoder.state_dict() for encoder in backbones(fit_siamese(low_rank_scene(), configuration()))]
    for name, value in first.items():
        if value.ndim > 1:
            assert not torch.allclose(value, second[name])
            assert not torch.allclose(value, fresh[0][name])


def test_the_same_seed_gives_the_same_encoders(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_pretraining(low_rank_scene(), configuration(seed=seed), tmp_path / name)
    a, b, c = (tensors(torch.load(tmp_path / name / "encoder.pt", weights_only=True)) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


@pytest.fixture(scope="module")
def words(dates: list[str]) -> list[object]:
    """The command, up to the run folder."""
    changes = QUICK | {"pretrain.epochs": 60, "pretrain.task": "vae"}
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    return ["pretrain", *dates, "--device", "cpu", *settings, "--run"]


@pytest.fixture(scope="module")
def uninterrupted(cli: Any, words: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    with threadpool_limits(1):
        assert cli(*words, folder) == 0
    return folder


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
@pytest.mark.slow
def test_stopped_in_the_middle_it_ends_in_the_same_encoders(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = cli.fork(*words, folder)
    wait_for(process, saved_times(folder / "last.pt", 4))
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert (process.returncode, out) == (130, "")
        assert err.startswith("hsi-cd: error: interrupted") and err.count("\n") == 1
    assert not (folder / "encoder.pt").exists() and not (folder / "pretrain.json").exists()
    with threadpool_limits(1):
        assert cli(*words, folder, "--resume") == 0
    for name in ("encoder.pt", "last.pt"):
        ours, theirs = (tensors(torch.load(run / name, weights_only=True)) for run in (folder, uninterrupted))
        assert ours.keys() == theirs.keys() and len(ours) > 10
        assert [path for path in ours if not torch.equal(ours[path], theirs[path])] == []
    assert (folder / "curves.csv").read_text() == (uninterrupted / "curves.csv").read_text()
    ours, theirs = (json.loads((run / "pretrain.json").read_text()) for run in (folder, uninterrupted))
    assert ours["held_out"] == theirs["held_out"]


@pytest.mark.slow
def test_asked_to_leave_it_saves_at_the_next_step(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an epoch, at its end, and in the first: nothing is lost, nothing is done twice."""
    folder, more, taken = tmp_path / "run", [], []
    for steps, signum in ((1, signal.SIGTERM), (5, signal.SIGUSR1), (2, signal.SIGTERM)):  # epochs of 2 steps
        with asked_at_step(steps, signum), threadpool_limits(1):
            assert cli(*words, folder, *more) == EXIT_REQUEUE
        err = capsys.readouterr().err
        assert err.startswith(f"hsi-cd: error: asked to leave by {signum.name}: saved in epoch ")
        saved = torch.load(folder / "last.pt", weights_only=True)
        taken.append(2 * saved["epoch"] + len(saved["under_way"]["losses"]))
        more = ["--resume"]
    assert taken == [1, 6, 8]
    with threadpool_limits(1):
        assert cli(*words, folder, "--resume") == 0
    ours, theirs = (tensors(torch.load(run / "encoder.pt", weights_only=True)) for run in (folder, uninterrupted))
    assert [path for path in theirs if not torch.equal(ours[path], theirs[path])] == []
    assert (folder / "curves.csv").read_text() == (uninterrupted / "curves.csv").read_text()


@pytest.mark.slow
def test_a_finished_run_may_be_resumed(cli: Any, words: list[object], uninterrupted: Path) -> None:
    before = tensors(torch.load(uninterrupted / "encoder.pt", weights_only=True))
    with threadpool_limits(1):
        assert cli(*words, uninterrupted, "--resume") == 0
    after = tensors(torch.load(uninterrupted / "encoder.pt", weights_only=True))
    assert all(torch.equal(before[name], after[name]) for name in before)
