import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hsi_cd.config import ATTENTIONS
from hsi_cd.detectors.network import find_part
from hsi_cd.nn.attention import BilateralBAM, NoAttention
from hsi_cd.nn.bam import BAM, PAM, SpatialAttention
from hsi_cd.nn.channel_attention import CBAM, ChannelAttention
from hsi_cd.nn.cost import PeakMemory
from hsi_cd.nn.local_attention import dilated_attention, local_attention
from hsi_cd.nn.neighbourhoods import crop

size = st.integers(1, 19)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patches(x: Tensor, radius: int, step: int = 1) -> dict[tuple[int, int], Tensor]:
    """Around each pixel, the keys ``step`` apart: ``(N, C, keys)`` by pixel."""
    rows, cols = x.shape[2] - 2 * radius * step, x.shape[3] - 2 * radius * step
    reach = 2 * radius * step + 1
    return {
        (r, c): x[:, :, r : r + reach : step, c : c + reach : step].flatten(2)
        for r in range(rows)
        for c in range(cols)
    }


def naively(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, *, radius: int, distance: bool = False, step: int = 1
) -> Tensor:
    """Softmax attention, pixel by pixel, over the windows of one map or several."""
    out = query.new_zeros(len(query), value.shape[1], *query.shape[2:])
    each = [[patches(part, radius, step) for part in x.split(len(query))] for x in (key, value, bias)]
    keys, values, biases = ({at: torch.cat([m[at] for m in maps], dim=-1) for at in maps[0]} for maps in each)
    for (r, c), k in keys.items():
        q = query[:, :, r, c, None]
        logits = -(q - k).square().sum(dim=1) / 2 if distance else (q * k).sum(dim=1)
        weight = torch.softmax(logits + biases[r, c][:, 0], dim=-1)
        out[:, :, r, c] = (weight[:, None] * values[r, c]).sum(dim=-1)
    return out


