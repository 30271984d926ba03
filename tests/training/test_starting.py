"""A training that goes on from an earlier run: no member judges what it ever learned from."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hsi_cd.config import RunConfig, TrainConfig, parse_assignment, resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint, write_saved
from hsi_cd.errors import CheckpointError, ConfigError, HsiCdError, LabelError, MissingInputError, Preempted
from hsi_cd.io import open_cube, read_labels
from hsi_cd.runs.folder import read_provenance
from hsi_cd.runtime.signals import Stop
from hsi_cd.scene import UNLABELLED, Labels, ScenePair
from hsi_cd.training import loop, validation
from hsi_cd.training.batches import make_batches, taught_positions
from hsi_cd.training.examples import LabelledScene
from hsi_cd.training.folds import deal_folds, dealt_of
from hsi_cd.training.pseudo_labels import ENOUGH_STEPS, WARM_STEPS, PseudoLabels
from hsi_cd.training.run import run_training
from hsi_cd.training.training_set import TrainingSet

NONE: Any = None


@given(st.data())
def test_no_member_judges_what_it_ever_learned_from(data: st.DataObject) -> None:
    """Over rounds in which shapes are added, joined, cut and given another class, of few shapes or many."""
    members, folds = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 6))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    learned: dict[int, set[int]] = defaultdict(set)
    pixels, target = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    shapes, dealt = np.empty(0, dtype=np.int32), None
    for _ in range(4):
        more = data.draw(st.integers(0, 12))
        new = np.arange(2 * more) + len(pixels)
        at = random.permutation(len(pixels) + len(new))  # in any order, as other files give another
        pixels = np.concatenate([pixels, new])[at]
        target = np.concatenate([target, np.repeat(random.integers(0, 2, more), 2)])[at]
        shapes = np.concatenate([shapes, np.repeat(np.arange(more) + shapes.max(initial=0) + 1, 2)])[at]
        numbers = np.unique(shapes)
        if len(numbers) > 3 and data.draw(
            st.booleans()
        ):  # one shape over two; another is cut, one changes its class
            one, two, cut, other = random.choice(numbers, 4, replace=False)
            target[shapes == two] = target[shapes == one][0]
            shapes[shapes == two] = one
            shapes[np.flatnonzero(shapes == cut)[:1]] = numbers.max() + 1
            target[shapes == other] = 1 - target[shapes == other]
        if not len(pixels):
            continue
        taught = TrainingSet(pixels, target, shapes=shapes, dealt=dealt)
        part = deal_folds(taught, folds, seed=int(random.integers(99)), members=members)
        for member in range(members):
            own = taught_positions(member, part, len(pixels))
            learned[member] |= set(pixels[own].tolist())
            if part is not None:
                judged = pixels[part == member % (part.max() + 1)]  # as held_out_logits reads them
                assert not learned[member] & set(judged.tolist())
        if part is not None:
            for shape in np.unique(shapes):
                assert len(np.unique(part[shapes == shape])) == 1
        dealt = dealt_of(taught, part)


@pytest.mark.parametrize(("members", "parts"), [(1, 5), (2, 5), (3, 3), (4, 4), (5, 5), (7, 5)])
def test_three_members_or_more_hold_every_shape_out(members: int, parts: int) -> None:
    """Of fewer, each would learn from half of the shapes, or from none."""
    target, shapes = np.repeat([0, 1], 20), np.repeat(np.arange(1, 21), 2).astype(np.int32)
    part = deal_folds(TrainingSet(np.arange(40), target, shapes=shapes), 5, seed=0, members=members)
    assert part is not None and sorted(set(part.tolist())) == list(range(parts))
    held = {number for member in range(members) for number in shapes[part == member % parts].tolist()}
    assert (len(held) == 20) == (members >= 3)


def test_new_shapes_go_where_fewest_are() -> None:
    target, shapes = np.repeat([0, 1], 10), np.arange(1, 21, dtype=np.int32)
    first = TrainingSet(np.arange(20), target, shapes=shapes)
    before = deal_folds(first, 5, seed=1, members=5)
    more = np.repeat([0, 1], [8, 7])
    both = TrainingSet(
        np.arange(35),
        np.append(target, more),
        shapes=np.arange(1, 36, dtype=np.int32),
        dealt=dealt_of(first, before),
    )
    after = deal_folds(both, 5, seed=7, members=5)
    assert after is not None
    np.testing.assert_array_equal(after[:20], before)
    for code in (0, 1):
        held = np.bincount(after[both.target == code], minlength=5)
        assert held.max() - held.min() <= 1


def test_where_nothing_was_held_out_new_shapes_are() -> None:
    """One changed shape taught all members; two of each class come, and judge in turn."""
    first = TrainingSet(np.arange(3), np.array([0, 0, 1]), shapes=np.arange(1, 4, dtype=np.int32))
    assert deal_folds(first, 5, seed=0, members=5) is None
    target = np.array([0, 0, 1, 0, 0, 1, 1])
    both = TrainingSet(np.arange(7), target, shapes=np.arange(1, 8, dtype=np.int32), dealt=dealt_of(first, NONE))
    part = deal_folds(both, 5, seed=0, members=5)
    assert part is not None and part[:3].tolist() == [-1] * 3 and sorted(part[3:]) == [0, 0, 1, 1]


def test_fewer_steps_are_enough_unless_somebody_asks_for_more() -> None:
    target, shapes = np.repeat([0, 1], 20), np.repeat(np.arange(1, 21), 2).astype(np.int32)
    soft = np.full(100, 0.5, dtype=np.float32)
    pseudo = PseudoLabels(np.arange(50, 150), soft, shapes, 0.5, 0.1, NONE, np.zeros(40, dtype=np.float32), NONE)
    taught = TrainingSet(np.arange(40), target, pseudo, shapes=shapes)
    valid = np.ones((20, 20), dtype=bool)

    def steps(**train: Any) -> int:
        config: TrainConfig = resolve([("test", {"train": train})]).train
        return make_batches(config, taught, None, members=5, valid=valid).plan.length.steps

    assert steps() == ENOUGH_STEPS and steps(start_from="runs/a") == WARM_STEPS < ENOUGH_STEPS
    assert steps(start_from="runs/a", max_steps=8) == 8  # two epochs of four batches of 64
    assert steps(start_from="runs/a", epochs=300) == 4 * steps(epochs=300, batch_size=256) == 1200


@pytest.fixture(scope="module", autouse=True)
def no_figures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hsi_cd.training.run._draw", lambda *drawn: None)
        yield


@pytest.fixture(scope="module")
def pair(simulated: PairFiles) -> ScenePair:
    return ScenePair(open_cube(simulated.t1), open_cube(simulated.t2), name="scene")


@pytest.fixture(scope="module")
def truth(simulated: PairFiles) -> NDArray[np.uint8]:
    return read_labels(simulated.truth).values


def drawn(truth: NDArray[np.uint8], count: int) -> Labels:
    """So many shapes of two pixels of each class; those of a smaller number are among them."""
    random, shapes = np.random.default_rng(5), np.zeros(truth.shape, dtype=np.int32)
    for code in (0, 1):
        chosen = random.permutation(np.flatnonzero(truth == code))[: 2 * count]
        shapes.ravel()[chosen] = 2 * np.repeat(np.arange(count), 2) + 1 + code
    return Labels(np.where(shapes > 0, truth, np.uint8(UNLABELLED)), shapes=shapes)


@pytest.fixture(scope="module")
def settings(cli: Any) -> Any:
    def make(*words: str) -> RunConfig:
        quick = cli.settings(train__epochs=6, train__map_every=0, model__members=3)[1::2]
        said = ("split.protocol=drawn", "device=cpu", *quick, *words)
        return resolve([(word, parse_assignment(word)) for word in said])

    return make


@pytest.fixture(scope="module")
def earlier(
    pair: ScenePair, truth: NDArray[np.uint8], settings: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run on eleven shapes of each class."""
    folder = tmp_path_factory.mktemp("earlier") / "run"
    run_training(LabelledScene(pair, drawn(truth, 11)), settings(), folder)
    return folder


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[int, set[int]]]:
    """By member, the labelled pixels of all batches of all trainings, and those that it judged."""
    seen: dict[str, dict[int, set[int]]] = {"learned": defaultdict(set), "judged": defaultdict(set)}
    steps, judge = loop.Batches.steps, validation.held_out_logits

    def learn(self: Any, orders: Any) -> Any:
        for member, order in enumerate(orders):
            labels = order[order < self._labelled]
            seen["learned"][member] |= set(self.pixels[labels].tolist())
        return steps(self, orders)

    def say(network: Any, source: Any, pixels: Any, folds: Any, **how: Any) -> Any:
        for member in range(len(network.members)):
            seen["judged"][member] |= set(pixels[folds == member % (folds.max() + 1)].tolist())
        return judge(network, source, pixels, folds, **how)

    monkeypatch.setattr(loop.Batches, "steps", learn)
    monkeypatch.setattr(validation, "held_out_logits", say)
    return seen


