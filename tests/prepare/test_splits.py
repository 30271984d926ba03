from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import ConfigError, LabelError, UnknownNameError
from hsi_cd.io import read_labels
from hsi_cd.prepare.splits import PROTOCOLS, distance_to, leak_share, make_split, split_p1, stratified_folds
from hsi_cd.scene import Labels, LabelScheme, Split

ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,))
ONE_TWO = LabelScheme(unchanged=(1,), changed=(2,))
TWO_ONE = LabelScheme(unchanged=(2,), changed=(1,))


def mixed_labels(unchanged: int, changed: int, unlabelled: int, *, seed: int = 0) -> Labels:
    values = np.repeat(np.array([0, 1, 255], np.uint8), [unchanged, changed, unlabelled])
    return Labels(np.random.default_rng(seed).permutation(values)[None])


def per_class(labels: Labels, pixels: np.ndarray) -> tuple[int, int]:
    values = labels.values.ravel()[pixels]
    return int((values == 0).sum()), int((values == 1).sum())


@pytest.mark.parametrize(
    ("file", "scheme", "train", "test"),
    [
        ("label.mat", ZERO_ONE, (447, 182), (44_276, 18_095)),
        ("GTChina1.mat", ONE_TWO, (447, 182), (44_276, 18_095)),
        ("SaGT.mat", TWO_ONE, (573, 166), (56_738, 16_510)),
        ("Rivergt.mat", ONE_TWO, (1018, 96), (101_885 - 1018, 9_698 - 96)),
        ("groundtruth.mat", LabelScheme(unchanged=(0,), changed=(255,)), (1018, 96), (100_867, 9_602)),
    ],
)
def test_counts_of_the_protocol_on_real_truth_maps(shared: Path, file: str, scheme, train, test) -> None:
    labels = read_labels(shared / "truth" / file, scheme=scheme)
    split = make_split(labels, protocol="P1", seed=3, fraction=0.01)
    assert per_class(labels, split.train) == train
    assert per_class(labels, np.flatnonzero(split.test_mask(labels))) == test


@pytest.mark.parametrize(
    ("counts", "train"), [((34_211, 39_270, 226_519), (342, 392)), ((80_418, 52_134, 595_608), (804, 521))]
)
def test_counts_of_the_protocol_where_labels_are_sparse(counts, train) -> None:
    labels = mixed_labels(*counts)
    split = make_split(labels, protocol="P1", seed=0, fraction=0.01)
    assert per_class(labels, split.train) == train
    assert split.test_mask(labels).sum() == counts[0] + counts[1] - sum(train)


@given(
    unchanged=st.integers(20, 300),
    changed=st.integers(20, 300),
    ignored=st.integers(0, 100),
    seed=st.integers(0, 99),
)
def test_the_draw_is_that_of_the_protocol(unchanged: int, changed: int, ignored: int, seed: int) -> None:
    labels = mixed_labels(unchanged, changed, ignored, seed=seed)
    state = np.random.RandomState(seed)
    flat = labels.values.ravel().tolist()
    expected = []
    for code, count in ((0, unchanged), (1, changed)):
        pixels = [i for i, value in enumerate(flat) if value == code]
        expected += state.choice(pixels, count // 20, replace=False).tolist()
    drawn = split_p1(labels, seed=seed, fraction=0.05)
    assert drawn.tolist() == expected
    assert drawn.dtype == np.int64
    assert len(set(expected)) == len(expected)
    assert 255 not in labels.values.ravel()[drawn]


@pytest.mark.parametrize(("fraction", "count"), [(0.29, 29), (0.57, 57), (0.07, 7), (1e-2, 1)])
def test_a_share_is_taken_in_decimals(fraction: float, count: int) -> None:
    # In binary, 0.29 * 100 is 28.999999999999996.
    labels = mixed_labels(100, 100, 0)
    assert per_class(labels, split_p1(labels, seed=0, fraction=fraction)) == (count, count)


def test_seeds_draw_other_pixels_and_one_seed_the_same() -> None:
    labels = mixed_labels(1000, 1000, 10)
    first, again, other = (split_p1(labels, seed=seed, fraction=0.1) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())


@pytest.mark.parametrize(("counts", "word"), [((0, 500), "0 unchanged"), ((500, 99), "99 changed")])
def test_a_class_that_can_teach_nothing_is_refused(counts, word: str) -> None:
    with pytest.raises(LabelError, match=f"has {word} pixels, 1.00%"):
        make_split(mixed_labels(*counts, 40), protocol="P1", seed=0, fraction=0.01)


def test_an_unknown_protocol_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"no protocol 'P9': .*known are .*P1"):
        make_split(mixed_labels(9, 9, 0), protocol="P9", seed=0, fraction=0.5)


