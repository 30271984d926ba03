"""hsi-cd train with the methods beside the network, under every protocol."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn import metrics

from hsi_cd.datasets.simulated.simulation_files import PairFiles

Capture = pytest.CaptureFixture[str]
Train = Callable[..., Path]

METHODS = ["svm", "forest", "logistic", "cva", "auto"]
FREE = ["cva", "auto"]
SHARE = ["--set", "split.fraction=0.05"]


@pytest.fixture(scope="module")
def train(cli: Any, simulated: PairFiles, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains on the simulated scene; the run folder, which nobody writes into."""

    def trained(method: str, *more: object, truth: Path = simulated.truth) -> Path:
        folder = tmp_path_factory.mktemp(method) / "run"
        words = ["train", *dates, "--truth", truth, "--run", folder, "--method", method, "--seed", 4, *more]
        assert cli(*words) == 0
        return folder

    return trained


class Runs(dict[str, Path]):
    """By method, its run under P1 with 5 % of the labels, made when it is first asked for."""

    def __init__(self, train: Train) -> None:
        super().__init__()
        self._train = train

    def __missing__(self, method: str) -> Path:
        self[method] = self._train(method, *SHARE)
        return self[method]


@pytest.fixture(scope="module")
def runs(train: Train) -> Runs:
    return Runs(train)


@pytest.fixture(scope="module")
def truth(simulated: PairFiles) -> NDArray[np.uint8]:
    return raster(simulated.truth)


