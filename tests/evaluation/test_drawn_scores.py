"""Scores of a map by shapes: against textbooks, and against the truth that shapes are a few of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from sklearn.metrics import accuracy_score, brier_score_loss, cohen_kappa_score, f1_score, jaccard_score

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import (
    SCORE_NAMES,
    DrawnScores,
    Interval,
    SaidOfChange,
    ShapeRates,
    known_share,
    score_drawn,
    shape_rates,
)
from hsi_cd.evaluation.drawn_scores import _scores

GOOD = ShapeRates(np.ones(15), np.ones(15))


def test_rates_are_of_each_shape() -> None:
    target = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    shapes = np.array([4, 4, 4, 9, 9, 2, 2, 7])
    change = np.array([0, 0, 1, 1, 255, 0, 0, 255], dtype=np.uint8)
    rates = shape_rates(target, shapes, change)
    assert rates.unchanged.tolist() == pytest.approx([2 / 3])  # nothing is said of shape 7
    assert rates.changed.tolist() == [0, 1]


def test_scores_are_scikit_learns_with_each_pixel_standing_for_its_share_of_the_scene() -> None:
    share, found, false = 0.02, 0.8, 0.1
    truth, said = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    weight = np.array([share * found, share * (1 - found), (1 - share) * false, (1 - share) * (1 - false)])
    ours = {name: float(v[0]) for name, v in _scores(*(np.array([x]) for x in (share, found, false))).items()}
    assert list(ours) == list(SCORE_NAMES)
    assert ours["oa"] == pytest.approx(accuracy_score(truth, said, sample_weight=weight))
    assert ours["kappa"] == pytest.approx(cohen_kappa_score(truth, said, sample_weight=weight))
    assert ours["f1"] == pytest.approx(f1_score(truth, said, sample_weight=weight))
    assert ours["iou"] == pytest.approx(jaccard_score(truth, said, sample_weight=weight))
    # By hand: 1.6 % found, .4 % missed, 9.8 % false, 88.2 % right.
    assert ours["precision"] == pytest.approx(1.6 / 11.4)
    assert ours["aa"] == pytest.approx(0.85)


def test_all_right_is_no_certainty() -> None:
    """Any error is possible where so much is called changed: two priors, each in half of the draws."""
    found = score_drawn(ShapeRates(np.ones(15), np.ones(15)), called=0.5, draws=20_000)
    low = brentq(lambda x: (stats.beta.cdf(x, 16, 1) + stats.beta.cdf(x, 15.5, 0.5)) / 2 - 0.05, 0.5, 1)
    at_90 = score_drawn(GOOD, called=0.5, draws=20_000, level=0.9).intervals["accuracy_changed"]
    assert found.scores["accuracy_changed"] < 1
    assert found.intervals["kappa"].high - found.intervals["kappa"].low > 0.05
    assert at_90.low == pytest.approx(low, abs=0.02)


def test_what_a_map_calls_changed_bounds_its_false_alarms() -> None:
    """Of 15 shapes alone, one in ten might be false; a map that calls 2 % changed cannot err so often."""
    found = score_drawn(GOOD, called=0.02)
    assert found.intervals["accuracy_unchanged"].low > 0.979
    assert found.share_interval.high < 0.035
    assert found.intervals["kappa"].low < 0.5 < 0.9 < found.intervals["kappa"].high


def test_more_shapes_and_a_known_share_say_more() -> None:
    def width(rates: ShapeRates, **known: object) -> float:
        ends = score_drawn(rates, called=0.05, **known).intervals["kappa"]  # type: ignore[arg-type]
        return ends.high - ends.low

    few, many = (ShapeRates(np.ones(n), np.ones(n)) for n in (12, 200))
    known = {"share": 0.05, "share_interval": Interval(0.045, 0.055)}
    assert width(many) < 0.6 * width(few)
    assert width(few, **known) < 0.6 * width(few)


def test_what_a_label_free_map_says_of_the_share_moves_the_score_but_decides_nothing() -> None:
    """Seven times too much, as of one scene in five: the truth stays inside the interval."""
    plain, right, wrong = (score_drawn(GOOD, called=0.1, share=share) for share in (None, 0.02, 0.14))
    assert right.share < plain.share < wrong.share
    assert wrong.share_interval.low < 0.02 < 0.095 < right.share_interval.high


def test_shapes_that_contradict_the_map_are_believed_less() -> None:
    """Half of the unchanged shapes called changed, of a map that calls 1 % changed: they are not the scene's."""
    found = score_drawn(ShapeRates(np.repeat([0.0, 1.0], 10), np.ones(20)), called=0.01)
    assert found.intervals["kappa"].low < 0.2 and found.intervals["kappa"].high > 0.8


@pytest.mark.parametrize("called", [0.0, 1.0])
def test_a_map_of_one_class(called: float) -> None:
    found = score_drawn(ShapeRates(np.full(12, 1 - called), np.full(12, called)), called=called)
    assert all(np.isfinite([*found.scores.values(), *(ends.low for ends in found.intervals.values())]))


