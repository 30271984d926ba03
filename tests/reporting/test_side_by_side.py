"""Methods side by side, and the picture of a split."""

import numpy as np
import pytest

from hsi_cd.errors import GridError
from hsi_cd.reporting.images import SPLIT_COLOURS, split_image
from hsi_cd.reporting.side_by_side import methods_figure, split_figure
from hsi_cd.scene import Labels, Split

LABELS = Labels(np.array([[0, 1, 255, 0], [1, 0, 0, 1]], np.uint8))
GUARD = np.array([[True, False, True, False], [False, False, True, False]])
SPLIT = Split("P1-strict", 3, (2, 4), np.array([1, 5]), GUARD)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_methods_side_by_side():
    random = np.random.default_rng(0)
    date = random.integers(0, 255, (30, 40, 3)).astype(np.uint8)
    truth, *maps = random.choice([0, 1, 255], size=(4, 30, 40)).astype(np.uint8)
    named = dict(zip(("siamese (0.95)", "svm (0.9)", "cva (0.4)"), maps, strict=True))
    figure = methods_figure(date, date, named, truth=truth, scene="taizhou", note="P1")
    assert titles(figure) == ["Date 1", "Date 2", "Truth", *named]
    assert [text.get_text() for text in figure.texts] == ["taizhou", "P1"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), date)
    without = methods_figure(date, date, named)
    assert titles(without) == ["Date 1", "Date 2", *named]
    with pytest.raises(GridError, match="svm has shape"):
        methods_figure(date, date, {"cva": maps[0], "svm": maps[1].T})
    with pytest.raises(GridError, match="no change map"):
        methods_figure(date, date, {})


def test_a_split_in_its_colours():
    names = [
        ["guard, does neither", "teaches, changed", "unlabelled", "judges, unchanged"],
        ["judges, changed", "teaches, unchanged", "guard, does neither", "judges, changed"],
    ]
    expected = np.array([[SPLIT_COLOURS[name] for name in row] for row in names])
    np.testing.assert_array_equal(split_image(SPLIT, LABELS), expected)


def test_the_split_has_a_legend_and_its_counts():
    figure = split_figure(SPLIT, LABELS, scene="taizhou")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(SPLIT_COLOURS)
    assert figure.texts[1].get_text() == "P1-strict, seed 3: 2 pixels teach, 3 judge"