def inputs(
    h: int, w: int, margin: int, channels: int, seed: int, maps: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, whole = 2 * maps, (h + 2 * margin, w + 2 * margin)
    query, key = randn(2, channels, h, w, seed=seed), randn(n, channels, *whole, seed=seed + 1)
    bias = torch.where(randn(n, 1, *whole, seed=seed + 3) < -1, -1e4, 0.0).double()
    return query, key, randn(n, 3, *whole, seed=seed + 2), bias


@given(
    h=size,
    w=size,
    radius=st.integers(0, 3),
    channels=st.integers(1, 4),
    distance=st.booleans(),
    maps=st.integers(1, 3),
    heads=st.integers(1, 3),
    grad=st.booleans(),
)
def test_blocks_of_queries_equal_one_query_at_a_time(h, w, radius, channels, distance, maps, heads, grad) -> None:
    query, key, value, bias = inputs(h, w, radius, channels * heads, seed=h * w, maps=maps)
    with torch.set_grad_enabled(grad):
        found = local_attention(query, key, value, bias, radius=radius, distance=distance, heads=heads)
    each = zip(query.chunk(heads, dim=1), key.chunk(heads, dim=1), strict=True)
    wanted = [naively(q, k, value, bias, radius=radius, distance=distance) for q, k in each]
    torch.testing.assert_close(found, torch.cat(wanted, dim=1))


def test_scenes_are_attended_to_in_strips_that_change_nothing_and_take_little_memory() -> None:
    query, key, value, bias = inputs(64, 64, 2, 12, seed=0)
    with PeakMemory([query, key, value, bias]) as whole:
        wanted = local_attention(query, key, value, bias, radius=2, distance=True, heads=3)
    with torch.no_grad(), PeakMemory([query, key, value, bias]) as strips:
        found = local_attention(query, key, value, bias, radius=2, distance=True, heads=3)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    assert strips.peak < whole.peak / 2


@pytest.mark.slow
@pytest.mark.parametrize(("h", "maps", "heads"), [(6, 1, 1), (5, 2, 2)])
def test_a_traced_attention_is_the_same(h: int, maps: int, heads: int) -> None:
    """Windows that overlap are cut in another way for ``torch.compile``."""
    torch.compiler.reset()
    query, key, value, bias = inputs(h, h, 2, 2 * heads, seed=1, maps=maps)
    leaves = [x.requires_grad_() for x in (query, key, value)]
    found = [
        torch.autograd.grad(attend(*leaves, bias, radius=2, distance=True, heads=heads).square().sum(), leaves)
        for attend in (local_attention, torch.compile(local_attention, backend="aot_eager"))
    ]
    torch.testing.assert_close(found[1], found[0])


@given(h=size, w=size, reach=st.integers(0, 2), dilation=st.integers(1, 4), maps=st.integers(1, 2))
def test_lattices_equal_keys_that_stand_apart(h: int, w: int, reach: int, dilation: int, maps: int) -> None:
    tensors = inputs(h, w, reach * dilation, 2, seed=h + w, maps=maps)
    found = dilated_attention(*tensors, reach=reach, dilation=dilation)
    torch.testing.assert_close(found, naively(*tensors, radius=reach, step=dilation))


def test_distances_far_from_the_origin_keep_their_digits() -> None:
    query, key, value, bias = (x.float() for x in inputs(9, 9, 2, 3, seed=0))
    bias = torch.zeros_like(bias)
    near = local_attention(query, key, value, bias, radius=2, distance=True)
    far = local_attention(query + 512, key + 512, value, bias, radius=2, distance=True)
    torch.testing.assert_close(far, near, atol=1e-3, rtol=0)


def bam(channels: int = 16, **options: int | bool) -> BAM:
    torch.manual_seed(1)
    module = BAM(channels, **options).double()
    with torch.no_grad():
        module.gamma.fill_(0.7)
    return module


def scene(channels: int, rows: int, cols: int, *, holes: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    valid = torch.ones(2, 1, rows, cols, dtype=torch.bool)
    if holes:
        valid = randn(2, 1, rows, cols, seed=9) > -1
    x1, x2 = (randn(2, channels, rows, cols, seed=s) * valid for s in (1, 2))
    return x1, x2, valid


def linear(layer: torch.nn.Conv2d, spectra: Tensor) -> Tensor:
    return spectra @ layer.weight[:, :, 0, 0].T + layer.bias


def gathered(module: SpatialAttention, centre: Tensor, around: list[tuple[Tensor, Tensor]]) -> Tensor:
    """What one pixel gathers, by the formula: boxes around the keys, query times keys, softmax, values.

    ``centre`` is ``(C,)``; ``around`` holds the square ``(C, p, p)`` of each date that is attended to, and where
    it is valid.
    """
    half, means = module.box // 2, []
    steps = range(-module.reach, module.reach + 1)
    for x, valid in around:
        for i, j in ((i * module.ds, j * module.ds) for i in steps for j in steps):
            top, left = (x.shape[1] // 2 + offset - half for offset in (i, j))
            box = (slice(top, top + module.box), slice(left, left + module.box))
            inside = valid[0][box]
            if inside.any():
                means.append(x[:, box[0], box[1]][:, inside].mean(dim=1))
    keys = torch.stack(means)
    logits = linear(module.key, keys) @ linear(module.query, centre) / module.query.out_channels**0.5
    return torch.softmax(logits, dim=0) @ linear(module.value, keys)


def assert_equals_its_formula(module: torch.nn.Module, wanted, *, holes: bool) -> None:
    """``wanted`` gives the two pixels that come of two squares ``(C, p, p)`` and their validity ``(1, p, p)``."""
    side = 2 * module.radius + 1
    x1, x2, valid = scene(16, 3 + side, 2 + side, holes=holes)
    found = module(x1, x2, valid)
    for n in range(2):
        for row in range(4):
            for col in range(3):
                square = (n, slice(None), slice(row, row + side), slice(col, col + side))
                for y, expected in zip(found, wanted(x1[square], x2[square], valid[square]), strict=True):
                    torch.testing.assert_close(y[n, :, row, col], expected)


def middle(square: Tensor) -> Tensor:
    return square[:, square.shape[1] // 2, square.shape[2] // 2]


@pytest.mark.parametrize("ds", [1, 2, 3])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_bam_equals_its_formula_patch_by_patch(ds: int, joint: bool, holes: bool) -> None:
    module = bam(window=3, ds=ds, joint=joint)

    def wanted(x1: Tensor, x2: Tensor, valid: Tensor) -> list[Tensor]:
        both = [(x1, valid), (x2, valid)]
        return [
            middle(x) + module.gamma * gathered(module, middle(x), both if joint else [(x, valid)])
            for x in (x1, x2)
        ]

    assert_equals_its_formula(module, wanted, holes=holes)


@pytest.mark.parametrize("holes", [False, True])
def test_a_pyramid_equals_its_formula_patch_by_patch(holes: bool) -> None:
    torch.manual_seed(1)
    module = PAM(16, window=3, scales=(1, 3)).double()
    with torch.no_grad():
        module.gamma.fill_(0.7)

    def wanted(x1: Tensor, x2: Tensor, valid: Tensor) -> list[Tensor]:
        found = []
        for x in (x1, x2):
            scales = [gathered(scale, middle(x), [(x, valid)]) for scale in module.scales]
            found.append(middle(x) + 0.7 * linear(module.fuse, torch.cat(scales)))
        return found

    assert module.radius == 4
    assert_equals_its_formula(module, wanted, holes=holes)


def squeezed(module: ChannelAttention, x: Tensor, valid: Tensor, *, maximum: bool) -> Tensor:
    """The pixel in the middle of a square, its channels weighed by the square."""

    def perceptron(spectrum: Tensor) -> Tensor:
        first, _, last = module.perceptron
        return linear(last, torch.nn.functional.gelu(linear(first, spectrum)))

    values = x[:, valid[0]]
    if not values.numel():
        values = torch.zeros(len(x), 1, dtype=x.dtype)
    answer = perceptron(values.mean(dim=1))
    if maximum:
        answer = answer + perceptron(values.amax(dim=1))
    return 2 / (1 + torch.exp(-answer)) * middle(x)


@pytest.mark.parametrize("holes", [False, True])
def test_channel_attention_equals_its_formula_patch_by_patch(holes: bool) -> None:
    torch.manual_seed(1)
    module = ChannelAttention(16, window=3).double()

    def wanted(x1: Tensor, x2: Tensor, valid: Tensor) -> list[Tensor]:
        return [squeezed(module, x, valid, maximum=False) for x in (x1, x2)]

    assert_equals_its_formula(module, wanted, holes=holes)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.quick("True")
def test_cbam_equals_its_formula_patch_by_patch(holes: bool) -> None:
    torch.manual_seed(1)
    module = CBAM(16, window=3).double()

    def place(x: Tensor, valid: Tensor) -> Tensor:
        total, weighed = module.place.bias[0], {}
        for i in range(7):
            for j in range(7):
                square = (slice(None), slice(i, i + 3), slice(j, j + 3))
                weighed[i, j] = squeezed(module.channel, x[square], valid[square], maximum=True)
                if valid[0, i + 1, j + 1]:
                    mean, most = module.place.weight[0, :, i, j]
                    total = total + mean * weighed[i, j].mean() + most * weighed[i, j].max()
        return 2 / (1 + torch.exp(-total)) * weighed[3, 3]

    assert module.radius == 4
    assert_equals_its_formula(module, lambda x1, x2, valid: [place(x, valid) for x in (x1, x2)], holes=holes)


def test_bam_has_an_eighth_of_the_channels_in_queries_and_keys() -> None:
    module = BAM(40, window=3)
    assert (module.query.out_channels, module.key.out_channels, module.value.out_channels) == (5, 5, 40)


def test_bam_starts_from_the_features_without_attention() -> None:
    module = BAM(16, window=5)
    x1, x2, valid = scene(16, 11, 12)
    y1, y2 = module(x1.float(), x2.float(), valid)
    torch.testing.assert_close(y1, crop(x1, 2).float(), rtol=0, atol=0)
    torch.testing.assert_close(y2, crop(x2, 2).float(), rtol=0, atol=0)
    (y1.sum() + y2.sum()).backward()
    assert module.gamma.grad is not None and module.gamma.grad != 0


def test_a_window_over_everything_is_full_attention() -> None:
    module = bam(window=7)
    x, _, valid = scene(16, 7, 7)
    pixels = x.flatten(2).transpose(1, 2)  # (N, pixels, C)
    q, k, v = (
        (pixels @ layer.weight[:, :, 0, 0].T + layer.bias) for layer in (module.query, module.key, module.value)
    )
    attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)  # N x N weights
    centre = (pixels + module.gamma * attended)[:, 24]
    torch.testing.assert_close(module(x, x, valid)[0][:, :, 0, 0], centre)


def bilateral(channels: int = 6, **options: float) -> BilateralBAM:
    noise = torch.linspace(0.2, 0.5, channels)
    return BilateralBAM(channels, channels=4, window=5, noise=noise, **options).double().eval()


def by_name(kind: str) -> torch.nn.Module:
    torch.manual_seed(1)
    options = {"window": 3, "ds": 2, "scales": (1, 2), "noise": torch.ones(16), "noise_gain": 0.0}
    module = find_part("attention", kind, ATTENTIONS).build(16, options).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name == "gamma":
                parameter.fill_(0.8)
    return module.eval()


ATTENTIVE = sorted(ATTENTIONS.keys() - {"none"})


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_invalid_pixels_are_attended_by_none(kind: str) -> None:
    module = by_name(kind)
    x1, x2, valid = scene(16, 15, 14, holes=True)
    before = module(x1, x2, valid)
    after = module(*(torch.where(valid, x, 3 + randn(*x.shape, seed=5)) for x in (x1, x2)), valid)
    seen = crop(valid, module.radius).expand_as(before[0])
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b[seen], a[seen])


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_a_window_without_data_still_gives_numbers(kind: str) -> None:
    module = by_name(kind)
    x1, x2, valid = scene(16, 15, 14)
    for y in module(x1 * 0, x2 * 0, torch.zeros_like(valid)):
        assert torch.isfinite(y).all()


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_memory_grows_with_the_pixels_not_with_their_square(kind: str) -> None:
    """Bytes of all tensors alive at once. N x N weights of the larger scene alone would take 302 MB."""
    module, peaks = by_name(kind).float(), []
    for rows in (32, 96):
        x1, x2, valid = (x.float() if x.is_floating_point() else x for x in scene(16, rows, 64))
        with torch.inference_mode(), PeakMemory([*module.parameters(), x1, x2, valid]) as memory:
            module(x1, x2, valid)
        peaks.append(memory.peak)
    assert 2 < peaks[1] / peaks[0] < 3.6  # three times as many pixels, a smaller share of them at the edges
    assert peaks[1] < 60e6


def test_a_bilateral_module_starts_as_a_bilateral_filter_over_both_dates() -> None:
    module = bilateral(range=2.0, gamma=3.0)
    x1, x2, valid = scene(6, 9, 8, holes=True)
    found = module(x1, x2, valid)
    noise = torch.linspace(0.2, 0.5, 6)[:4, None].double()
    windows = [patches(x, 2) for x in (x1, x2, valid.double())]
    for (r, c), inside in windows[2].items():
        distance = torch.zeros_like(inside[:, 0])
        for x, around in zip((x1, x2), windows, strict=False):
            off = (around[r, c][:, :4] - x[:, :4, r + 2, c + 2, None]) / (2.0 * noise)
            distance += off.square().mean(dim=1) / 2  # of both dates, in tolerances, a mean over the channels
        weight = torch.exp(-distance / 2) * inside[:, 0]
        weight /= weight.sum(dim=1, keepdim=True).clamp_min(1e-300)
        for x, around, y in zip((x1, x2), windows, found, strict=False):
            if valid[:, 0, r + 2, c + 2].all():
                filtered = (weight[:, None] * around[r, c]).sum(dim=-1)
                expected = (x[:, :, r + 2, c + 2] + 3.0 * filtered) / 4.0
                torch.testing.assert_close(y[:, :, r, c], expected, atol=1e-6, rtol=1e-5)


def test_a_bilateral_module_does_not_care_which_date_comes_first() -> None:
    x1, x2, valid = scene(6, 12, 11, holes=True)
    y1, y2 = bilateral()(x1, x2, valid)
    z2, z1 = bilateral()(x2, x1, valid)
    torch.testing.assert_close(z1, y1)
    torch.testing.assert_close(z2, y2)


def test_both_dates_are_filtered_with_one_attention_map() -> None:
    # An edge that only the second date shows keeps the first date's sides apart, too.
    module = bilateral(range=1.0)
    x1 = 0.05 * randn(1, 6, 5, 14)
    x2 = torch.zeros_like(x1)
    valid = torch.ones(1, 1, 5, 14, dtype=torch.bool)
    x2[..., 7:] = 50.0
    other_side = x1.clone()
    other_side[..., 7:] += 100.0
    left = module(x1, x2, valid)[0][..., :5]
    torch.testing.assert_close(module(other_side, x2, valid)[0][..., :5], left)


def test_noise_is_added_only_while_training() -> None:
    x1, x2, valid = scene(6, 9, 8)
    module = bilateral(noise_gain=1.0)
    first, again = module(x1, x2, valid)[0], module(x1, x2, valid)[0]
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    module.train()
    assert not torch.equal(module(x1, x2, valid)[0], module(x1, x2, valid)[0])
    silent = bilateral(noise_gain=0.0).train()
    torch.testing.assert_close(silent(x1, x2, valid)[0], first)


def test_noise_is_of_the_size_of_the_sensors() -> None:
    module = bilateral(noise_gain=2.0, gamma=0.0).train()  # the unfiltered features alone
    x = torch.zeros(1, 6, 104, 104, dtype=torch.float64)
    y, _ = module(x, x, torch.ones(1, 1, 104, 104, dtype=torch.bool))
    deviation = y.std(dim=(0, 2, 3))
    torch.testing.assert_close(deviation, 2 * torch.linspace(0.2, 0.5, 6).double(), rtol=0.05, atol=0)


def test_the_amplitude_stays_whatever_gamma_is() -> None:
    flat = torch.full((1, 6, 5, 5), 2.5, dtype=torch.float64)
    for gamma in (0.0, 1.0, 9.0):
        y, _ = bilateral(gamma=gamma)(flat, flat, torch.ones(1, 1, 5, 5, dtype=torch.bool))
        torch.testing.assert_close(y, flat[:, :, :1, :1])


def test_no_attention_leaves_everything_as_it_is() -> None:
    x1, x2, valid = scene(3, 4, 5)
    module = NoAttention()
    y1, y2 = module(x1, x2, valid)
    assert y1 is x1 and y2 is x2 and module.radius == 0
