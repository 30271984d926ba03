"""Every input a user can get wrong: one line that helps, exit code 2, and nothing half-written."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io
import torch
from affine import Affine

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.raster import quiet_georeference

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class World:
    """Good input, a folder for bad input, and commands of which one word is wrong."""

    folder: Path
    t1: Path
    t2: Path
    truth: Path
    run: Path

    def train(self, *more: object, t1: object = "", t2: object = "", truth: object = "") -> list[object]:
        words = ["train", "--t1", t1 or self.t1, "--t2", t2 or self.t2, "--truth", truth or self.truth]
        # Should a refusal fail to come, the test must not train for minutes.
        quick = ["--set", "train.epochs=1", "--set", "train.min_steps=1", "--set", "model.members=1"]
        return [*words, "--set", "split.fraction=0.05", *quick, *more]

    def predict(
        self, *more: object, t1: object = "", t2: object = "", checkpoint: object = "", output: object = ""
    ) -> list[object]:
        words = ["predict", "--checkpoint", checkpoint or self.run / "best.pt"]
        words += ["--t1", t1 or self.t1, "--t2", t2 or self.t2, "--output", output or self.folder / "map.tif"]
        return [*words, *more]

    def evaluate(self, *more: object, change: object = "", truth: object = "") -> list[object]:
        return ["evaluate", change or self.run / "change.tif", "--truth", truth or self.truth, *more]

    def raster(
        self, source: Path, change: Callable[[np.ndarray], np.ndarray] | None = None, **profile: Any
    ) -> Path:
        """A copy of a raster with other values or another profile."""
        with rasterio.open(source) as file:
            values, profile = file.read(), file.profile | profile
            tags = [file.tags(band) for band in file.indexes]
        if change is not None:
            values = change(values)
        count, height, width = values.shape
        profile |= {"count": count, "height": height, "width": width, "dtype": values.dtype.name}
        target = self.folder / f"bad-{source.name}"
        with quiet_georeference(), rasterio.open(target, "w", **profile) as file:
            file.write(values)
            for band, own in zip(file.indexes, tags, strict=False):
                file.update_tags(band, **own)
        return target

    def text(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def cut(self, source: Path, share: float = 0.5) -> Path:
        """The beginning of a file."""
        return self.text(f"cut{source.suffix}", source.read_bytes()[: int(source.stat().st_size * share)])

    def damaged(self, source: Path) -> Path:
        """A file of the right length with other bytes in its first half."""
        data = bytearray(source.read_bytes())
        data[80 : len(data) // 2] = bytes(len(data) // 2 - 80)
        return self.text(f"damaged{source.suffix}", bytes(data))

    def waves(self, source: Path, by: float) -> Path:
        """A copy of a cube whose wavelengths are moved."""
        target = self.raster(source)
        with rasterio.open(target, "r+") as file:
            for band in file.indexes:
                file.update_tags(band, wavelength=str(float(file.tags(band)["wavelength"]) + by))
        return target

    def mat(self, name: str, **arrays: np.ndarray) -> Path:
        scipy.io.savemat(self.folder / name, arrays)
        return self.folder / name

    def npz(self, **arrays: object) -> Path:
        np.savez(self.folder / "bad.npz", **arrays)
        return self.folder / "bad.npz"

    def broken_run(self) -> Path:
        """A copy of the run whose last checkpoint is truncated."""
        shutil.copytree(self.run, self.folder / "broken")
        last = self.folder / "broken" / "last.pt"
        last.write_bytes(last.read_bytes()[:5000])
        return last.parent


@pytest.fixture
def world(tmp_path: Path, simulated: PairFiles, trained: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("HSI_CD_DATA", raising=False)
    return World(tmp_path / "here", simulated.t1, simulated.t2, simulated.truth, trained)


def constant(values: np.ndarray) -> np.ndarray:
    values[4] = 777
    return values


def without_data(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float32)
    values[6] = np.nan
    return values


def with_a_three(values: np.ndarray) -> np.ndarray:
    values[0, 5, :4] = 3
    return values


def cropped(values: np.ndarray) -> np.ndarray:
    return values[:, :30]


Case = tuple[Callable[[World], list[object]], str]

SCENES: dict[str, Case] = {
    "missing t1": (lambda w: w.train(t1=w.folder / "no.tif"), r"no\.tif does not exist"),
    "nearly the name": (lambda w: w.train(t1=w.t1.with_name("t11.tif")), r"did you mean t1\.tif"),
    "missing truth": (lambda w: w.train(truth=w.folder / "no.tif"), r"no\.tif does not exist"),
    "a folder for a file": (lambda w: w.train(t1=w.folder), "is a folder, not a file"),
    "empty t1": (lambda w: w.train(t1=w.text("t1.tif", "")), "is empty"),
    "text for t1": (lambda w: w.train(t1=w.text("t1.tif", "hello\n" * 99)), "t1.tif"),
    "truncated t1": (lambda w: w.train(t1=w.cut(w.t1)), "truncated"),
    "truncated truth": (lambda w: w.train(truth=w.cut(w.truth)), "truncated"),
    "truncated mat": (
        lambda w: w.train(t1=w.cut(w.mat("a.mat", a=np.ones((48, 40, 24))))),
        "truncated MATLAB file",
    ),
    "wrong key": (
        lambda w: w.train("--t1-key", "b", t1=w.mat("a.mat", a=np.ones((48, 40, 24)))),
        r"'?b'?.*a \(48 x 40 x 24 double\)",
    ),
    "a key for a raster": (lambda w: w.train("--t1-key", "b"), "holds one image: a key"),
    "other shape": (lambda w: w.train(t2=w.raster(w.t2, cropped)), "48 x 40 pixels but .* 30 x 40"),
    "other CRS": (lambda w: w.train(t2=w.raster(w.t2, crs="EPSG:32650")), "EPSG:32651 but .* EPSG:32650"),
    "other transform": (
        lambda w: w.train(t2=w.raster(w.t2, transform=Affine(30, 0, 255_045, 0, -30, 3_695_000))),
        "differ by up to 1.5 pixels",
    ),
    "other bands": (lambda w: w.train(t2=w.raster(w.t2, lambda v: v[:20])), "24 bands but .* 20"),
    "other wavelengths": (lambda w: w.train(t2=w.waves(w.t2, 40)), "of 24 bands of t1 .* are not in t2 .*nm"),
    "truth of another shape": (
        lambda w: w.train(truth=w.raster(w.truth, cropped)),
        "truth .* 30 x 40 pixels but the scene has 48 x 40",
    ),
    "unexpected label": (lambda w: w.train(truth=w.raster(w.truth, with_a_three)), r"3 \(4 pixels\)"),
    "no changed pixel": (
        lambda w: w.train(truth=w.raster(w.truth, np.zeros_like)),
        "both changed and unchanged pixels must be there",
    ),
    "no unchanged pixel": (
        lambda w: w.train(truth=w.raster(w.truth, np.ones_like)),
        "both changed and unchanged pixels must be there",
    ),
    "too few of a class": (
        lambda w: w.train("--set", "split.fraction=0.001"),
        "changed pixels, 0.10% of which is no training pixel.*split.fraction",
    ),
    "a constant band": (lambda w: w.train(t2=w.raster(w.t2, constant)), r"band 5 of t2 .* is 777 everywhere"),
    "a band without data": (
        lambda w: w.train(t2=w.raster(w.t2, without_data, nodata=None)),
        "band 7 of t2 .* no data",
    ),
    "no pixel in both dates": (
        lambda w: w.train(t1=w.raster(w.t1, np.zeros_like)),
        "no band of .* varies .band 1 of t1 .* has no data",
    ),
    "masks of another shape": (
        lambda w: w.train("--truth", w.raster(w.truth, cropped)),
        "masks of one scene",
    ),
    "masks that overlap": (lambda w: w.train("--truth", w.truth), "pixels are both in"),
}

DATASETS: dict[str, Case] = {
    "missing folder": (
        lambda w: ["train", "--dataset", "river", "--data-root", w.folder],
        "river_before.mat.*river_after.mat.*published: crabwq.github.io",
    ),
    "missing root": (lambda w: ["train", "--dataset", "farmland"], "Farm1.mat"),
    "missing folder, predict": (
        lambda w: ["predict", "--checkpoint", w.run / "best.pt", "--dataset", "river", "--output", "o.tif"],
        "river_before.mat",
    ),
    "unknown": (lambda w: ["train", "--dataset", "rivr"], "did you mean 'river'"),
    "unknown, predict": (
        lambda w: ["predict", "--checkpoint", "x", "--dataset", "taizho", "--output", "o.tif"],
        "did you mean 'taizhou'",
    ),
    "unknown, evaluate": (
        lambda w: ["evaluate", w.run / "change.tif", "--dataset", "farmlnd"],
        "did you mean 'farmland'",
    ),
    "unknown in a config": (
        lambda w: ["train", "--config", w.text("c.yaml", "dataset: rivr")],
        "did you mean 'river'",
    ),
    "unknown, datasets": (lambda w: ["datasets", "rivr"], "did you mean 'river'"),
}

CHECKPOINTS: dict[str, Case] = {
    "missing": (lambda w: w.predict(checkpoint=w.folder / "best.pt"), "best.pt is not a file"),
    "a folder": (lambda w: w.predict(checkpoint=w.run), "is not a file: give the best.pt"),
    "truncated": (lambda w: w.predict(checkpoint=w.cut(w.run / "best.pt")), "truncated"),
    "nearly whole": (lambda w: w.predict(checkpoint=w.cut(w.run / "best.pt", 0.999)), "truncated"),
    "empty": (lambda w: w.predict(checkpoint=w.text("best.pt", "")), "cannot be read"),
    "text": (lambda w: w.predict(checkpoint=w.text("best.pt", "weights\n" * 50)), "cannot be read"),
    "a raster": (lambda w: w.predict(checkpoint=w.truth), "cannot be read"),
    "of something else": (lambda w: w.predict(checkpoint=w.folder / "other.pt"), "not written by hsi-cd train"),
    "other bands": (
        lambda w: w.predict(t1=w.raster(w.t1, lambda v: v[:20]), t2=w.raster(w.t2, lambda v: v[:20])),
        "checkpoint has 24 bands but .* 20",
    ),
    "other wavelengths": (
        lambda w: w.predict(t1=w.waves(w.t1, 40), t2=w.waves(w.t2, 40)),
        "of 24 bands of the checkpoint are not in the scene .*: .* nm.*within 5 nm",
    ),
}

OUTPUTS: dict[str, Case] = {
    "map exists": (lambda w: w.predict(output=w.text("map.tif", "mine")), "map.tif exists: pass --overwrite"),
    "score exists": (lambda w: w.predict("--score", w.text("score.tif", "mine")), "score.tif exists"),
    "json exists": (lambda w: w.evaluate("--json", w.text("s.json", "mine")), "s.json exists"),
    "no such folder": (lambda w: w.predict(output=w.folder / "no" / "map.tif"), "no does not exist; make it"),
    "score without folder": (lambda w: w.predict("--score", w.folder / "no" / "s.tif"), "does not exist; make it"),
    "json without folder": (lambda w: w.evaluate("--json", w.folder / "no" / "s.json"), "does not exist; make it"),
    "a folder": (lambda w: w.predict(output=w.folder), "is a folder: name a file in it"),
    "a folder, overwritten": (lambda w: w.predict("--overwrite", output=w.folder), "is a folder"),
    "in a file": (lambda w: w.predict(output=w.text("a", "") / "map.tif"), "is a file, not a folder"),
    "map and score in one": (lambda w: w.predict("--score", w.folder / "map.tif"), "--output and --score"),
    "run folder in a file": (
        lambda w: w.train("--run", w.text("a", "") / "run"),
        "cannot be made .not a folder",
    ),
    "run folder is a file": (lambda w: w.train("--run", w.text("a", "")), "run folder .* exists"),
    "run folder in use": (lambda w: w.train("--run", w.text("a", "").parent), "exists and is not empty"),
    "scene exists": (lambda w: ["simulate", w.t1.parent], "t1.tif exists: pass --overwrite"),
}

OPTIONS: dict[str, Case] = {
    "unknown option": (lambda w: w.train("--sed", 3), "--sed.*--seed"),
    "unknown command": (lambda w: ["trian"], "no command 'trian': did you mean 'train'"),
    "unknown option of the group": (lambda w: ["--verion"], "--verion.*--version"),
    "unknown key": (lambda w: w.train("--set", "train.epoch=3"), "train.epoch: did you mean train.epochs"),
    "key of another section": (lambda w: w.train("--set", "epochs=3"), "did you mean train.epochs"),
    "wrong value": (lambda w: w.train("--set", "train.epochs=many"), "train.epochs is 'many'"),
    "value out of range": (lambda w: w.train("--set", "split.fraction=2"), "split.fraction is 2.*less than 1"),
    "value not allowed": (
        lambda w: w.train("--set", "train.schedule=stairs"),
        "train.schedule is 'stairs'.*'one_cycle'",
    ),
    "even window": (lambda w: w.train("--set", "model.attention.window=4"), "window is 4: it must be odd"),
    "set without =": (lambda w: w.train("--set", "train.epochs"), "expected key=value"),
    "set of bad YAML": (lambda w: w.train("--set", "train.epochs=[1"), "is not a YAML value"),
    "negative seed": (lambda w: w.train("--seed", -1), "seed is -1"),
    "seed in words": (lambda w: w.train("--seed", "one"), "'one' is not a valid integer"),
    "wrong device": (lambda w: w.train("--device", "tpu"), "'tpu' is not one of"),
    "dataset and files": (lambda w: w.train("--dataset", "river"), "name two scenes"),
    "dataset and truth": (
        lambda w: ["evaluate", w.run / "change.tif", "--dataset", "river", "--truth", w.truth],
        "brings its own truth",
    ),
    "t1 alone": (lambda w: ["train", "--t1", w.t1, "--truth", w.truth], "--t2 is missing"),
    "t2 alone": (lambda w: ["predict", "--checkpoint", "x", "--t2", w.t2, "--output", "y"], "--t1 is missing"),
    "no scene": (lambda w: ["train"], "no scene is named"),
    "no truth": (lambda w: ["train", "--t1", w.t1, "--t2", w.t2], "no truth map is named"),
    "three truths": (lambda w: w.train("--truth", w.truth, "--truth", w.truth), "--truth is given 3 times"),
    "no checkpoint": (lambda w: ["predict", "--t1", w.t1, "--t2", w.t2, "--output", "y"], "--checkpoint"),
    "threshold above 1": (lambda w: w.predict("--threshold", 1.5), "1.5"),
    "threshold not a number": (lambda w: w.predict("--threshold", "nan"), "threshold"),
    "resume without run": (lambda w: w.train("--resume"), "--resume needs --run"),
    "resume of nothing": (lambda w: w.train("--resume", "--run", w.folder / "run"), "holds no run"),
    "missing config": (lambda w: w.train("--config", w.folder / "c.yaml"), "c.yaml is not a file"),
    "config of bad YAML": (
        lambda w: w.train("--config", w.text("c.yaml", "a: [1\nb: 2")),
        "c.yaml is not valid YAML at line",
    ),
    "config is a list": (lambda w: w.train("--config", w.text("c.yaml", "- 1")), "c.yaml holds a list"),
    "config of bytes": (lambda w: w.train("--config", w.text("c.yaml", b"\xff\xfe\x00")), "c.yaml"),
    "config with a wrong key": (
        lambda w: w.train("--config", w.text("c.yaml", "trian: {}")),
        "c.yaml: .*did you mean train",
    ),
    "config with a number for a key": (lambda w: w.train("--config", w.text("c.yaml", "1: 2")), "c.yaml: "),
    "simulate out of range": (lambda w: ["simulate", w.folder / "s", "--rows", 2], "rows"),
}

JUDGING: dict[str, Case] = {
    "missing map": (lambda w: w.evaluate(change=w.folder / "no.tif"), "does not exist"),
    "map of another shape": (
        lambda w: w.evaluate(change=w.raster(w.run / "change.tif", cropped)),
        "map has 30 x 40 pixels but the truth .* has 48 x 40",
    ),
    "no change map": (lambda w: w.evaluate(change=w.run / "score.tif"), "is no change map"),
    "a cube for a map": (lambda w: w.evaluate(change=w.t1), "has 24 bands that differ"),
    "a picture for a map": (lambda w: w.evaluate(change=w.run / "figure.png"), "figure.png"),
    "text for a map": (lambda w: w.evaluate(change=w.text("map.tif", "hello" * 50)), "map.tif"),
    "missing split": (lambda w: w.evaluate("--exclude", w.folder / "no.npz"), "does not exist"),
    "text for a split": (lambda w: w.evaluate("--exclude", w.text("a.npz", "hello")), "is not a split"),
    "a checkpoint for a split": (lambda w: w.evaluate("--exclude", w.run / "best.pt"), "is not a split"),
    "truncated split": (lambda w: w.evaluate("--exclude", w.cut(w.run / "split.npz")), "is not a split"),
    "damaged split": (lambda w: w.evaluate("--exclude", w.damaged(w.run / "split.npz")), "is not a split"),
    "other arrays for a split": (lambda w: w.evaluate("--exclude", w.npz(a=[1])), "is not a split"),
    "split outside the scene": (
        lambda w: w.evaluate("--exclude", w.npz(train=[1, 5000], shape=[48, 40], protocol="P1", seed=0)),
        "do not fit a scene of 48 x 40",
    ),
    "split of another scene": (
        lambda w: w.evaluate("--exclude", w.npz(train=[1, 2], shape=[40, 48], protocol="P1", seed=0)),
        "is of a scene of 40 x 48",
    ),
    "like of another shape": (
        lambda w: w.predict("--like", w.raster(w.truth, cropped)),
        "30 x 40 pixels but the scene has 48 x 40",
    ),
    "like without georeference": (
        lambda w: w.predict("--like", w.raster(w.truth, crs=None, transform=Affine.identity())),
        "has no georeference to take",
    ),
    "missing like": (lambda w: w.predict("--like", w.folder / "no.tif"), "does not exist"),
}

CASES = {
    f"{kind}: {name}": case
    for kind, cases in {
        "scene": SCENES,
        "dataset": DATASETS,
        "checkpoint": CHECKPOINTS,
        "output": OUTPUTS,
        "option": OPTIONS,
        "judging": JUDGING,
    }.items()
    for name, case in cases.items()
}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    found = {str(path): path.stat() for path in folder.rglob("*")}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in found.items()}


def refused(cli: Any, words: list[object], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The line of a run that must end at once, and leave the folder as it was."""
    before = listing(folder)
    capsys.readouterr()
    code = cli(*words)
    out, err = capsys.readouterr()
    assert err.startswith("hsi-cd: error: "), err
    assert err.count("\n") == 1 and "Traceback" not in err, err
    assert (code, out) == (2, ""), err
    assert listing(folder) == before
    return err


