"""The loop on a miniature scene: what it can be told to do, and that it goes on exactly whatever it was told."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import RunConfig, read_config_file, resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import OutputError
from hsi_cd.inference import score_scene
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import seed_everything
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.graph import network_graph
from hsi_cd.training.journal import Journal
from hsi_cd.training.loop import Progress, train
from hsi_cd.training.patches import scene_patches
from hsi_cd.training.tracking import Tracker
from hsi_cd.training.training_set import TrainingSet
from hsi_cd.training.validation import Validation

QUICK: dict[str, Any] = {
    "epochs": 8,
    "min_steps": 1,
    "max_steps": 100,
    "batch_size": 8,
    "folds": 2,
    "validate_every": 2,
    "save_every": 1,
    "map_every": 0,
}
MODEL = {
    "members": 2,
    "attention": {"window": 3, "channels": 3},
    "backbone": {"width": 8, "depth": 2},
}


@pytest.fixture(scope="module")
def scene() -> tuple[ScenePair, np.ndarray, np.ndarray]:
    """A pair, the pixels that teach, and their classes."""
    made = simulate_pair(SimulationOptions(rows=30, cols=28, bands=12, seed=2))
    truth = made.truth.ravel()
    rng = np.random.default_rng(0)
    pixels = np.concatenate([rng.choice(np.flatnonzero(truth == code), 24, replace=False) for code in (0, 1)])
    pair = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")
    return pair, pixels.astype(np.int64), truth[pixels].astype(np.int64)


@dataclass
class Saved:
    """Checkpoints as a run folder would hold them; ``stop_after`` so many, the disk is full."""

    stop_after: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    count: int = 0

    def __call__(self, name: str, detector: SiameseDetector, training: dict[str, Any]) -> None:
        file = io.BytesIO()
        torch.save({"network": detector.network.state_dict(), "training": training}, file)
        self.files[name] = file.getvalue()
        self.count += name == "last"
        if self.count == self.stop_after and name == "last":
            raise OutputError("the disk is full")

    def load(self, name: str) -> dict[str, Any]:
        return torch.load(io.BytesIO(self.files[name]), weights_only=True)


def configured(model: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    sections = {"train": QUICK | changes, "model": MODEL | (model or {}), "prepare": {"components": 6}}
    return resolve([("test", sections)])


def run(
    scene: tuple[ScenePair, np.ndarray, np.ndarray],
    config: RunConfig,
    folder: Path,
    saved: Saved,
    resume: dict[str, Any] | None = None,
) -> tuple[Progress, SiameseDetector]:
    pair, pixels, target = scene
    generator = seed_everything(0, deterministic=False)
    detector = fit_siamese(pair, config)
    if resume is not None:
        detector.network.load_state_dict(resume["network"])
    epoch = resume["training"]["progress"]["epoch"] if resume else 0
    tracker = Tracker(folder, resume_at=epoch)
    try:
        progress = train(
            detector,
            scene_patches(detector, pair),
            TrainingSet(pixels, target),
            config.train,
            circumstances=Circumstances(generator, detector.device),
            journal=Journal(tracker, saved, resume["training"] if resume else None),
        )
    finally:
        tracker.close()
    return progress, detector


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor in nested dictionaries and lists, by its path."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path: tensor for key, item in items for path, tensor in tensors(item, f"{name}.{key}").items()}


VARIED = {"shift": 0.4, "gain": 0.1, "offset": 0.1, "spectral_noise": 0.1, "band_dropout": 0.2}

FEATURES: dict[str, dict[str, Any]] = {
    "hard examples, averaged": {"sampler": "hard", "ema": 0.8, "accumulate": 2, "clip_norm": 0.5},
    "plateau, balanced": {
        "schedule": "plateau",
        "schedule_options": {"plateau": {"patience": 0, "factor": 0.5}},
        "linear_warmup": 0.2,
        "sampler": "balanced",
        "sampler_options": {"balanced": {"fill": "scene"}},
        "loss": "dice",
    },
    "float16, restarts": {
        "precision": "float16",
        "schedule": "cosine_restarts",
        "schedule_options": {"cosine_restarts": {"cycle": 2, "growth": 2}},
        "loss": "focal",
        "sampler": "block",
    },
    "bfloat16, every variation": {
        "precision": "bfloat16",
        "augment": VARIED,
        "schedule": "hold",
        "schedule_options": {"hold": {"epochs": 3, "decay": 0}},
        "label_smoothing": 0.1,
    },
    "frozen, then learning": {"freeze": {"names": ["backbone.*"], "until": 4}},  # stopped while it is frozen
    "hinge, patience": {"loss": "hinge", "patience": 2, "schedule": "cosine", "linear_warmup": 0.3},
}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.quick("plateau,?balanced", "hinge,?patience")
def test_whatever_is_on_a_run_goes_on_exactly_where_it_stopped(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path, name: str
) -> None:
    config = configured(**FEATURES[name])
    whole, stopped, resumed = Saved(), Saved(stop_after=3), Saved()
    expected, judged = run(scene, config, tmp_path / "whole", whole)
    with pytest.raises(OutputError):
        run(scene, config, tmp_path / "stopped", stopped)
    found, again = run(scene, config, tmp_path / "stopped", resumed, stopped.load("last"))
    ends = whole.load("last"), resumed.load("last")
    a, b = (tensors(end) for end in ends)
    assert a.keys() == b.keys() and len(a) > 50
    assert [path for path in a if not torch.equal(a[path], b[path])] == []
    assert ends[0]["training"]["random"]["generator"] == ends[1]["training"]["random"]["generator"]
    assert (found.epoch, found.best_epoch, found.best_loss, found.stale) == (
        expected.epoch,
        expected.best_epoch,
        expected.best_loss,
        expected.stale,
    )
    a, b = tensors(judged.network.state_dict()), tensors(again.network.state_dict())
    assert all(torch.equal(a[path], b[path]) for path in a)
    for file in ("curves.csv", "train.log"):
        ours, theirs = ((tmp_path / run / file).read_text().splitlines() for run in ("stopped", "whole"))
        # A log begins with when it was written; the rest is the same.
        cut = 20 if file == "train.log" else 0
        assert [line[cut:] for line in ours] == [line[cut:] for line in theirs]


@pytest.fixture(scope="module")
def plain(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    """Weights after two epochs of the default."""
    _, detector = run(scene, configured(epochs=2), tmp_path_factory.mktemp("plain"), Saved())
    return detector.network.state_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "focal"},
        {"loss": "cross_entropy"},
        {"label_smoothing": 0.2},
        {"class_weight": 1.0, "loss": "bce", "sampler": "hard"},
        {"sampler": "balanced"},
        {"sampler": "block", "sampler_options": {"block": {"side": 7}}},
        {"accumulate": 2},
        {"clip_norm": 1e-3},
        {"ema": 0.5},
        {"precision": "bfloat16"},
        {"schedule": "constant"},
        {"warmup": 0.5},
        *({"augment": {name: value}} for name, value in VARIED.items()),
        *({"augment": {name: False}} for name in ("flips", "turns", "date_swap")),
        {"augment": {"mixup": 0.0}},
    ],
    ids=str,
)
def test_every_setting_reaches_what_is_learned(
    scene: tuple[ScenePair, np.ndarray, np.ndarray],
    plain: dict[str, torch.Tensor],
    tmp_path: Path,
    change: dict[str, Any],
) -> None:
    _, detector = run(scene, configured(epochs=2, **change), tmp_path, Saved())
    assert any(not torch.equal(value, plain[name]) for name, value in detector.network.state_dict().items())


def test_steps_of_two_batches_are_steps_of_batches_of_twice_the_size(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    still = {"augment": {"mixup": 0.0, "noise": 0.0, "gain_noise": 0.0, "flips": False, "turns": False}}
    still["augment"]["date_swap"] = False
    still["clip_norm"] = 1.0  # binds in some steps: Adam alone would not notice a loss of another scale
    model = {"backbone": MODEL["backbone"] | {"dropout": 0.0}}
    ends = []
    for name, sizes in (("two", {"batch_size": 6, "accumulate": 2}), ("one", {"batch_size": 12})):
        _, detector = run(scene, configured(model, **still, **sizes), tmp_path / name, Saved())
        ends.append(detector.network.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-3, atol=1e-4)
    rows = [(tmp_path / name / "curves.csv").read_text().splitlines()[1:] for name in ("two", "one")]
    losses = [[float(row.split(",")[1]) for row in run] for run in rows]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and len(losses[0]) == 8


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_curve_is_the_mean_loss_of_the_members_and_what_the_teacher_adds_for_each(
    scene: tuple[ScenePair, np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accumulate: int,
) -> None:
    """Losses of 3 a member and, of two members together, 1: the loss knows how many pixels of each class teach."""
    counts: dict[str, int] = {}

    def build_loss(_: object, **given: int) -> Callable[..., torch.Tensor]:
        counts.update(given)
        return lambda output, target: 0 * output.sum() + 3

    class Teacher:
        def __init__(self, network: torch.nn.Module, *_: object, **__: object) -> None: ...

        def __call__(self, network: torch.nn.Module) -> torch.Tensor:
            return 0 * next(network.parameters()).sum() + 1

        def state_dict(self) -> dict[str, torch.Tensor]:
            return {}

    monkeypatch.setattr("hsi_cd.training.loop.build_loss", build_loss)
    monkeypatch.setattr("hsi_cd.training.loop.MeanTeacher", Teacher)
    pair, pixels, target = scene
    for kind, expected in (("none", 3.0), ("mean_teacher", 3.5)):
        config = configured(teacher={"kind": kind}, accumulate=accumulate, epochs=2)
        run((pair, pixels[:32], target[:32]), config, tmp_path / kind, Saved())
        rows = (tmp_path / kind / "curves.csv").read_text().splitlines()[1:]
        assert [float(row.split(",")[1]) for row in rows] == [expected] * len(rows) and rows
    assert counts == {"changed": 8, "unchanged": 24}


def test_the_rate_falls_when_the_validation_loss_does_not(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    options = {"plateau": {"patience": 0, "factor": 0.5}}
    config = configured(lr=30.0, schedule="plateau", schedule_options=options, epochs=24)
    run(scene, config, tmp_path, Saved())
    rows = [row.split(",") for row in (tmp_path / "curves.csv").read_text().splitlines()[1:]]
    best, rate, expected = np.inf, 30.0, []
    for row in rows:
        expected.append(rate)  # told before the validation of the same epoch moves it
        if row[2]:
            rate *= 1.0 if float(row[2]) < best * (1 - 1e-4) else 0.5
            best = min(best, float(row[2]))
    assert [float(row[4]) for row in rows] == expected and expected[-1] < 30


# Kappa and its standard error at each validation, and the one whose weights are kept.
@pytest.mark.parametrize(
    ("kappas", "errors", "kept"),
    [
        ((0.5, 0.9, 0.85, 0.7), (0.1,) * 4, 3),  # not clearly worse than the best, and later
        ((0.5, 0.9, 0.85, 0.7), (0.0,) * 4, 2),
        ((0.5, 0.9, 0.85, 0.7), (0.3,) * 4, 4),
        ((0.5, 0.9, 0.85, 0.84), (0.3, 0.3, 0.04, 0.07), 4),  # each by its own error
        ((0.5, 0.8, 0.8, 0.7), (0.0,) * 4, 3),  # as good as the best is not worse
        ((0.9, 0.85, 0.8, 0.75), (0.06,) * 4, 2),  # the best of all, not the last that was kept
        ((np.nan,) * 4, (np.nan,) * 4, 4),  # nothing is held out
    ],
)
@pytest.mark.quick("kappas[034]*")
def test_the_latest_epoch_within_one_standard_error_of_the_best_is_kept(
    scene: tuple[ScenePair, np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kappas: tuple[float, ...],
    errors: tuple[float, ...],
    kept: int,
) -> None:
    weights: list[dict[str, torch.Tensor]] = []

    def validated(network: torch.nn.Module, *_: object, **__: object) -> Validation:
        number = len(weights)
        weights.append({name: value.clone() for name, value in network.state_dict().items()})
        calibration = Calibration(threshold=0.1 * (number + 1))
        return Validation(calibration, 1.0, kappas[number], errors[number])

    monkeypatch.setattr("hsi_cd.training.loop.validate", validated)
    progress, detector = run(scene, configured(), tmp_path, Saved())
    assert len(weights) == 4 and progress.best_epoch == 2 * kept
    assert progress.stale == 3  # the loss of the first validation was never bettered
    assert progress.best_kappa == pytest.approx(kappas[kept - 1], nan_ok=True)
    assert detector.calibration.threshold == pytest.approx(0.1 * kept)
    ends = detector.network.state_dict()
    assert all(torch.equal(ends[name], value) for name, value in weights[kept - 1].items())
    assert any(not torch.equal(ends[name], value) for name, value in weights[kept % 4].items())


@pytest.mark.slow
def test_labels_that_mean_nothing_are_not_validated_as_learned(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Drawn by lot they can be learned by heart, but nobody can tell those that were held out."""
    pair, pixels, target = scene
    lots = np.random.default_rng(1).permutation(target)
    still = {"augment": {"mixup": 0.0, "noise": 0.0, "gain_noise": 0.0}, "lr": 0.01, "schedule": "constant"}
    progress, _ = run((pair, pixels, lots), configured(epochs=30, validate_every=10, **still), tmp_path, Saved())
    assert progress.highest_kappa < 0.5