@given(
    target=st.lists(st.sampled_from([0, 1]), max_size=60).map(lambda values: np.array(values, np.int64)),
    folds=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_each_class_is_dealt_evenly(target: np.ndarray, folds: int, seed: int) -> None:
    part = stratified_folds(target, folds=folds, seed=seed)
    np.testing.assert_array_equal(part, stratified_folds(target, folds=folds, seed=seed))
    assert part.shape == target.shape
    for chosen in (part, part[target == 0], part[target == 1]):
        sizes = np.bincount(chosen, minlength=folds)
        assert len(sizes) == folds and np.ptp(sizes) <= 1


def test_folds_are_drawn_by_the_seed() -> None:
    target = np.repeat([0, 1], 50)
    a, b = (stratified_folds(target, folds=5, seed=seed) for seed in (0, 1))
    assert (a != b).any()


# --- The other protocols ---


def smooth_labels(rows: int, cols: int, *, seed: int = 0) -> Labels:
    """Changed discs on unchanged ground, some of it unlabelled."""
    random = np.random.default_rng(seed)
    row, col = np.mgrid[:rows, :cols]
    values = np.zeros((rows, cols), np.uint8)
    for _ in range(max(4, rows * cols // 150)):
        y, x, size = random.integers(rows), random.integers(cols), random.integers(2, 6)
        values[(row - y) ** 2 + (col - x) ** 2 <= size**2] = 1
    values[random.random((rows, cols)) < 0.1] = 255
    return Labels(values)


def naive_distance(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask)
    out = np.full(mask.shape, sum(mask.shape))
    for row, col in np.ndindex(mask.shape):
        for y, x in points:
            out[row, col] = min(out[row, col], max(abs(row - y), abs(col - x)))
    return out


@given(st.data())
def test_the_distance_is_that_of_a_loop(data) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    mask = np.random.default_rng(data.draw(st.integers(0, 999))).random(shape) < data.draw(st.floats(0, 0.5))
    np.testing.assert_array_equal(distance_to(mask), naive_distance(mask))


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@given(seed=st.integers(0, 50))
def test_what_holds_under_every_protocol(protocol: str, seed: int) -> None:
    labels = smooth_labels(48, 40, seed=seed)
    split = make_split(labels, protocol=protocol, seed=seed, fraction=0.02, count=20, block=12, radius=2)
    again = make_split(labels, protocol=protocol, seed=seed, fraction=0.02, count=20, block=12, radius=2)
    np.testing.assert_array_equal(split.train, again.train)
    train, test = split.train_mask(), split.test_mask(labels)
    assert (split.protocol, split.seed, split.train.dtype) == (protocol, seed, np.int64)
    assert not (train & test).any()
    assert not (labels.values[train | test] == 255).any()
    assert test.any() != (protocol == "drawn")  # where all that is labelled teaches, shapes judge in turn
    assert split.all_teach(labels) == (protocol == "drawn")
    assert len(np.unique(split.train)) == len(split.train)
    if protocol != "P4":
        assert set(labels.values[train]) == {0, 1}


def test_strict_has_the_training_pixels_of_p1_and_judges_far_from_them() -> None:
    labels = smooth_labels(60, 50)
    plain, strict = (make_split(labels, protocol=name, seed=4, fraction=0.005) for name in ("P1", "P1-strict"))
    np.testing.assert_array_equal(plain.train, strict.train)
    expected = plain.test_mask(labels) & (naive_distance(plain.train_mask()) > 6)
    np.testing.assert_array_equal(strict.test_mask(labels), expected)
    assert 0 < expected.sum() < plain.test_mask(labels).sum()
    assert leak_share(strict, labels, radius=3) == 0
    assert leak_share(strict, labels, radius=4) > 0


def test_strict_leaves_about_a_fifth_of_a_real_scene(shared: Path) -> None:
    labels = read_labels(shared / "truth" / "GTChina1.mat", scheme=ONE_TWO)
    plain, strict = (make_split(labels, protocol=name, seed=0, fraction=0.01) for name in ("P1", "P1-strict"))
    left = strict.test_mask(labels).sum() / plain.test_mask(labels).sum()
    assert left == pytest.approx(0.2, abs=0.04)
    # Five in a hundred pixels taught, 5 x 5 patches: the figure that the project's protocol states.
    five = make_split(labels, protocol="P1", seed=0, fraction=0.05)
    assert leak_share(five, labels, radius=2) == pytest.approx(0.98, abs=0.005)


@pytest.mark.parametrize("count", [1, 20, 50])
def test_p2_takes_as_many_of_each_class(count: int) -> None:
    labels = smooth_labels(40, 40)
    split = make_split(labels, protocol="P2", seed=1, count=count)
    assert per_class(labels, split.train) == (count, count)
    pixels = np.flatnonzero(labels.values == 0)
    expected = np.random.RandomState(1).choice(pixels, count, replace=False)
    np.testing.assert_array_equal(split.train[:count], expected)
    assert split.test_mask(labels).sum() == (labels.values != 255).sum() - 2 * count


@pytest.mark.parametrize(("counts", "word"), [((500, 900), "500 unchanged"), ((900, 100), "100 changed")])
def test_p2_leaves_pixels_of_each_class_to_judge(counts, word: str) -> None:
    with pytest.raises(LabelError, match=f"has {word} pixels, 500 of which are to teach"):
        make_split(mixed_labels(*counts, 40), protocol="P2", seed=0)


@given(seed=st.integers(0, 99), block=st.integers(9, 20), radius=st.integers(0, 3))
def test_blocks_keep_the_patches_apart(seed: int, block: int, radius: int) -> None:
    labels = smooth_labels(60, 50, seed=seed)
    try:
        split = make_split(labels, protocol="P3", seed=seed, fraction=0.05, block=block, radius=radius)
    except LabelError:
        return
    train, test = split.train_mask(), split.test_mask(labels)
    assert leak_share(split, labels, radius=radius) == 0
    for code in (0, 1):
        assert (labels.values[train] == code).sum() >= 0.05 * (labels.values == code).sum()
    # No block teaches and judges at once, and within a block only the guard band is left out.
    for row in range(0, 60, block):
        for col in range(0, 50, block):
            cell = np.s_[row : row + block, col : col + block]
            assert not (train[cell].any() and test[cell].any())
            inner = np.s_[row + radius : row + block - radius, col + radius : col + block - radius]
            labelled = labels.values[inner] != 255
            assert (train[inner][labelled].all() or test[inner][labelled].all()) or not labelled.any()


@pytest.mark.parametrize("changes", [{"block": 100}, {"fraction": 0.99}])
def test_blocks_that_cannot_teach_are_refused(changes) -> None:
    with pytest.raises(LabelError, match=r"blocks of .* (split\.block)?"):
        make_split(smooth_labels(40, 40), protocol="P3", seed=0, **({"fraction": 0.05, "block": 20} | changes))


def test_p4_teaches_nothing() -> None:
    labels = smooth_labels(20, 20)
    split = make_split(labels, protocol="P4", seed=0)
    np.testing.assert_array_equal(split.test_mask(labels), labels.values != 255)
    assert leak_share(split, labels, radius=2) == 0


@given(seed=st.integers(0, 99), radius=st.integers(0, 4), fraction=st.floats(0.01, 0.2))
def test_the_leak_is_that_of_a_loop_over_patches(seed: int, radius: int, fraction: float) -> None:
    labels = smooth_labels(17, 19, seed=seed)
    values = labels.values
    pixels = np.flatnonzero(values.ravel() != 255)
    train = np.random.default_rng(seed).choice(pixels, max(1, int(fraction * len(pixels))), replace=False)
    split = Split("P1", seed, labels.shape, train)
    touched = np.zeros(values.shape, bool)
    for row, col in zip(*np.unravel_index(train, values.shape), strict=True):
        touched[max(row - radius, 0) : row + radius + 1, max(col - radius, 0) : col + radius + 1] = True
    test = np.argwhere(split.test_mask(labels))
    overlaps = []
    for row, col in test:
        overlaps.append(
            touched[max(row - radius, 0) : row + radius + 1, max(col - radius, 0) : col + radius + 1].any()
        )
    assert leak_share(split, labels, radius=radius) == np.mean(overlaps)


@pytest.mark.parametrize(
    "changes", [{"fraction": 0.0}, {"fraction": 1.0}, {"count": 0}, {"block": 0}, {"radius": -1}]
)
def test_settings_outside_their_range_are_refused(changes) -> None:
    with pytest.raises(ConfigError, match="expected a fraction"):
        make_split(smooth_labels(20, 20), protocol="P3", seed=0, **changes)


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(LabelError, match="leaves no labelled pixel to judge"):
        make_split(mixed_labels(3, 3, 0), protocol="P1-strict", seed=0, fraction=0.5)


@given(count=st.integers(1, 6), imbalance=st.integers(1, 30), seed=st.integers(0, 20))
def test_rare_change_among_the_training_pixels(count: int, imbalance: int, seed: int) -> None:
    labels = mixed_labels(200, 20, 30, seed=seed)
    split = make_split(labels, protocol="P2", seed=seed, count=count, imbalance=imbalance)
    assert per_class(labels, split.train) == (count * imbalance, count)
    # All others judge, in the scene's own proportion.
    judging = np.flatnonzero(split.test_mask(labels))
    assert per_class(labels, judging) == (200 - count * imbalance, 20 - count)
    state = np.random.RandomState(seed)
    unchanged = state.choice(np.flatnonzero(labels.values == 0), count * imbalance, replace=False)
    assert split.train[: count * imbalance].tolist() == unchanged.tolist()


def test_more_unchanged_pixels_than_there_are_is_refused() -> None:
    labels = mixed_labels(200, 20, 0)
    with pytest.raises(LabelError, match=r"200 unchanged pixels, 200 of which .* split.count or split.imbalance"):
        make_split(labels, protocol="P2", seed=0, count=10, imbalance=20)