def raster(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return file.read(1)


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def classes(values: NDArray[np.uint8]) -> dict[str, int]:
    return {"unchanged": int((values == 0).sum()), "changed": int((values == 1).sum())}


def far_from(pixels: NDArray[np.int64], shape: tuple[int, int], distance: int) -> NDArray[np.bool_]:
    """Pixels farther than a Chebyshev distance from every one of ``pixels``, by all pairs."""
    everywhere = np.argwhere(np.ones(shape, bool))
    nearest = cdist(everywhere, everywhere[pixels], "chebyshev").min(axis=1)
    return (nearest > distance).reshape(shape)


def check_scores(folder: Path, truth: NDArray[np.uint8], judged: NDArray[np.bool_]) -> None:
    """The record against scikit-learn, on the pixels that should judge."""
    result, called = record(folder), raster(folder / "change.tif")[judged]
    actual, score = truth[judged], raster(folder / "score.tif")[judged]
    tn, fp, fn, tp = metrics.confusion_matrix(actual, called).ravel().tolist()
    assert result["counts"] == {"tn": tn, "fp": fp, "fn": fn, "tp": tp, "unscored": 0}
    assert result["test"] == classes(actual)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, called, average="binary")
    expected = {
        "oa": metrics.accuracy_score(actual, called),
        "aa": metrics.balanced_accuracy_score(actual, called),
        "kappa": metrics.cohen_kappa_score(actual, called),
        "iou": metrics.jaccard_score(actual, called),
        "auc": metrics.roc_auc_score(actual, score),
        "average_precision": metrics.average_precision_score(actual, score),
    } | {"f1": f1, "precision": precision, "recall": recall}
    assert {name: result["scores"][name] for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.quick("logistic", "cva")
def test_a_run_under_p1(method: str, runs: Runs, truth: NDArray[np.uint8]) -> None:
    folder = runs[method]
    result, split = record(folder), np.load(folder / "split.npz")
    named = {"method": method, "protocol": "P1", "scope": "held-out", "seed": 4}
    assert {name: result[name] for name in named} == named
    drawn = classes(truth.ravel()[split["train"]])
    assert drawn == {word: count * 5 // 100 for word, count in classes(truth).items()}
    assert result["train"] == (None if method in ("cva", "auto") else drawn)  # what the method looked at
    held_out = np.ones(truth.size, bool)
    held_out[split["train"]] = False
    check_scores(folder, truth, held_out.reshape(truth.shape))
    leak = result["details"]["leak_share"]
    assert leak == 0 if method == "cva" else 0 <= leak <= 1  # cva looks at a pixel alone
    # What is scored without looking at the images at all.
    assert result["baselines"]["majority_oa"] == pytest.approx(
        max(result["test"].values()) / sum(result["test"].values())
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.quick("logistic", "cva")
def test_the_checkpoint_draws_the_same_map(
    cli: Any, method: str, runs: Runs, dates: list[str], tmp_path: Path
) -> None:
    files = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    assert cli("predict", "--checkpoint", runs[method] / "best.pt", *dates, *files) == 0
    for name in ("change.tif", "score.tif"):
        np.testing.assert_array_equal(raster(tmp_path / name), raster(runs[method] / name))


@pytest.mark.parametrize("methods", [["logistic", "cva", "auto"], METHODS], ids=["few", "all"])
@pytest.mark.quick("few")
def test_all_are_judged_on_the_same_pixels(runs: Runs, methods: list[str]) -> None:
    folders = [runs[method] for method in methods]
    splits = [np.load(folder / "split.npz")["train"] for folder in folders]
    for other in splits[1:]:
        np.testing.assert_array_equal(other, splits[0])
    assert len({str(record(folder)["test"]) for folder in folders}) == 1


def test_labels_teach_the_others_and_not_the_label_free(
    train: Train, runs: Runs, truth: NDArray[np.uint8], simulated: PairFiles, tmp_path: Path
) -> None:
    """The same scene with every label turned round: the label-free maps stay, the taught one turns."""
    shutil.copy(simulated.truth, tmp_path / "truth.tif")
    with rasterio.open(tmp_path / "truth.tif", "r+") as file:
        file.write(1 - truth, 1)
    for method in [*FREE, "logistic"]:
        turned = train(method, *SHARE, truth=tmp_path / "truth.tif")
        same = np.array_equal(raster(turned / "score.tif"), raster(runs[method] / "score.tif"))
        assert same == (method in FREE), method
        if method in FREE:
            np.testing.assert_array_equal(raster(turned / "change.tif"), raster(runs[method] / "change.tif"))


@pytest.mark.parametrize("method", ["svm", "cva"])
@pytest.mark.quick("cva")
def test_a_finished_run_is_resumed_to_the_same_end(
    cli: Any, method: str, runs: Runs, dates: list[str], simulated: PairFiles, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(runs[method], tmp_path / "run"))
    (folder / "result.json").unlink()
    words = ["train", *dates, "--truth", simulated.truth, "--run", folder, "--method", method, "--seed", 4]
    for _ in range(2):
        assert cli(*words, *SHARE, "--resume") == 0
        before, after = record(runs[method]), record(folder)
        for times in ("train_seconds", "map_seconds"):
            del before[times], after[times]
        assert after == before
        np.testing.assert_array_equal(raster(folder / "score.tif"), raster(runs[method] / "score.tif"))


def test_a_run_killed_before_its_first_file_was_whole(
    cli: Any, dates: list[str], simulated: PairFiles, tmp_path: Path
) -> None:
    draft = tmp_path / ".config.0123456789ab.0.yaml"
    draft.write_text("datas")
    words = ["train", *dates, "--truth", simulated.truth, "--run", tmp_path, "--method", "cva", *SHARE]
    assert cli(*words) == 0
    assert not draft.exists() and (tmp_path / "result.json").is_file()


# --- The other protocols ---


@pytest.mark.parametrize("method", ["logistic", "cva"])
def test_strict_judges_far_from_every_training_pixel(train: Train, method: str, truth: NDArray[np.uint8]) -> None:
    folder = train(method, "--protocol", "P1-strict", "--set", "split.fraction=0.015")
    result, split = record(folder), np.load(folder / "split.npz")
    judged = far_from(split["train"], truth.shape, 6)
    assert (result["protocol"], result["scope"]) == ("P1-strict", "held-out, beyond the guard")
    drawn = classes(truth.ravel()[split["train"]])
    assert drawn == {word: count * 15 // 1000 for word, count in classes(truth).items()}
    assert result["train"] == (None if method == "cva" else drawn)
    check_scores(folder, truth, judged)
    assert 0 < judged.sum() < truth.size / 2
    leak = result["details"]["leak_share"]  # cva looks at a pixel alone, the other also at those around it
    assert leak == 0 if method == "cva" else 0 <= leak <= 1


def test_p2_teaches_with_a_count_of_each_class(train: Train, truth: NDArray[np.uint8]) -> None:
    folder = train("logistic", "--protocol", "P2", "--set", "split.count=30")
    result, taught = record(folder), np.load(folder / "split.npz")["train"]
    assert result["protocol"] == "P2"
    assert result["train"] == classes(truth.ravel()[taught]) == {"unchanged": 30, "changed": 30}
    judged = np.ones(truth.size, bool)
    judged[taught] = False
    check_scores(folder, truth, judged.reshape(truth.shape))


def test_p3_keeps_blocks_and_a_guard_between(train: Train, truth: NDArray[np.uint8]) -> None:
    more = ["--set", "split.block=12", "--set", "split.radius=2", "--set", "split.fraction=0.05"]
    folder = train("forest", "--protocol", "P3", *more, "--set", "options.context=none")
    result, split = record(folder), np.load(folder / "split.npz")
    taught, guard = np.zeros(truth.shape, bool), split["guard"]
    taught.ravel()[split["train"]] = True
    judged = ~taught & ~guard
    check_scores(folder, truth, judged)
    assert not far_from(split["train"], truth.shape, 2 * 2)[guard].all()
    assert far_from(split["train"], truth.shape, 2 * 2)[judged].all()
    rows, cols = np.indices(truth.shape) // 12
    blocks = rows * 100 + cols
    assert not set(blocks[taught]) & set(blocks[judged])
    for word, count in classes(truth).items():
        assert result["train"][word] >= 0.05 * count


@pytest.mark.parametrize("method", FREE)
def test_p4_judges_on_all_labelled_pixels(train: Train, method: str, truth: NDArray[np.uint8]) -> None:
    folder = train(method, "--protocol", "P4")
    result = record(folder)
    assert (result["protocol"], result["scope"], result["train"]) == ("P4", "all labelled", None)
    check_scores(folder, truth, np.ones(truth.shape, bool))
    assert result["details"]["leak_share"] == 0
    assert result["baselines"]["floor_oa"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--method", "svm", "--protocol", "P4"],
            "protocol P4 gives no training pixel, but svm learns from labels",
        ),
        (["--protocol", "P4"], "protocol P4 gives no training pixel, but siamese learns from labels"),
        (["--method", "svm", "--protocol", "P9"], "'P1', 'P1-strict', 'P2', 'P3', 'P4', 'drawn' or 'file'"),
        (["--method", "svm", "--protocol", "P2"], "500 of which are to teach"),
        (["--method", "svm", "--protocol", "P3", "--set", "split.block=64"], "larger or smaller blocks"),
        (["--method", "svm", *SHARE, "--set", "options.contxt=none"], "did you mean 'context'"),
        (["--method", "cva", *SHARE, "--set", "options.threshold=nope"], "known are auto, chi2"),
        (["--method", "siamese", *SHARE, "--set", "options.reach=2"], "siamese has no options"),
        (["--method", "svn"], "did you mean 'svm'"),
    ],
)
def test_one_line_and_no_folder(
    cli: Any,
    dates: list[str],
    simulated: PairFiles,
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: Capture,
) -> None:
    assert cli("train", *dates, "--truth", simulated.truth, "--run", tmp_path / "run", *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not (tmp_path / "run").exists()
