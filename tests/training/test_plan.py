import logging

import pytest

from hsi_cd.config import TrainConfig, resolve
from hsi_cd.training.plan import make_plan, overruled, tell_plan


def settings(**train: object) -> TrainConfig:
    return resolve([("test", {"train": train})]).train


@pytest.mark.parametrize(("pixels", "epochs"), [(10, 600), (256, 300), (500, 300), (1024, 113), (100_000, 2)])
def test_without_a_wish_the_steps_decide(pixels: int, epochs: int) -> None:
    assert make_plan(settings(), pixels).epochs == epochs


@pytest.mark.parametrize("pixels", [1, 10, 500, 100_000])
def test_epochs_are_what_was_asked_for(pixels: int) -> None:
    config = settings(epochs=50)
    plan = make_plan(config, pixels)
    assert plan.epochs == 50 and overruled(config, plan) is None


def test_what_overrules_the_epochs_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = settings(epochs=50, min_steps=600, max_steps=900)  # as in the config.yaml of an earlier version
    tell_plan(before, make_plan(before, 300))
    plan, warned = caplog.records
    assert plan.getMessage() == "training: 300 epochs of 2 steps, 600 steps in all"
    assert warned.levelno == logging.WARNING
    assert warned.getMessage() == (
        "train.epochs is 50, but train.min_steps 600 makes it 300: set train.min_steps=null to lift it"
    )
    many = settings(epochs=50, min_steps=600, max_steps=900)
    assert "train.max_steps 900 makes it 9" in str(overruled(many, make_plan(many, 12_800)))
    caplog.clear()
    for config in (settings(), settings(epochs=50), settings(epochs=50, max_steps=10)):
        tell_plan(config, make_plan(config, 300))
    assert [record.levelno for record in caplog.records] == [logging.INFO] * 3
