import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import cohen_kappa_score

from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.training.calibration import best_expected_threshold, calibrate, uncalibrated, with_share


def logistic_data(slope: float, offset: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, n)
    return logits, (rng.random(n) < expit(slope * logits + offset)).astype(np.float64)


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.4, 0.8), (2.5, -1.5)])
def test_the_sigmoid_behind_the_labels_is_recovered(slope: float, offset: float) -> None:
    found = calibrate(*logistic_data(slope, offset))
    assert found.slope == pytest.approx(slope, abs=0.08)
    assert found.offset == pytest.approx(offset, abs=0.08)


def test_the_threshold_is_near_the_best_for_the_labels() -> None:
    logits, target = logistic_data(1.5, -2.0)
    found = calibrate(logits, target)
    probability = expit(found.slope * logits + found.offset)
    best = max(cohen_kappa_score(target, probability >= t) for t in np.linspace(0.05, 0.95, 91))
    assert cohen_kappa_score(target, probability >= found.threshold) > best - 0.01


@pytest.mark.parametrize("gap", [-3.0, 0.0, 0.5, 5.0, 500.0])
def test_ten_labels_give_a_sane_result(gap: float) -> None:
    rng = np.random.default_rng(1)
    target = np.repeat([0.0, 1.0], 5)
    logits = rng.normal(0, 1, 10) + gap * (target - 0.5)
    found = calibrate(logits, target)
    assert 0.05 <= found.slope < 3
    assert abs(found.offset) < 1
    assert 0 < found.threshold < 1
    if gap >= 5:
        probability = expit(found.slope * logits + found.offset)
        np.testing.assert_array_equal(probability >= found.threshold, target == 1)


def test_a_few_labels_hardly_overturn_what_the_logits_say() -> None:
    logits, target = logistic_data(3.0, 2.0)
    few, many = calibrate(logits[:6], target[:6]), calibrate(logits, target)
    assert abs(few.slope - 1) < abs(many.slope - 1)
    assert abs(few.offset) < abs(many.offset)


def test_slope_and_offset_are_drawn_towards_1_and_0_alike() -> None:
    logits, target = logistic_data(3.0, 2.0, n=12)
    found = calibrate(logits, target)
    off = expit(found.slope * logits + found.offset) - target
    # Where likelihood and prior balance, the gradient of one is that of the other.
    strength = -np.array([off @ logits / (found.slope - 1), off.sum() / found.offset])
    assert strength[0] > 0
    assert strength[1] == pytest.approx(strength[0], rel=1e-2)


def test_the_order_of_scores_is_kept_even_by_labels_that_say_the_opposite() -> None:
    logits, target = logistic_data(1.0, 0.0)
    assert calibrate(logits, 1 - target).slope > 0


@pytest.mark.parametrize("target", [np.zeros(4), np.ones(4)])
def test_one_class_alone_gives_a_threshold_too(target: np.ndarray) -> None:
    found = calibrate(np.array([-1.0, 0.0, 0.5, 2.0]), target)
    assert 0 < found.threshold < 1


def expected_kappa(probability: np.ndarray, threshold: float) -> float:
    """Kappa of the expected confusion matrix."""
    flagged = probability >= threshold
    n = len(probability)
    tp, fp = probability[flagged].sum(), (1 - probability[flagged]).sum()
    fn, tn = probability[~flagged].sum(), (1 - probability[~flagged]).sum()
    agree = (tp + tn) / n
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    return (agree - chance) / (1 - chance)


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=30))
def test_no_other_threshold_promises_more(values: list[float]) -> None:
    probability = np.array(values)
    best = max((expected_kappa(probability, t) for t in np.unique(probability)[1:]), default=0.0)
    found = best_expected_threshold(probability)
    assert expected_kappa(probability, found) == pytest.approx(best, abs=1e-9)
    assert min(values) <= found <= max(values)


@pytest.mark.parametrize("probability", [[], [0.3], [0.9]])
def test_nothing_to_choose_from_gives_one_half(probability: list[float]) -> None:
    assert best_expected_threshold(np.array(probability)) == 0.5


def test_labels_drawn_by_class_are_taken_back_to_the_share_of_the_scene() -> None:
    """Probabilities and threshold are those of a scene of which 5 % changed, learned from balanced labels."""
    rng = np.random.default_rng(2)
    target = np.repeat([0.0, 1.0], 4000)
    logits = 1.5 * (rng.normal(0, 1, 8000) + 1.5 * (target - 0.5))  # the log-odds of such a balanced draw
    balanced = calibrate(logits, target)
    found = with_share(balanced, logits, target, share=0.05)
    truth = (rng.random(100_000) < 0.05).astype(np.float64)
    scene = 1.5 * (rng.normal(0, 1, 100_000) + 1.5 * (truth - 0.5))

    def probability(calibration: Calibration) -> np.ndarray:
        return expit(calibration.slope * scene + calibration.offset)

    assert probability(found).mean() == pytest.approx(truth.mean(), abs=0.004)
    assert probability(balanced).mean() > 0.2
    best = max(cohen_kappa_score(truth, probability(found) >= t) for t in np.linspace(0.02, 0.8, 40))
    assert cohen_kappa_score(truth, probability(found) >= found.threshold) > best - 0.015


def test_the_share_of_the_labels_themselves_changes_nothing_but_the_weights() -> None:
    logits, target = logistic_data(1.5, -1.0, n=500)
    fitted = calibrate(logits, target)
    same = with_share(fitted, logits, target, share=float(target.mean()))
    assert same.offset == pytest.approx(fitted.offset)
    assert same.threshold == pytest.approx(fitted.threshold)


def test_a_threshold_that_is_set_stays_and_the_probabilities_are_the_same() -> None:
    logits, target = logistic_data(1.5, -2.0, n=500)
    free, fixed = calibrate(logits, target), calibrate(logits, target, threshold=0.3)
    assert fixed == Calibration(free.slope, free.offset, 0.3) and free.threshold != 0.3
    moved = with_share(fixed, logits, target, share=0.5, threshold=0.3)
    freely = with_share(free, logits, target, share=0.5)
    assert moved == Calibration(freely.slope, freely.offset, 0.3)


def test_a_learned_threshold_takes_the_logits_at_their_word() -> None:
    logits, target = logistic_data(1.5, -2.0, n=500)
    found = calibrate(logits, target, threshold="learned")
    assert found == Calibration(1.0, 0.0, 0.5)
    assert with_share(found, logits, target, share=0.2, threshold="learned") == found


@pytest.mark.parametrize(("threshold", "expected"), [("validation", 0.5), ("learned", 0.5), (0.2, 0.2)])
def test_without_validation_the_logits_are_taken_at_their_word(threshold: str | float, expected: float) -> None:
    assert uncalibrated(threshold) == Calibration(1.0, 0.0, expected)
