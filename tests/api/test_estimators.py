"""Every method as a class, as scikit-learn would have it."""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import hsi_cd as hc
from hsi_cd.api.estimators import _CLASSES, estimator_class, make_estimator
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError, LabelError, NotFittedError, OutputError, UnknownNameError
from hsi_cd.scene import ScenePair

EVERY_CLASS = pytest.mark.parametrize("name", _CLASSES)
QUICK = {
    "split.fraction": 0.05,
    "train.folds": 2,
    "train.batch_size": 16,
    "train.epochs": 3,
    "train.min_steps": 6,
    "train.max_steps": 6,
    "train.certain": 0,
}


@pytest.fixture(scope="module")
def pair(simulated: PairFiles) -> ScenePair:
    return hc.open_pair(simulated.t1, simulated.t2)


@pytest.fixture(scope="module")
def net(pair: ScenePair, simulated: PairFiles) -> Any:
    return hc.Siamese(members=2, seed=3, device="cpu", settings=QUICK).fit(pair, simulated.truth)


def test_every_method_has_a_class() -> None:
    assert list(_CLASSES) == list(hc.methods())
    for name, each in _CLASSES.items():
        assert getattr(hc, each.__name__) is each
        assert each.method == name and hc.methods()[name].reference in (each.__doc__ or "")


@EVERY_CLASS
def test_its_options_are_those_that_the_command_line_lists(
    name: str, cli: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("methods", name, "--json") == 0
    listed = json.loads(capsys.readouterr().out)["options"]
    signature = {option: p.default for option, p in inspect.signature(_CLASSES[name]).parameters.items()}
    assert {option: signature[option] for option in listed} == listed
    others = {"seed", "protocol", "settings", "members", "device", "kinds"}
    assert set(signature) - set(listed) <= others and "seed" in signature
    assert _CLASSES[name]().get_params() == signature


@EVERY_CLASS
def test_options_are_kept_changed_and_cloned(name: str) -> None:
    estimator = make_estimator(name, seed=7)
    assert repr(estimator) == f"{type(estimator).__name__}(seed=7)"
    assert estimator.set_params(seed=5) is estimator and estimator.get_params()["seed"] == 5
    again = clone(estimator)
    assert again is not estimator and type(again) is type(estimator)
    assert again.get_params() == estimator.get_params()
    with pytest.raises(UnknownNameError, match="did you mean 'seed'"):
        make_estimator(name, seeds=1)
    with pytest.raises(UnknownNameError, match="did you mean 'seed'"):
        estimator.set_params(sead=1)
    assert estimator.get_params() == again.get_params()


@EVERY_CLASS
def test_what_is_not_fitted_says_so(name: str, pair: ScenePair, tmp_path: Path) -> None:
    estimator = make_estimator(name)
    uses = [
        lambda: estimator.predict(pair),
        lambda: estimator.save(tmp_path / "a.pt"),
        lambda: estimator.threshold_,
    ]
    for use in uses:
        with pytest.raises(NotFittedError, match=f"this {type(estimator).__name__} is not fitted: call fit"):
            use()
    assert not list(tmp_path.iterdir())


def drawn() -> tuple[Any, ...]:
    """The next number of every source of randomness."""
    return random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002


@pytest.mark.parametrize("name", ["superpixel", "forest", "self-trained"])
@pytest.mark.quick("forest", "self-trained")
def test_a_fit_returns_itself_writes_nothing_and_leaves_the_callers_draws(
    name: str, pair: ScenePair, simulated: PairFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"members": 1, "device": "cpu", "settings": QUICK} if name == "self-trained" else {}
    options |= {"trees": 8, "settings": {"split.fraction": 0.05}} if name == "forest" else {}
    estimator = make_estimator(name, **options)
    labels = hc.open_labels(simulated.truth) if name == "forest" else None

    def seed() -> None:
        random.seed(1)
        np.random.seed(2)  # noqa: NPY002
        torch.manual_seed(3)

    seed()
    expected = drawn()
    seed()
    before = torch.are_deterministic_algorithms_enabled()
    assert estimator.fit(pair, labels) is estimator
    assert drawn() == expected and torch.are_deterministic_algorithms_enabled() == before
    assert estimator.predict(pair).change.shape == pair.shape
    assert not list(tmp_path.iterdir())
    assert (estimator.split_ is None) == (labels is None)
    assert estimator.threshold_ == estimator.detector_.threshold


def test_a_measurement_serves_the_next_method(pair: ScenePair, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hc.Auto().fit(pair)
    second = hc.Superpixel().fit(first.measurement_)
    assert second.measurement_ is first.measurement_
    alone = hc.Superpixel().fit(pair)
    np.testing.assert_array_equal(second.predict(pair).score, alone.predict(pair).score)


def test_a_network_is_saved_loaded_and_says_who_taught(net: Any, pair: ScenePair, tmp_path: Path) -> None:
    net.save(tmp_path / "net.pt")
    with pytest.raises(OutputError, match="exists"):
        net.save(tmp_path / "net.pt")
    again = hc.load(tmp_path / "net.pt", device="cpu")
    assert type(again) is hc.Siamese
    assert (again.options["members"], again.options["seed"], again.split_) == (2, 3, None)
    np.testing.assert_allclose(again.predict(pair).score, net.predict(pair).score, atol=1e-6)
    assert again.checkpoint_ and len(net.split_.train) > 10
    assert net.predict(pair).uncertainty.shape == pair.shape
    assert hc.predict(tmp_path / "net.pt", pair, device="cpu", threshold=0.9).threshold == 0.9
    np.testing.assert_array_equal(hc.predict(net, pair, refit=True).change, net.predict(pair, refit=True).change)


def test_a_given_split_teaches(pair: ScenePair, simulated: PairFiles) -> None:
    labels = hc.open_labels(simulated.truth)
    split = hc.split(labels, protocol="P2", seed=4, count=20)
    fitted = hc.Logistic().fit(pair, labels, split=split)
    np.testing.assert_array_equal(fitted.split_.train, split.train)
    with pytest.raises(LabelError, match="logistic learns from labels: give them"):
        hc.Logistic().fit(pair)


def test_options_of_another_kind_are_refused(pair: ScenePair) -> None:
    with pytest.raises(ConfigError, match="option components of auto is 'many': expected int"):
        hc.Auto(components="many").fit(pair)
    with pytest.raises(UnknownNameError, match="no method 'autos': did you mean 'auto'"):
        make_estimator("autos")
    assert estimator_class("cva").__name__ == "Cva"
