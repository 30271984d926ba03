"""From values to colours, pixel by pixel."""

import numpy as np
import pytest

from hsi_cd.errors import GridError
from hsi_cd.reporting.images import class_image, error_image, false_colour, stretch_limits


def test_every_pair_of_truth_and_prediction_has_its_colour():
    truth = np.array([[0, 0, 0], [1, 1, 1], [255, 255, 255]], dtype=np.uint8)
    change = np.array([[0, 1, 255]] * 3, dtype=np.uint8)
    black, white, grey = (0, 0, 0), (255, 255, 255), (128, 128, 128)
    orange, blue = (230, 159, 0), (0, 114, 178)
    expected = [[black, orange, grey], [blue, white, grey], [grey, grey, grey]]
    image = error_image(truth, change)
    assert image.dtype == np.uint8
    assert image.tolist() == np.array(expected).tolist()
    train = np.zeros((3, 3), dtype=bool)
    train[0, 1] = True
    marked = error_image(truth, change, train=train)
    assert marked[0, 1].tolist() == [136, 34, 85]
    assert (marked[~train] == image[~train]).all()


def test_classes_have_the_colours_of_the_error_image():
    image = class_image(np.array([[0, 1, 255]], dtype=np.uint8))
    assert image.tolist() == [[[0, 0, 0], [255, 255, 255], [128, 128, 128]]]


def test_errors_need_one_grid():
    truth = np.zeros((2, 3), dtype=np.uint8)
    with pytest.raises(GridError, match="change map"):
        error_image(truth, truth.T)
    with pytest.raises(GridError, match="training mask"):
        error_image(truth, truth, train=np.zeros((3, 2), dtype=bool))


def test_both_dates_share_the_stretch():
    random = np.random.default_rng(0)
    t1 = random.random((3, 20, 30), dtype=np.float32)
    t2 = t1 + 1
    t1[:, :5] = np.nan
    limits = stretch_limits(t1, t2)
    both = np.concatenate([t1[0][np.isfinite(t1[0])], t2[0].ravel()])
    assert limits[0] == pytest.approx(np.percentile(both, [2, 98]))
    images = false_colour(t1, limits=limits), false_colour(t2, limits=limits)
    assert images[0].shape == (20, 30, 3)
    assert (images[0][:5] == 128).all(), "no data is grey"
    assert (images[1][5:].astype(int) - images[0][5:]).min() > 60, "the brighter date looks brighter"
    assert images[0][5:].min() == 0
    assert images[1].max() == 255


def test_false_colour_of_odd_values():
    flat = np.stack([np.full((2, 2), 7.0), np.full((2, 2), np.nan), np.arange(4.0).reshape(2, 2)])
    assert (false_colour(flat) == 128).all(), "a channel without data leaves nothing to show"
    flat[1] = np.inf
    assert (false_colour(flat) == 128).all()
    flat[1] = 0
    image = false_colour(flat)
    assert (image[..., :2] == 128).all(), "a constant channel"
    assert image[0, 0, 2] == 0
    assert image[1, 1, 2] == 255


def test_false_colour_takes_three_bands():
    with pytest.raises(GridError, match="three bands"):
        false_colour(np.zeros((4, 5, 5)))
