"""Every registered combination of parts passes the same tests."""

import io
import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hsi_cd.config import ATTENTIONS, BACKBONES, HEADS
from hsi_cd.detectors.network import find_part
from hsi_cd.nn.attention import NoAttention
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pointwise import GELU, PointwiseConv
from hsi_cd.nn.siamese_network import Ensemble, SiameseNetwork

CHANNELS, WIDTH = 6, 8
# The bilateral filter starts from the noise of the input: it cannot stand behind the encoder.
PLACES = [
    (kind, first) for kind, first in itertools.product(ATTENTIONS, (True, False)) if first or kind != "bilateral"
]
EVERY = [(*place, *rest) for place, rest in itertools.product(PLACES, itertools.product(BACKBONES, HEADS))]
COVERING = list(
    dict.fromkeys(
        [
            *[(kind, first, "pointwise", "distance_mlp") for kind, first in PLACES],
            *[("bilateral", True, backbone, "distance_mlp") for backbone in BACKBONES],
            *[("bilateral", True, "pointwise", head) for head in HEADS],
            # A few that meet where something could go wrong: attention behind strides, over what was normed.
            ("pam", False, "spectral_spatial", "distance"),
            ("channel", False, "resnet18", "concatenation"),
            ("joint_bam", False, "transformer", "cosine"),
            ("none", True, "resnet50", "difference"),
            ("channel", True, "inception", "euclidean"),
        ]
    )
)
"""Every block beside the default's others; all products of blocks are among the slow tests."""
FEW = [
    (*PLACES[i % len(PLACES)], list(BACKBONES)[i % len(BACKBONES)], list(HEADS)[i % len(HEADS)])
    for i in range(max(len(PLACES), len(BACKBONES), len(HEADS)))
]
"""Every block in as few networks as can be: the quick suite's."""

OPTIONS = {
    "resnet18": [{"until": "layer2"}, {"until": "layer2", "upsample": "transposed"}],
    "resnet34": [{"until": "layer1", "upsample": "transposed"}],
    "resnet50": [{"until": "layer1"}],
    "densenet121": [{"until": "transition1"}, {"until": "denseblock1", "upsample": "transposed"}],
    "spectral": [{}, {"conv": "3d"}],
}
"""Ways to build a backbone, the first one in all tests; deep networks are cut short, for speed."""


def build(
    attention: str,
    attend_first: bool,
    backbone: str,
    head: str,
    *,
    channels: int = CHANNELS,
    ds: int = 1,
    noise: float = 0.0,
    dropout: float = 0.0,
    way: int = 0,
) -> SiameseNetwork:
    torch.manual_seed(0)
    attended = find_part("attention", attention, ATTENTIONS).build(
        channels if attend_first else WIDTH,
        {
            "window": 3 if attention == "pam" else 5,
            "channels": 4,
            "ds": ds,
            "scales": (1, ds + 1),
            "noise": torch.linspace(0.1, 0.4, channels),
            "noise_gain": noise,
        },
    )
    options = {"width": WIDTH, "depth": 3, "patch": 7, "window": 3, "kernel": 3}
    options |= OPTIONS.get(backbone, [{}])[way]
    encoder = find_part("backbone", backbone, BACKBONES).build(channels, options)
    last = find_part("head", head, HEADS).build(WIDTH, {"dropout": dropout})
    network = SiameseNetwork(attended, encoder, last, attend_first=attend_first, gain_noise=noise)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.8)  # BAM's is 0 at the start, which would hide its attention
        generator = torch.Generator().manual_seed(1)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as after some training, and tame
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(1, 3, generator=generator)
    return network.eval()


