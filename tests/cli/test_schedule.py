from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hsi_cd.nn.schedules import SCHEDULES

Capture = pytest.CaptureFixture[str]
EXAMPLES = Path(__file__).parents[2] / "configs" / "examples"


def table(text: str) -> list[tuple[int, float, float]]:
    """Step, epoch and rate of each row."""
    _, rows = text.split("learning rate\n")
    cells = [line.replace(",", "").split() for line in rows.splitlines() if line and line.split()[0][0].isdigit()]
    return [(int(step), float(epoch), float(rate)) for step, epoch, rate in cells]


def test_the_table_of_a_schedule(cli: Any, capsys: Capture) -> None:
    settings = ["train.schedule=poly", "train.schedule_options.poly.power=1", "train.lr=0.01", "train.folds=0"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert cli("schedule", *words, "--labels", 256, "--set", "train.epochs=400") == 0
    out = capsys.readouterr().out
    assert "schedule  poly" in out and "400 epochs of 2 steps, 800 steps" in out
    rows = table(out)
    assert len(rows) == 12 and rows[0][0] == 0 and rows[-1][0] == 799
    for step, epoch, rate in rows:
        assert epoch == pytest.approx(step / 2, abs=0.051)
        assert rate == pytest.approx(0.01 * (1 - step / 800), rel=1e-3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_shown(cli: Any, capsys: Capture, name: str) -> None:
    assert cli("schedule", "--config", EXAMPLES / f"schedule-{name.replace('_', '-')}.yaml") == 0
    out = capsys.readouterr().out
    assert f"schedule  {name}" in out and len(table(out)) == 12
    assert all(0 <= rate <= 0.003 * (1 + 1e-9) for _, _, rate in table(out))


def test_the_curve_is_a_picture(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    assert cli("schedule", "--png", tmp_path / "curve.png") == 0
    assert f"curve: {tmp_path / 'curve.png'}" in capsys.readouterr().out
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG" and len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_a_plateau_is_shown_as_if_no_validation_brought_anything(cli: Any, capsys: Capture) -> None:
    words = ["--set", "train.schedule=plateau", "--set", "train.schedule_options.plateau.patience=0"]
    assert cli("schedule", *words, "--set", "train.schedule_options.plateau.factor=0.5") == 0
    rates = [rate for *_, rate in table(capsys.readouterr().out)]
    assert rates[0] == 0.003 and rates[-1] < 0.003 / 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "train.schedule=hodl"], "did you mean hold?"),
        (["--config", "nowhere.yaml"], "config nowhere.yaml is not a file"),
        (["--png", "curve.gif"], "name it .png or .pdf"),
        (["--png", "no/such/curve.png"], "the folder no/such does not exist"),
        (["--labels", "0"], "0 is not in the range"),
        (["--set", "train.linear_warmup=0.1"], "one_cycle rises by itself"),
        (["--set", "train.schedule_options.hold.epoch=3"], "did you mean train.schedule_options.hold.epochs?"),
    ],
)
def test_bad_input_is_one_line(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("schedule", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("hsi-cd: error: ") and err.count("\n") == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_a_figure_is_not_replaced_unasked(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "curve.png"
    assert cli("schedule", "--png", target) == 0
    assert cli("schedule", "--png", target) == 2
    assert "exists" in capsys.readouterr().err
    assert cli("schedule", "--png", target, "--overwrite") == 0