def test_runs_that_go_on_from_one_another(
    pair: ScenePair, truth: NDArray[np.uint8], settings: Any, watched: Any, tmp_path: Path
) -> None:
    """Two rounds of other shapes and another seed; what a member judges it learned from in none."""
    before: dict[int, int] = {}
    for number, count in enumerate((11, 14)):
        words = [f"seed={number}"] + ([f"train.start_from={tmp_path / str(number - 1)}"] if number else [])
        result = run_training(LabelledScene(pair, drawn(truth, count)), settings(*words), tmp_path / str(number))
        assert result is not None and result.counts.unscored == 0 and result.test.changed == 2 * count
        assert result.details.get("start_from") == (str(tmp_path / str(number - 1)) if number else None)
        pixels, part = load_checkpoint(tmp_path / str(number) / "best.pt")["training"]["progress"]["dealt"]
        now = dict(zip(pixels.tolist(), part.tolist(), strict=True))
        assert before.items() <= now.items() and len(now) == 4 * count
        before = now
    labelled = set(np.flatnonzero(drawn(truth, 14).values != UNLABELLED).tolist())
    assert set.union(*watched["judged"].values()) == labelled
    for member in range(3):
        assert watched["learned"][member] <= labelled and watched["learned"][member]
        assert not watched["learned"][member] & watched["judged"][member]