def dates(n: int, channels: int, rows: int, cols: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    t1, t2 = torch.randn((2, n, channels, rows, cols), generator=generator)
    return t1, t2


def holes(n: int, rows: int, cols: int) -> Tensor:
    """Single pixels without data, and a hole wider than a window."""
    valid = torch.rand((n, 1, rows, cols), generator=torch.Generator().manual_seed(3)) > 0.15
    valid[:, :, rows // 3 : rows // 3 + 7, cols // 2 :] = False
    return valid


def assert_window_equals_patches(network: SiameseNetwork, h: int, w: int) -> None:
    r = network.radius
    valid = holes(1, h + 2 * r, w + 2 * r)
    t1, t2 = (t * valid for t in dates(1, CHANNELS, h + 2 * r, w + 2 * r, seed=h * w))
    with torch.inference_mode():
        dense = network(t1, t2, valid)[0, 0]
        side = 2 * r + 1
        cut = [
            torch.stack([x[0, :, i : i + side, j : j + side] for i in range(h) for j in range(w)])
            for x in (t1, t2, valid)
        ]
        patches = network(*cut).reshape(h, w)
    torch.testing.assert_close(dense, patches, atol=1e-5, rtol=1e-5)


def combinations() -> list[pytest.ParameterSet]:
    names = {parts: "-".join([parts[0], "first" if parts[1] else "last", *parts[2:]]) for parts in EVERY}
    # To collect the thousands takes ten seconds, also where none of them runs.
    wanted = EVERY if settings.default.max_examples > 20 else dict.fromkeys([*FEW, *COVERING])
    return [
        pytest.param(parts, id=names[parts], marks=[] if parts in FEW else [pytest.mark.slow]) for parts in wanted
    ]


def also_slowly(quick: list[Any], slow: list[Any]) -> list[Any]:
    return [*quick, *(pytest.param(*each, marks=pytest.mark.slow) for each in slow)]


@pytest.mark.parametrize("parts", combinations())
class TestEveryNetwork:
    @pytest.mark.parametrize(("h", "w"), also_slowly([(1, 6)], [(1, 1), (9, 5)]))
    def test_a_window_gives_one_logit_a_pixel(self, parts, h: int, w: int) -> None:
        network = build(*parts)
        r = network.radius
        logits = network(*dates(2, 6, h + 2 * r, w + 2 * r))
        assert logits.shape == (2, 1, h, w)
        assert torch.isfinite(logits).all()

    @pytest.mark.parametrize("channels", also_slowly([1, 40], [(2,), (7,), (400,)]))
    def test_any_number_of_bands(self, parts, channels: int) -> None:
        network = build(*parts, channels=channels)
        side = 2 * network.radius + 1
        assert network(*dates(3, channels, side, side)).shape == (3, 1, 1, 1)

    @settings(max_examples=4)
    @given(h=st.integers(1, 9), w=st.integers(1, 9), ds=st.integers(1, 3))
    def test_a_window_equals_its_patches(self, parts, h: int, w: int, ds: int) -> None:
        assert_window_equals_patches(build(*parts, ds=ds), h, w)

    def test_the_radius_is_what_a_logit_depends_on(self, parts) -> None:
        network = build(*parts)
        side = 2 * network.radius + 1
        t1, t2 = (t.requires_grad_() for t in dates(1, 6, side, side))
        network(t1, t2).sum().backward()
        for t in (t1, t2):
            assert (t.grad.abs().sum(dim=1)[0] > 0).all()

    def test_every_parameter_learns(self, parts) -> None:
        network = build(*parts).train()
        side = 2 * network.radius + 3
        network(*dates(4, 6, side, side)).square().mean().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            # The softmax over keys does not see what adds the same to all of them.
            if not name.endswith("key.bias"):
                assert (parameter.grad != 0).any(), name

    def test_change_has_no_direction_where_the_head_says_so(self, parts) -> None:
        network = build(*parts)
        side = 2 * network.radius + 4
        valid = holes(2, side, side)
        t1, t2 = (t * valid for t in dates(2, 6, side, side))
        back, forth = network(t2, t1, valid), network(t1, t2, valid)
        assert torch.allclose(back, forth, atol=1e-5, rtol=1e-5) == network.head.symmetric

    def test_all_valid_is_the_default(self, parts) -> None:
        network = build(*parts)
        rows, cols = 2 * network.radius + 4, 2 * network.radius + 5
        t1, t2 = dates(1, 6, rows, cols)
        every = torch.ones(1, 1, rows, cols, dtype=torch.bool)
        torch.testing.assert_close(network(t1, t2), network(t1, t2, every), rtol=0, atol=0)

    def test_a_saved_network_is_the_same_when_loaded(self, parts) -> None:
        network, other = build(*parts), build(*parts)
        with torch.no_grad():
            for value in other.state_dict().values():
                value.add_(1)
        side = 2 * network.radius + 2
        inputs = dates(1, 6, side, side)
        assert not torch.equal(other(*inputs), network(*inputs))
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        torch.testing.assert_close(other(*inputs), network(*inputs), rtol=0, atol=0)

    def test_disturbed_only_while_training(self, parts) -> None:
        network = build(*parts, noise=1.0, dropout=0.5)
        side = 2 * network.radius + 2
        inputs = dates(2, 6, side, side)
        torch.testing.assert_close(network(*inputs), network(*inputs), rtol=0, atol=0)
        network.train()
        assert not torch.equal(network(*inputs), network(*inputs))

    def test_the_same_seed_learns_the_same(self, parts, deterministic) -> None:
        first, second = (gradients(build(*parts, noise=1.0, dropout=0.5).train()) for _ in range(2))
        assert [name for name, value in first.items() if not torch.equal(value, second[name])] == []

    @pytest.mark.quick(
        "*-pointwise-*", "*-spectral*", "*-inception-*", "*-transformer-*", "*-resnet18-*", "*-resnet50-*"
    )
    def test_half_the_digits_give_nearly_the_same(self, parts) -> None:
        network = build(*parts)
        side = 2 * network.radius + 1
        inputs = dates(2, 6, side, side)
        logits = network(*inputs)
        logits.sum().backward()
        exact = [parameter.grad for parameter in network.parameters()]
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            low = network(*inputs)
            low.float().sum().backward()
        torch.testing.assert_close(low.float(), logits, atol=0.15, rtol=0.05)
        for name, parameter in network.named_parameters():
            assert parameter.dtype == torch.float32 and torch.isfinite(parameter.grad).all(), name
        grads = [parameter.grad for parameter in network.parameters()]
        assert not all(map(torch.equal, grads, exact))  # fewer digits were in use


def gradients(network: SiameseNetwork) -> dict[str, Tensor]:
    """Of every parameter, after a batch of patches as in training."""
    torch.manual_seed(1)
    side = 2 * network.radius + 1
    network(*dates(4, CHANNELS, side, side)).square().mean().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("backbone", "way"),
    [(name, way) for name, ways in OPTIONS.items() for way in range(len(ways))],
)
@settings(max_examples=4)
@given(h=st.integers(1, 6), w=st.integers(1, 6))
def test_every_way_to_build_a_backbone_keeps_to_its_patch(backbone: str, way: int, h: int, w: int) -> None:
    assert_window_equals_patches(build("none", True, backbone, "distance", way=way), h, w)


@pytest.mark.slow
@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
@pytest.mark.parametrize("kind", ["resnet18", "resnet34", "resnet50", "densenet121"])
def test_whole_networks_keep_to_their_patch(kind: str, upsample: str, monkeypatch) -> None:
    monkeypatch.setitem(OPTIONS, kind, [{"upsample": upsample, "patch": 13}])
    assert_window_equals_patches(build("channel", True, kind, "distance_mlp"), 5, 6)


def compiled_equals_itself(parts: tuple[str, bool, str, str], backend: str) -> None:
    torch.compiler.reset()
    network = build(*parts)
    side = 2 * network.radius + 3
    inputs = dates(2, CHANNELS, side, side)
    compiled = torch.compile(network, backend=backend)
    expected, found = network(*inputs), compiled(*inputs)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    wanted = torch.autograd.grad(expected.sum(), list(network.parameters()))
    for a, b in zip(torch.autograd.grad(found.sum(), list(network.parameters())), wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_a_network_can_be_traced() -> None:
    """What ``torch.compile`` does before it needs a compiler."""
    compiled_equals_itself(("joint_bam", False, "resnet18", "cosine"), "eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and here is none")
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
@pytest.mark.parametrize("parts", COVERING, ids=lambda parts: "-".join(map(str, parts)))
def test_a_compiled_network_is_the_same(parts) -> None:
    compiled_equals_itself(parts, "inductor")


@pytest.mark.parametrize(("attention", "attend_first"), PLACES)
def test_pixels_without_data_teach_their_neighbours_nothing(attention: str, attend_first: bool) -> None:
    network = build(attention, attend_first, "pointwise", "distance_mlp")
    valid = holes(2, 14, 15)
    t1, t2 = dates(2, CHANNELS, 14, 15)
    before = network(t1, t2, valid)
    after = network(*(torch.where(valid, t, t + 3) for t in (t1, t2)), valid)
    seen = crop(valid, network.radius)
    torch.testing.assert_close(after[seen], before[seen])


def test_a_random_gain_is_one_number_a_sample_and_date() -> None:
    class Both(torch.nn.Module):
        def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
            return torch.cat([f1, f2], dim=1)

    class Same(torch.nn.Module):
        radius = 0

        def forward(self, x: Tensor) -> Tensor:
            return x

    network = SiameseNetwork(NoAttention(), Same(), Both(), gain_noise=0.1)
    torch.manual_seed(0)
    t = torch.ones(500, 2, 3, 3)
    gain = network.train()(t, t)
    assert (gain.amax(dim=(2, 3)) == gain.amin(dim=(2, 3))).all()
    assert (gain[:, 0] == gain[:, 1]).all() and (gain[:, 0] != gain[:, 2]).all()
    assert float(gain.std()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(("attention", "attend_first"), PLACES)
@pytest.mark.quick("bilateral-*", "*-False")
def test_an_ensemble_is_the_mean_of_its_members(attention: str, attend_first: bool) -> None:
    members = [build(attention, attend_first, "pointwise", "distance_mlp") for _ in range(3)]
    with torch.no_grad():
        for factor, member in enumerate(members, start=1):
            for parameter in member.parameters():
                parameter.mul_(factor / 2)
    ensemble, radius = Ensemble(members), members[0].radius
    assert ensemble.radius == radius
    for rows, cols in ((7, 10), (1, 1)):  # a window, and one patch
        t1, t2 = dates(2, CHANNELS, rows + 2 * radius, cols + 2 * radius)
        valid = holes(2, *t1.shape[2:])
        wanted = torch.stack([member(t1, t2, valid) for member in members])
        torch.testing.assert_close(ensemble(t1, t2, valid), wanted.mean(dim=0))
        torch.testing.assert_close(ensemble.each(t1, t2, valid), wanted[:, :, 0].transpose(0, 1))
        torch.testing.assert_close(ensemble(t1, t2), torch.stack([m(t1, t2) for m in members]).mean(dim=0))


def test_members_disturb_themselves_in_the_same_order_alone_and_together() -> None:
    members = [build("bilateral", True, "pointwise", "distance_mlp").train() for _ in range(2)]
    inputs, valid = dates(2, CHANNELS, 9, 8), torch.ones(2, 1, 9, 8, dtype=torch.bool)
    torch.manual_seed(3)
    wanted = torch.cat([member(*inputs, valid) for member in members], dim=1)
    torch.manual_seed(3)
    torch.testing.assert_close(Ensemble(members).each(*inputs, valid), wanted)


@pytest.mark.parametrize("grad", [True, False])
def test_pointwise_layers_are_the_same_wherever_the_channels_lie(grad: bool) -> None:
    torch.manual_seed(0)
    layer = PointwiseConv(8, 5)
    x = torch.randn(2, 8, 5, 7)
    last = x.to(memory_format=torch.channels_last)
    wanted = torch.einsum("oc,nchw->nohw", layer.weight[:, :, 0, 0], x) + layer.bias[:, None, None]
    gelu = wanted * (1 + torch.erf(wanted / 2**0.5)) / 2
    for each in (x, last, last[:, :, 1:, 1:], x[:, :, 2:3, 3:4]):
        place = (..., slice(-each.shape[2], None), slice(-each.shape[3], None))
        if each.shape[2:] == (1, 1):
            place = (..., slice(2, 3), slice(3, 4))
        with torch.set_grad_enabled(grad):
            found = layer(each)
            torch.testing.assert_close(found, wanted[place])
            torch.testing.assert_close(GELU()(found), gelu[place])
    assert GELU()(layer(last)).is_contiguous(memory_format=torch.channels_last)
