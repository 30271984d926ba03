"""The panel figure: its panels, its legend, its pixels, its files."""

import subprocess
import sys

import numpy as np
import pytest

from hsi_cd.errors import GridError, OutputError
from hsi_cd.reporting.figures import ScorePanel, Title, panel_figure, save_figure


def scene(rows, cols):
    random = np.random.default_rng(0)
    t1, t2 = random.random((2, 3, rows, cols))
    truth = random.choice([0, 1, 255], size=(rows, cols)).astype(np.uint8)
    change = random.choice([0, 1], size=(rows, cols)).astype(np.uint8)
    return t1, t2, change, t1[0], truth


def panel_titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_with_truth():
    t1, t2, change, score, truth = scene(30, 40)
    figure = panel_figure(
        t1,
        t2,
        change=change,
        score=ScorePanel(score),
        truth=truth,
        train_index=np.arange(4),
        title=Title("taizhou", "siamese", {"oa": 0.9876, "kappa": 0.9512, "f1": 0.5}, "P1, seed 0"),
    )
    assert panel_titles(figure) == ["Date 1", "Date 2", "Change probability", "Change map", "Truth", "Errors"]
    assert {"false positive", "false negative", "training pixel"} <= set(legend_texts(figure))
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["taizhou: siamese", "OA 98.76 %, Kappa 0.9512, P1, seed 0"]


def test_without_truth_and_score():
    t1, t2, change, _, _ = scene(30, 40)
    figure = panel_figure(t1, t2, change=change, train_index=np.arange(4))
    assert panel_titles(figure) == ["Date 1", "Date 2", "Change map"]
    assert legend_texts(figure) == ["changed", "unchanged", "no data"]


def test_undefined_scores_are_said_to_be():
    t1, t2, change, _, _ = scene(8, 8)
    figure = panel_figure(t1, t2, change=change, title=Title(scores={"oa": 1.0, "kappa": float("nan")}))
    assert figure.texts[1].get_text() == "OA 100.00 %, Kappa undefined"


@pytest.mark.parametrize(
    ("shape", "columns"), [((450, 140), 6), ((400, 400), 3), ((140, 450), 2), ((60, 900), 1), ((900, 40), 6)]
)
def test_the_arrangement_follows_the_scene(shape, columns):
    t1, t2, change, score, truth = scene(*shape)
    figure = panel_figure(t1, t2, change=change, score=ScorePanel(score), truth=truth)
    boxes = [axes.get_position() for axes in figure.axes if axes.get_title()]
    assert len({round(box.x0, 6) for box in boxes}) == columns
    width, height = figure.get_size_inches()
    assert 5 < width <= 11.01
    assert 4 < height < 8.5


@pytest.mark.parametrize("shape", [(450, 140), (90, 90), (20, 300), (1, 1)])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.quick("True-shape0", "True-shape2", "False-shape1")
def test_nothing_overlaps_or_leaves_the_page(shape, full):
    t1, t2, change, score, truth = scene(*shape)
    extra = {"score": ScorePanel(score), "truth": truth, "train_index": np.array([0])} if full else {}
    figure = panel_figure(t1, t2, change=change, title=Title("a scene", note="words and " * 30), **extra)
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [*(text.get_window_extent() for text in figure.texts if text.get_text())]
    boxes += [figure.legends[0].get_window_extent()]
    page = figure.bbox
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
        for other in boxes[:i]:
            apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
            assert apart


def test_the_drawn_error_panel_has_the_exact_colours():
    t1, t2, _, _, _ = scene(2, 2)
    truth = np.array([[0, 0], [1, 1]], dtype=np.uint8)
    change = np.array([[0, 1], [0, 1]], dtype=np.uint8)
    figure = panel_figure(t1, t2, change=change, truth=truth)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    box = figure.axes[-1].get_window_extent()
    top = pixels.shape[0] - box.y1
    for row, col, colour in [
        (0, 0, [0, 0, 0]),
        (0, 1, [230, 159, 0]),
        (1, 0, [0, 114, 178]),
        (1, 1, [255, 255, 255]),
    ]:
        y, x = int(top + box.height * (0.25 + row / 2)), int(box.x0 + box.width * (0.25 + col / 2))
        assert pixels[y, x, :3].tolist() == colour


def test_large_scenes_are_thinned_out():
    t1, t2, change, _, truth = scene(40, 3100)
    figure = panel_figure(t1, t2, change=change, truth=truth)
    shown = figure.axes[-1].images[0].get_array()
    assert shown.shape == (14, 1034, 3)


def test_a_score_of_any_range_has_its_own_bar():
    t1, t2, change, score, _ = scene(30, 30)
    score = score * 50
    score[0] = np.nan
    figure = panel_figure(t1, t2, change=change, score=ScorePanel(score, "CVA", None))
    image = next(axes for axes in figure.axes if axes.get_title() == "CVA").images[0]
    assert image.get_clim() == pytest.approx(tuple(np.nanpercentile(score, [2, 98])))


def test_other_grids_are_refused():
    t1, t2, change, _, truth = scene(6, 7)
    with pytest.raises(GridError, match="truth has shape"):
        panel_figure(t1, t2, change=change, truth=truth.T)


def test_pyplot_is_never_loaded():
    code = "import sys, hsi_cd.reporting.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
@pytest.mark.quick(".png-*")
def test_files_are_whole_the_same_twice_and_never_overwritten_unasked(tmp_path, suffix, magic):
    t1, t2, change, score, truth = scene(20, 30)
    path = tmp_path / f"figure{suffix}"
    save_figure(panel_figure(t1, t2, change=change, score=ScorePanel(score), truth=truth), path)
    first = path.read_bytes()
    assert first.startswith(magic)
    with pytest.raises(OutputError, match="exists"):
        save_figure(panel_figure(t1, t2, change=change), path)
    save_figure(panel_figure(t1, t2, change=change, score=ScorePanel(score), truth=truth), path, overwrite=True)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    t1, t2, change, _, _ = scene(8, 8)
    figure = panel_figure(t1, t2, change=change)

    def break_off(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", break_off)
    with pytest.raises(OutputError, match="No space left"):
        save_figure(figure, tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"\.png or \.pdf"):
        save_figure(figure, tmp_path / "figure.jpg")
    with pytest.raises(OutputError, match="cannot be written"):
        save_figure(figure, tmp_path / "absent" / "figure.png")


def test_a_pdf_holds_its_letters_as_letters(tmp_path):
    """Journals take fonts of Type 42, which a PDF holds as TrueType; Type 3 draws each letter."""
    t1, t2, change, _, _ = scene(20, 30)
    save_figure(panel_figure(t1, t2, change=change, title=Title("scene", "method")), tmp_path / "f.pdf")
    data = (tmp_path / "f.pdf").read_bytes()
    assert b"/FontFile2" in data and b"/CIDFontType2" in data
    assert b"/Type3" not in data