@pytest.mark.parametrize(("words", "message"), CASES.values(), ids=CASES)
def test_one_line_and_nothing_written(
    cli: Any,
    world: World,
    words: Callable[[World], list[object]],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({"weights": torch.zeros(3)}, world.folder / "other.pt")
    line = refused(cli, words(world), world.folder, capsys)
    assert re.search(message, line), line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_gpu_that_is_not_there(cli: Any, world: World, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = getattr(world, command)("--device", "cuda")
    assert "torch finds no CUDA GPU here" in refused(cli, words, world.folder, capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_that_may_not_be_written(cli: Any, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    locked = world.folder / "locked"
    locked.mkdir(mode=0o500)
    for words in (
        world.predict(output=locked / "map.tif"),
        world.evaluate("--json", locked / "scores.json"),
        world.train("--run", locked / "run"),
    ):
        assert "no right to write in" in refused(cli, words, world.folder, capsys)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_folder_where_even_root_may_not_write(
    cli: Any, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        world.predict(output="/proc/map.tif"),
        world.evaluate("--json", "/proc/scores.json"),
        world.train("--run", "/proc/run"),
        ["simulate", "/proc/scene", "--rows", 20, "--cols", 20, "--bands", 6],
    ):
        refused(cli, words, world.folder, capsys)


def test_a_run_that_is_not_to_be_resumed(cli: Any, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --resume, with other options, and with a checkpoint that is cut off."""
    run = world.broken_run()
    same = ["--seed", 3, "--device", "cpu", *cli.settings(), "--run", run]
    assert "go on with it by --resume" in refused(cli, world.train(*same), world.folder, capsys)
    scene = ["train", "--t1", world.t1, "--t2", world.t2, "--truth", world.truth]
    other = [*scene, *same, "--set", "train.lr=0.01", "--resume"]
    assert "lr: 0.003 then, lr: 0.01 now" in refused(cli, other, world.folder, capsys)
    other = shutil.copy(world.t2, world.folder / "other.tif")
    with rasterio.open(other, "r+") as file:
        file.write(file.read(1) * 2, 1)
    words = ["train", "--t1", world.t1, "--t2", other, "--truth", world.truth, *same, "--resume"]
    said = refused(cli, words, world.folder, capsys)
    assert f"was started from other files ({other} has another content than {world.t2})" in said
    said = refused(cli, [*scene, *same, "--resume", "--saturated", 1], world.folder, capsys)
    assert "was started from other pixels" in said
    said = refused(cli, [*scene, *same, "--resume", "--changed", 0, "--unchanged", 1], world.folder, capsys)
    assert "was started from another truth" in said
    assert "truncated" in refused(cli, [*scene, *same, "--resume"], world.folder, capsys)
