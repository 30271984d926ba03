from __future__ import annotations

import io
import json
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import sklearn.metrics
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from hsi_cd import __version__
from hsi_cd.config import read_config_file, resolve, to_yaml
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.io.split_files import read_split


def read_band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def read_events(folder: Path) -> Iterator[Event]:
    """The events of a run: records of length, checksum, content, checksum."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4


def test_a_run_leaves_these_files_and_no_others(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events == {
        "best.pt",
        "change.tif",
        "change.tif.aux.xml",
        "change.qml",
        "config.yaml",
        "curves.csv",
        "figure.png",
        "last.pt",
        "provenance.json",
        "overview.npz",
        "result.json",
        "score.tif",
        "score.qml",
        "split.npz",
        "train.log",
    }


def test_the_result_says_what_was_done(trained: Path, simulated: PairFiles) -> None:
    result = json.loads((trained / "result.json").read_text())
    facts = {name: result[name] for name in ("dataset", "method", "protocol", "scope", "seed")}
    assert facts == {"dataset": "scene", "method": "siamese", "protocol": "P1", "scope": "held-out", "seed": 3}
    for name in ("config", "checkpoint", "split"):
        assert (trained / result[name]).is_file()
    assert result["parameters"] > 1000 and result["train_seconds"] > 0 and result["map_seconds"] > 0
    assert result["versions"]["hsi-cd"] == __version__ and "CPU" in result["hardware"]
    truth = read_band(simulated.truth)
    for code, word in enumerate(("unchanged", "changed")):
        assert result["train"][word] == int(0.05 * (truth == code).sum())
        assert result["train"][word] + result["test"][word] == (truth == code).sum()


def test_the_scores_are_scikit_learns_on_the_pixels_that_did_not_teach(
    trained: Path, simulated: PairFiles
) -> None:
    result = json.loads((trained / "result.json").read_text())
    split = read_split(trained / "split.npz")
    held_out = np.ones(split.shape, dtype=bool)
    held_out.ravel()[split.train] = False
    truth = read_band(simulated.truth)[held_out]
    change, score = read_band(trained / "change.tif")[held_out], read_band(trained / "score.tif")[held_out]
    recalls = sklearn.metrics.recall_score(truth, change, average=None)
    expected = {
        "oa": sklearn.metrics.accuracy_score(truth, change),
        "aa": sklearn.metrics.balanced_accuracy_score(truth, change),
        "kappa": sklearn.metrics.cohen_kappa_score(truth, change),
        "f1": sklearn.metrics.f1_score(truth, change),
        "precision": sklearn.metrics.precision_score(truth, change),
        "recall": recalls[1],
        "iou": sklearn.metrics.jaccard_score(truth, change),
        "accuracy_unchanged": recalls[0],
        "accuracy_changed": recalls[1],
        "auc": sklearn.metrics.roc_auc_score(truth, score),
        "average_precision": sklearn.metrics.average_precision_score(truth, score),
    }
    found = dict(result["scores"])
    assert 0 <= found.pop("ece") <= 1
    assert found == pytest.approx(expected, abs=1e-9)
    tn, fp, fn, tp = sklearn.metrics.confusion_matrix(truth, change).ravel().tolist()
    assert result["counts"] == {"tn": tn, "fp": fp, "fn": fn, "tp": tp, "unscored": 0}


def test_the_map_is_the_thresholded_score(trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text())
    score = read_band(trained / "score.tif")
    assert score.dtype == np.float32 and 0 <= score.min() < score.max() <= 1
    np.testing.assert_array_equal(read_band(trained / "change.tif"), score >= result["threshold"])


def test_the_split_is_protocol_p1s_draw(trained: Path, simulated: PairFiles) -> None:
    split = read_split(trained / "split.npz")
    truth = read_band(simulated.truth).ravel()
    draw = np.random.RandomState(3)
    expected = []
    for code in (0, 1):
        pixels = np.flatnonzero(truth == code)
        expected.append(draw.choice(pixels, int(0.05 * len(pixels)), replace=False))
    np.testing.assert_array_equal(split.train, np.concatenate(expected))
    assert (split.protocol, split.seed, split.shape) == ("P1", 3, (48, 40))


def test_the_saved_configuration_is_complete_and_resolves_to_itself(trained: Path) -> None:
    text = (trained / "config.yaml").read_text()
    config = resolve([("saved", read_config_file(trained / "config.yaml"))])
    assert to_yaml(config) == text
    assert (config.seed, config.device, config.dataset) == (3, "cpu", None)
    assert (config.split.fraction, config.model.members, config.train.epochs) == (0.05, 2, 6)
    assert config.train.lr == resolve([]).train.lr


def test_the_curves_the_maps_and_the_histograms(trained: Path) -> None:
    steps: dict[str, list[int]] = {}
    kinds = {}
    for event in read_events(trained):
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
            kinds[value.tag] = value.WhichOneof("value")
    scalars = {tag for tag, kind in kinds.items() if kind == "simple_value"}
    assert scalars == {"loss/train", "loss/val", "kappa/val", "lr", "best/kappa", "best/loss"}
    assert steps["loss/train"] == steps["lr"] == [1, 2, 3, 4, 5, 6]
    assert steps["loss/val"] == steps["kappa/val"] == [2, 4, 6]
    images = {tag for tag, kind in kinds.items() if kind == "image"}
    assert images == {"map/probability", "map/change", "map/errors"}
    assert kinds["map/scores"] == "histo" and steps["map/scores"] == [3, 6]
    weights = {tag for tag, kind in kinds.items() if kind == "histo" and tag.startswith("weights/")}
    names = load_checkpoint(trained / "best.pt")["detector"]["network"]
    assert weights <= {f"weights/{name.replace('.', '/')}" for name in names}
    assert {f"weights/members/{m}/head/out/weight" for m in (0, 1)} <= weights


def test_the_picture_of_errors_knows_only_the_labels_that_teach(trained: Path, simulated: PairFiles) -> None:
    pictures = [
        value.image.encoded_image_string
        for event in read_events(trained)
        for value in event.summary.value
        if value.tag == "map/errors"
    ]
    with Image.open(io.BytesIO(pictures[-1])) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    known = np.flatnonzero((colours != (128, 128, 128)).any(axis=1))
    split = read_split(trained / "split.npz")
    np.testing.assert_array_equal(known, np.sort(split.train))
    truth = read_band(simulated.truth).ravel()[known]
    # White and black where right; orange and blue are the errors, each in one class alone.
    assert {tuple(map(int, c)) for c in colours[known][truth == 1]} <= {(255, 255, 255), (0, 114, 178)}
    assert {tuple(map(int, c)) for c in colours[known][truth == 0]} <= {(0, 0, 0), (230, 159, 0)}


def test_the_settings_and_what_they_came_to(trained: Path) -> None:
    found: dict[str, object] = {}
    for event in read_events(trained):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                info = HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info
                found = {name: getattr(v, v.WhichOneof("kind")) for name, v in info.hparams.items()}
    saved = read_config_file(trained / "config.yaml")
    assert found["train.lr"] == saved["train"]["lr"] and found["train.loss"] == "bce"
    assert found["model.members"] == 2 and found["train.augment.flips"] is True


def test_the_log_is_the_curves_in_columns(trained: Path) -> None:
    head, *lines = (trained / "train.log").read_text().splitlines()
    assert len({len(line) for line in [head, *lines]}) == 1
    assert head.split() == ["date", "time", "epoch", "loss/train", "loss/val", "kappa/val", "lr"]
    rows = [line.split(",") for line in (trained / "curves.csv").read_text().splitlines()[1:]]
    assert [line.split()[2:] for line in lines] == [[value or "-" for value in row] for row in rows]
    for line in lines:
        time.strptime(" ".join(line.split()[:2]), "%Y-%m-%d %H:%M:%S")


def test_the_curves_as_plain_text(trained: Path) -> None:
    head, *rows = (line.split(",") for line in (trained / "curves.csv").read_text().splitlines())
    assert head == ["epoch", "loss/train", "loss/val", "kappa/val", "lr"]
    assert [row[0] for row in rows] == list("123456")
    assert [row[0] for row in rows if row[3]] == list("246")
    assert all(float(row[1]) > 0 and float(row[4]) > 0 for row in rows)


def test_the_figure_is_a_picture(trained: Path) -> None:
    with Image.open(trained / "figure.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 300


def test_a_run_without_a_folder_makes_one_and_says_where(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("train", *dates, "--truth", simulated.truth, *cli.settings()) == 0
    (folder,) = Path("runs").iterdir()
    out, err = capsys.readouterr()
    assert folder.name.startswith("scene-siamese-seed0-")
    assert f"{folder} holds change.tif" in out and f"--checkpoint {folder}/best.pt" in out
    assert "Kappa" in out and err == ""


def test_options_win_over_set_and_set_over_the_file(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("seed: 5\ntrain: {lr: 1e-3, weight_decay: 0.5}\n")
    words = ["--config", tmp_path / "mine.yaml", "--set", "seed=6", "--set", "train.lr=2e-3", "--seed", 7]
    run = tmp_path / "run"
    settings = cli.settings(train__epochs=1, train__map_every=0)
    assert cli("train", *dates, "--truth", simulated.truth, "--run", run, *words, *settings) == 0
    saved = read_config_file(run / "config.yaml")
    assert (saved["seed"], saved["train"]["lr"], saved["train"]["weight_decay"]) == (7, 2e-3, 0.5)


@pytest.mark.slow
def test_blocks_are_combined_from_the_command_line(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    blocks = {
        "train__loss": "focal",
        "model__attention__kind": "bam",
        "train__schedule": "cosine",
        "train__linear_warmup": 0.2,
        "train__sampler": "hard",
        "train__precision": "bfloat16",
        "train__ema": 0.9,
        "train__accumulate": 2,
        "train__clip_norm": 1,
        "train__augment__band_dropout": 0.1,
        "train__graph": "true",
    }
    run = tmp_path / "run"
    assert cli("train", *dates, "--truth", simulated.truth, "--run", run, *cli.settings(**blocks)) == 0
    saved = read_config_file(run / "config.yaml")
    assert (saved["train"]["loss"], saved["model"]["attention"]["kind"]) == ("focal", "bam")
    lines = (run / "train.log").read_text().splitlines()
    assert json.loads((run / "result.json").read_text())["details"]["epochs"] == len(lines) - 1
    assert any(event.graph_def for event in read_events(run))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.loss=focall", "did you mean focal?"),
        ("train.loss=contrastive", "set train.augment.mixup=0"),
        ("train.balanced=true", "unknown key train.balanced"),
        ("train.precision=half", "input should be 'float32', 'bfloat16' or 'float16'"),
        ("train.ema=1", "less than 1"),
        ("benchmark=true", "set deterministic to false"),
    ],
)
def test_a_block_that_is_not_there_or_does_not_fit_is_one_line(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    message: str,
) -> None:
    words = ["train", *dates, "--truth", simulated.truth, "--run", tmp_path / "run", "--set", setting]
    assert cli(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("hsi-cd: error: ") and err.count("\n") == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_run_folder_may_be_there_already(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    settings = cli.settings(train__epochs=1, train__map_every=0, train__folds=0)
    assert cli("train", *dates, "--truth", simulated.truth, "--run", tmp_path, *settings) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    # Nothing was held out, so nothing was validated: the last epoch is taken as it is.
    assert result["details"]["validation_kappa"] is None and result["threshold"] == 0.5


@pytest.mark.slow
def test_a_training_whose_output_is_piped_tells_how_far_it_is(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capfd: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("hsi_cd.progress.INTERVAL", 0.0)
    named = [*dates, "--truth", simulated.truth, *cli.settings()]
    assert cli("train", *named, "--run", tmp_path / "told") == 0
    told = capfd.readouterr().err
    line = r"^progress: training: 1 of \d+ epochs \(\d+ %\) after .* left; loss/train=\d"
    assert re.search(line, told, re.MULTILINE) and "lr=" not in told
    assert cli("-q", "train", *named, "--run", tmp_path / "quiet") == 0
    assert "progress" not in capfd.readouterr().err
    assert cli("pretrain", *dates, "--run", tmp_path / "pre", "--set", "pretrain.epochs=2") == 0
    assert "progress: pre-training: 1 of 2 epochs" in capfd.readouterr().err