def test_it_begins_with_the_earlier_weights(
    pair: ScenePair, truth: NDArray[np.uint8], settings: Any, earlier: Path, tmp_path: Path
) -> None:
    still = ("train.lr=1e-12", "train.weight_decay=0", f"train.start_from={earlier}", "seed=9")
    run_training(LabelledScene(pair, drawn(truth, 12)), settings(*still), tmp_path / "run")
    ours, theirs = (load_checkpoint(of / "best.pt")["detector"]["network"] for of in (tmp_path / "run", earlier))
    learned = [name for name, value in theirs.items() if value.is_floating_point() and "running" not in name]
    assert len(learned) > 10
    for name in learned:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-7, rtol=1e-6)


@pytest.mark.slow
def test_one_that_was_interrupted_ends_the_same_though_the_earlier_run_is_gone(
    pair: ScenePair, truth: NDArray[np.uint8], settings: Any, earlier: Path, stopping: Stop, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    shutil.copytree(earlier, start)
    words = [f"train.start_from={start}", "seed=4", "model.threshold=0.4"]  # no weight depends on the threshold
    scene, config = LabelledScene(pair, drawn(truth, 13)), settings(*words)
    with pytest.raises(Preempted):
        run_training(scene, config, tmp_path / "run", stop=stopping)
    stopping.asked = None
    run_training(scene, config, tmp_path / "whole")
    shutil.rmtree(start)
    run_training(scene, config, tmp_path / "run", resume=True)
    ours, theirs = (load_checkpoint(tmp_path / of / "best.pt") for of in ("run", "whole"))
    assert ours["digest"] == theirs["digest"]
    results = [json.loads((tmp_path / of / "result.json").read_text()) for of in ("run", "whole")]
    for key in ("scores", "counts", "test", "train", "scope", "threshold"):
        assert results[0][key] == results[1][key]


def test_another_earlier_run_is_another_run(
    pair: ScenePair, truth: NDArray[np.uint8], settings: Any, earlier: Path, stopping: Stop, tmp_path: Path
) -> None:
    """Its checkpoint is one of the files that the run is made from."""
    start = tmp_path / "start"
    shutil.copytree(earlier, start)
    scene, config = LabelledScene(pair, drawn(truth, 13)), settings(f"train.start_from={start}")
    inputs = [Path(path) for path in config.weight_files]
    with pytest.raises(Preempted):
        run_training(scene, config, tmp_path / "run", stop=stopping, inputs=inputs)
    assert [*read_provenance(tmp_path / "run").sessions[-1].inputs] == [str(start / "best.pt")]
    content = load_checkpoint(start / "best.pt")
    write_saved(start / "best.pt", content | {"note": "trained again"})
    with pytest.raises(CheckpointError, match=r"started from other files .*best\.pt has another content"):
        run_training(scene, config, tmp_path / "run", resume=True, inputs=inputs)


def fewer(folder: Path) -> None:
    (folder / "result.json").unlink()


def older(folder: Path) -> None:
    content = load_checkpoint(folder / "best.pt")
    del content["training"]["progress"]["dealt"]
    write_saved(folder / "best.pt", content)


def damaged(folder: Path, part: torch.Tensor | None = None) -> None:
    content = load_checkpoint(folder / "best.pt")
    content["training"]["progress"]["dealt"][1] = torch.zeros(3) if part is None else part
    write_saved(folder / "best.pt", content)


def shorter(folder: Path) -> None:
    damaged(folder, torch.zeros(3, dtype=torch.int64))


def square(folder: Path) -> None:
    content = load_checkpoint(folder / "best.pt")
    content["training"]["progress"]["dealt"] = [torch.zeros((3, 3), dtype=torch.int64)] * 2
    write_saved(folder / "best.pt", content)


REFUSED: dict[str, tuple[Any, list[str], type[HsiCdError], str]] = {
    "not ended": (fewer, [], MissingInputError, "there is no run that has ended: name the folder of one"),
    "older": (older, [], CheckpointError, "does not tell which labels each member .* held out"),
    "damaged": (damaged, [], CheckpointError, "does not tell which labels"),
    "shorter": (shorter, [], CheckpointError, "does not tell which labels"),
    "square": (square, [], CheckpointError, "does not tell which labels"),
    "members": (None, ["model.members=2"], ConfigError, "with model.members 3, but here it is 2: use one setting"),
    "folds": (None, ["train.folds=3"], ConfigError, "with train.folds 2, but here it is 3"),
    "components": (None, ["prepare.components=5"], ConfigError, r"with prepare\.components \d+, but here it is 5"),
    "protocol": (None, ["split.protocol=P2", "split.count=4"], ConfigError, "the protocol is P2, which holds out"),
    "method": (None, ["method=logistic"], ConfigError, "logistic is fitted at once"),
}


@pytest.mark.parametrize(("harm", "words", "kind", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.quick("not ended", "damaged", "square", "members", "components", "protocol", "method")
def test_what_it_cannot_start_from(
    pair: ScenePair,
    truth: NDArray[np.uint8],
    settings: Any,
    earlier: Path,
    tmp_path: Path,
    harm: Any,
    words: list[str],
    kind: type[HsiCdError],
    said: str,
) -> None:
    start = earlier
    if harm is not None:
        start = tmp_path / "start"
        shutil.copytree(earlier, start)
        harm(start)
    config = settings(f"train.start_from={start}", *words)
    with pytest.raises(kind, match=said) as caught:
        run_training(LabelledScene(pair, drawn(truth, 12)), config, tmp_path / "run")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_what_taught_must_still_be_labelled_in_the_same_scene(
    pair: ScenePair, simulated: PairFiles, truth: NDArray[np.uint8], settings: Any, earlier: Path, tmp_path: Path
) -> None:
    config, labels = settings(f"train.start_from={earlier}"), drawn(truth, 12)
    gone = replace(labels, values=np.where(labels.shapes == 1, 255, labels.values).astype(np.uint8))
    with pytest.raises(LabelError, match="learned from 44 labelled pixels, 2 of which have no label now"):
        run_training(LabelledScene(pair, gone), config, tmp_path / "run")
    other = ScenePair(open_cube(simulated.t2), open_cube(simulated.t1), name="other")
    with pytest.raises(CheckpointError, match="is a run of another scene: start from one of this scene"):
        run_training(LabelledScene(other, labels), config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
