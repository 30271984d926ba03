import statistics

import numpy as np
import pytest

from hsi_cd.errors import ConfigError, UnknownNameError
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.reporting.label_curves import Point, curve_figure, curve_tables


def run(
    method: str, seed: int, kappa: float, *, dataset: str = "a", protocol: str = "P2", train: int = 5
) -> RunResult:
    return RunResult(
        dataset=dataset,
        method=method,
        protocol=protocol,
        scope="held-out",
        counts=ConfusionCounts(tn=5, fp=1, fn=1, tp=3),
        scores={"kappa": kappa},
        test=ClassCounts(6, 4),
        train=ClassCounts(train, train),
        seed=seed,
    )


def points() -> list[Point]:
    """svm at three places, the middle one without a run; siamese at the first, on another scene too."""
    first = [run("svm", 0, 0.5), run("svm", 1, 0.7), run("siamese", 0, 0.8), run("siamese", 0, 0.3, dataset="b")]
    last = [run("svm", 0, 0.9, train=50), run("svm", 1, 0.92, train=50)]
    return [Point(5, "5", tuple(first)), Point(25, "25", ()), Point(50, "50", tuple(last))]


def test_cells_are_means_over_seeds_and_gaps_are_none() -> None:
    a, b = curve_tables(points(), axis="labels")
    assert (a.title, a.columns, b.title) == ("a", ("5", "25", "50"), "b")
    svm, siamese = a.rows
    assert (svm.label, siamese.label) == ("svm", "siamese")
    first, gap, last = svm.cells
    assert gap is None and siamese.cells[1:] == (None, None)
    assert first is not None and last is not None
    assert (first.mean, first.count) == (pytest.approx(0.6), 2)
    assert first.std == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert last.mean == pytest.approx(0.91)
    assert [row.label for row in b.rows] == ["siamese"]


def test_the_caption_says_protocol_pixels_seeds_and_where_seeds_are_missing() -> None:
    a, b = curve_tables(points(), axis="labels")
    assert (
        "Kappa by labels. Protocol P2, scored on held-out pixels; "
        "mean ± standard deviation (ddof = 1), seeds 0, 1." in a.caption
    )
    assert "Other seeds: siamese on a at 5: seed 0." in a.caption
    assert "one run each, seed 0." in b.caption


def test_the_figure_has_a_panel_a_scene_a_line_a_method_and_a_band_of_one_deviation() -> None:
    figure = curve_figure(points(), axis="labels of each class")
    a, b = figure.axes
    assert (a.get_title(), b.get_title()) == ("a", "b")
    assert a.get_xscale() == "log" and a.get_xlabel() == "labels of each class"
    assert [label.get_text() for label in a.get_xticklabels()] == ["5", "25", "50"]
    svm = a.get_lines()[0]
    np.testing.assert_allclose(svm.get_ydata(), [0.6, np.nan, 0.91])
    np.testing.assert_allclose(svm.get_xdata(), [5, 25, 50])
    band = np.concatenate([path.vertices for path in a.collections[0].get_paths()])
    spread = statistics.stdev([0.5, 0.7])
    at_first = band[band[:, 0] == 5][:, 1]
    assert (at_first.min(), at_first.max()) == (pytest.approx(0.6 - spread), pytest.approx(0.6 + spread))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["svm", "siamese"]
    title = figure.get_suptitle()
    assert all(word in title for word in ("Kappa", "P2", "held-out", "seeds 0, 1"))
    assert len({line.get_color() for line in a.get_lines()}) == 2
    assert len({line.get_marker() for line in a.get_lines()}) == 2
    figure.canvas.draw()


def test_an_undefined_score_is_a_gap() -> None:
    places = [Point(1, "1", (run("svm", 0, float("nan")),)), Point(2, "2", (run("svm", 0, 0.5),))]
    np.testing.assert_array_equal(curve_figure(places, axis="x").axes[0].get_lines()[0].get_ydata(), [np.nan, 0.5])
    cell = curve_tables(places, axis="x")[0].rows[0].cells[0]
    assert cell is not None and cell.value == "undefined"


@pytest.mark.parametrize("draw", [curve_tables, curve_figure])
def test_what_does_not_compare_is_refused(draw) -> None:
    with pytest.raises(ConfigError, match="no run to draw"):
        draw([Point(1, "1", ())], axis="x")
    mixed = [Point(1, "1", (run("svm", 0, 0.5),)), Point(2, "2", (run("svm", 0, 0.5, protocol="P1"),))]
    with pytest.raises(ConfigError, match="protocols P1 and P2"):
        draw(mixed, axis="x")
    with pytest.raises(ConfigError, match="given twice"):
        draw([Point(1, "1", (run("svm", 0, 0.5),) * 2)], axis="x")
    with pytest.raises(UnknownNameError, match="kappa"):
        draw(points(), axis="x", score="kapa")