EXAMPLES = sorted((Path(__file__).parents[2] / "configs" / "examples").glob("*.yaml"))


def test_pictures_are_the_scene_as_the_network_stands_then_and_at_the_end(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, np.ndarray] = {}
    monkeypatch.setattr("hsi_cd.training.loop.validate", lambda *_, **__: Validation())  # the last epoch is kept
    monkeypatch.setattr(Tracker, "map", lambda _, epoch, probability, *__: seen.update({epoch: probability}))
    _, detector = run(scene, configured(map_every=3), tmp_path, Saved())
    assert list(seen) == [3, 6, 8]
    np.testing.assert_allclose(seen[8], score_scene(detector, scene[0]), atol=1e-5)
    assert np.abs(seen[8] - seen[3]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_trains(scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path, path: Path) -> None:
    quick = {"train": QUICK | {"epochs": 3}}
    config = resolve(
        [("test", {"model": MODEL, "prepare": {"components": 6}} | quick), *[("", read_config_file(path))]]
    )
    config = resolve([("", config.model_dump()), ("quick", {"train": {"max_steps": 12}})])
    progress, detector = run(scene, config, tmp_path, Saved())
    assert progress.epoch >= 1 and np.isfinite(progress.best_loss)
    assert all(bool(torch.isfinite(value).all()) for value in detector.network.state_dict().values())


def test_a_run_that_ended_early_is_not_gone_on_with(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """The rate is so large that nothing gets better after the first validations."""
    config = configured(lr=30.0, patience=2, schedule="constant", epochs=40)
    saved, again = Saved(), Saved()
    progress, _ = run(scene, config, tmp_path, saved)
    assert progress.epoch < 40 and progress.stale == 2
    losses = {
        int(row.split(",")[0]): float(row.split(",")[2])
        for row in (tmp_path / "curves.csv").read_text().splitlines()[1:]
        if row.split(",")[2]
    }
    best = min(losses, key=losses.__getitem__)
    assert progress.epoch == best + 2 * 2  # two validations, two epochs apart
    resumed, _ = run(scene, config, tmp_path, again, saved.load("last"))
    assert again.count == 0 and resumed.epoch == progress.epoch and resumed.best_epoch == progress.best_epoch


def test_the_average_is_what_is_judged_and_kept(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    saved = Saved()
    _, detector = run(scene, configured(ema=0.9, augment={"mixup": 0.0}), tmp_path, saved)
    last, best = saved.load("last"), saved.load("best")
    average = {
        name.removeprefix("module."): value
        for name, value in last["training"]["steps"]["average"].items()
        if name.startswith("module.")
    }
    raw = last["network"]
    assert any(not torch.equal(average[name], raw[name]) for name in raw)
    kept = last["training"]["progress"]["best_weights"]
    assert all(torch.equal(kept[name], best["network"][name]) for name in kept)
    assert all(torch.equal(kept[name], value) for name, value in detector.network.state_dict().items())
    if last["training"]["progress"]["best_epoch"] == last["training"]["progress"]["epoch"]:
        assert all(torch.equal(kept[name], average[name]) for name in kept)


@pytest.mark.slow
def test_a_contrastive_network_learns_to_tell_change_by_its_distance(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    pair, pixels, target = scene
    config = configured(
        {"head": "distance"}, loss="contrastive", class_weight=0.0, augment={"mixup": 0.0}, epochs=30, lr=0.01
    )
    _, untaught = run(scene, configured({"head": "distance"}, epochs=1, lr=1e-9), tmp_path / "before", Saved())
    _, detector = run(scene, config, tmp_path / "after", Saved())
    inputs = scene_patches(detector, pair).cut(torch.from_numpy(pixels))
    with torch.inference_mode():
        for network in (untaught.network.eval(), detector.network.eval()):
            d = torch.stack([m(*inputs, distance=True)[:, 0, 0, 0] for m in network.members]).mean(0).numpy()
            near, far = d[target == 0].mean(), d[target == 1].mean()
            gap = far - near
            if network is untaught.network:
                before = gap
    assert gap > before and near < 0.7 and far > 1.3  # towards 0, and towards the margin of 2
    # The logit is that distance, scaled and shifted: nothing taught its own two numbers.
    assert all(
        float(m.head.alpha.detach()) == 1 and float(m.head.bias.detach()) == -2 for m in detector.network.members
    )


def test_hard_pixels_are_known_by_their_last_loss(
    scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    saved, shuffled = Saved(), Saved()
    run(scene, configured(sampler="hard", augment={"mixup": 0.0}), tmp_path / "hard", saved)
    run(scene, configured(), tmp_path / "shuffle", shuffled)
    loss = saved.load("last")["training"]["last_loss"]
    assert loss.shape == (2, 48) and len(loss.unique()) > 20
    assert (shuffled.load("last")["training"]["last_loss"] == 1).all()


@pytest.mark.slow
def test_the_graph_is_written_once(scene: tuple[ScenePair, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    run(scene, configured(graph=True, epochs=1), tmp_path, Saved())
    (events,) = tmp_path.glob("events.out.tfevents.*")
    content = events.read_bytes()
    for name in (b"attention/", b"backbone/layers/0/", b"head/distance/", b"aten."):
        assert name in content


def test_a_graph_is_the_operations_and_what_feeds_them() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    nodes = {node.name: node for node in network_graph(network, (torch.zeros(2, 3),)).node}
    by_op = {node.op: node for node in nodes.values()}
    relu = by_op["aten.relu.default"]
    assert relu.name.startswith("1/") and relu.attr["shape"].s == b"[2, 4]"
    (before,) = relu.input
    assert before.startswith("0/") and nodes[before].op == "aten.linear.default"
    assert {source.split("/")[0] for source in nodes[before].input} == {"inputs"}
    assert all(source in nodes for node in nodes.values() for source in node.input)