def test_one_seed_gives_one_interval() -> None:
    assert score_drawn(GOOD, called=0.1, seed=3) == score_drawn(GOOD, called=0.1, seed=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"called": 1.2},
        {"called": -0.1},
        {"share": 0.0},
        {"share": 1.0},
        {"level": 0.0},
        {"level": 1.0},
        {"draws": 0},
    ],
)
def test_a_number_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected shares and a level"):
        score_drawn(GOOD, **{"called": 0.1, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("lacks", ["unchanged", "changed"])
def test_a_class_without_a_shape_is_refused(lacks: str) -> None:
    shapes = {"unchanged": np.ones(12), "changed": np.ones(12)} | {lacks: np.empty(0)}
    with pytest.raises(ConfigError, match="a class has no shape that judges: draw shapes of both"):
        score_drawn(ShapeRates(**shapes), called=0.1)


@pytest.mark.parametrize(("share", "found", "false"), [(0.02, 0.8, 0.02), (0.2, 0.95, 0.01), (0.1, 0.6, 0.1)])
@pytest.mark.parametrize("count", [12, 50])
@pytest.mark.quick("12-0.02-*", "50-0.1-*")
def test_the_interval_covers_the_scenes_kappa(share: float, found: float, false: float, count: int) -> None:
    """Of 100 drawings at least 85 (the rule), where the pixels of a shape of nine err together.

    A shape's rate comes from a Beta distribution of the scene's rate with half a pixel's worth of agreement.
    """
    random = np.random.default_rng(1)
    kappa = float(_scores(*(np.array([x]) for x in (share, found, false)))["kappa"][0])
    covered = 0
    for _ in range(100):
        right = [
            random.binomial(9, random.beta(0.5 * rate, 0.5 * (1 - rate), count)) / 9 for rate in (1 - false, found)
        ]
        ends = score_drawn(ShapeRates(*right), called=share * found + (1 - share) * false, draws=400)
        covered += ends.intervals["kappa"].low <= kappa <= ends.intervals["kappa"].high
    assert covered >= 85


def test_a_share_that_somebody_tells_is_known_within_a_quarter() -> None:
    """What one significant digit means, and far less than a label-free map's interval."""
    for told in (0.002, 0.02, 0.3):
        ends = known_share(told)
        assert ends.low / (1 - ends.low) * 1.25 == pytest.approx(told / (1 - told))
        assert ends.high / (1 - ends.high) / 1.25 == pytest.approx(told / (1 - told))
    free = score_drawn(GOOD, called=0.03, share=0.02)
    told = score_drawn(GOOD, called=0.03, share=0.02, share_interval=known_share(0.02), draws=40_000)
    assert (told.share_interval.low, told.share_interval.high) == pytest.approx((0.0161, 0.0249), abs=0.0015)
    assert told.share == pytest.approx(0.02, abs=0.002)

    def width(found: DrawnScores, name: str) -> float:
        return found.intervals[name].high - found.intervals[name].low

    assert free.share_interval.high - free.share_interval.low > 2 * (0.0249 - 0.0161)
    assert width(told, "kappa") < 0.75 * width(free, "kappa")


@pytest.mark.quick("0.023-2.0")
@pytest.mark.parametrize(("share", "hard"), [(0.023, 2.0), (0.12, 3.0)])
def test_with_a_told_share_the_intervals_cover_kappa_and_the_brier_score(share: float, hard: float) -> None:
    """Of 40 drawings of a scene of logits, told the share in one digit, at least 34 (the rule).

    Seven of ten pixels of a shape of nine are copies of one, so that they err together.
    """
    random = np.random.default_rng(3)
    truth = random.random(100_000) < share
    logit = random.normal(np.where(truth, hard, -hard), 1.5) + np.log(share / (1 - share)) / 2
    said = 1 / (1 + np.exp(-logit))
    change = said >= 0.5
    expected = {"kappa": cohen_kappa_score(truth, change), "brier": brier_score_loss(truth, said)}
    told = float(f"{share:.0e}")
    covered = dict.fromkeys(expected, 0)
    widths = []
    for _ in range(40):
        shapes = []
        for own in (np.flatnonzero(~truth), np.flatnonzero(truth)):
            middle = random.choice(own, (15, 1))
            shapes.append(np.where(random.random((15, 9)) < 0.7, middle, random.choice(own, (15, 9))))
        rates = ShapeRates((~change[shapes[0]]).mean(axis=1), change[shapes[1]].mean(axis=1))
        sure = SaidOfChange(said[shapes[1]].mean(axis=1), float(said.mean()), float(np.square(said).mean()))
        found = score_drawn(
            rates,
            called=float(change.mean()),
            share=told,
            share_interval=known_share(told),
            said=sure,
            draws=10_000,
        )
        for name, value in expected.items():
            covered[name] += found.intervals[name].low <= value <= found.intervals[name].high
        widths.append(found.intervals["brier"].high - found.intervals["brier"].low)
    assert min(covered.values()) >= 34
    assert np.mean(widths) < share  # narrower than from a perfect map to one that says nothing


def test_many_shapes_and_a_known_share_tell_the_brier_score() -> None:
    """By hand: of ten parts one changed, of which .8 is said, and .1 of all else."""
    square, mean = 0.1 * 0.8**2 + 0.9 * 0.1**2, 0.1 * 0.8 + 0.9 * 0.1
    found = score_drawn(
        ShapeRates(np.ones(500), np.ones(500)),
        called=0.1,
        share=0.1,
        share_interval=Interval(0.099, 0.101),
        said=SaidOfChange(np.full(500, 0.8), mean, square),
        draws=40_000,
    )
    assert found.scores["brier"] == pytest.approx(0.1 * 0.2**2 + 0.9 * 0.1**2, abs=0.003)
    assert found.intervals["brier"].low < 0.013 < found.intervals["brier"].high
