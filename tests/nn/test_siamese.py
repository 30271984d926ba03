"""Every registered combination of parts passes the same tests."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hsi_cd.nn.attention import ATTENTIONS, NoAttention, crop
from hsi_cd.nn.backbones import BACKBONES
from hsi_cd.nn.distance import HEADS
from hsi_cd.nn.siamese import Ensemble, SiameseNetwork

CHANNELS, WIDTH = 6, 8
# The bilateral filter starts from the noise of the input: it cannot stand behind the encoder.
PLACES = [(kind, first) for kind, first in itertools.product(ATTENTIONS, (True, False)) if first or kind == "bam"]
COMBINATIONS = [(*place, *rest) for place, rest in itertools.product(PLACES, itertools.product(BACKBONES, HEADS))]


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
) -> SiameseNetwork:
    torch.manual_seed(0)
    attended = ATTENTIONS[attention](
        channels if attend_first else WIDTH,
        window=5,
        depth=4,
        ds=ds,
        noise=torch.linspace(0.1, 0.4, channels),
        noise_gain=noise,
        tolerance=3.0,
        gamma=4.0,
    )
    encoder = BACKBONES[backbone](channels, width=WIDTH, depth=3)
    network = SiameseNetwork(
        attended, encoder, HEADS[head](WIDTH, dropout=dropout), attend_first=attend_first, gain_noise=noise
    )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.8)  # BAM's is 0 at the start, which would hide its attention
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


@pytest.mark.parametrize("parts", COMBINATIONS, ids=lambda parts: "-".join(map(str, parts)))
class TestEveryNetwork:
    @pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 6), (9, 5)])
    def test_a_window_gives_one_logit_a_pixel(self, parts, h: int, w: int) -> None:
        network = build(*parts)
        r = network.radius
        logits = network(*dates(2, 6, h + 2 * r, w + 2 * r))
        assert logits.shape == (2, 1, h, w)
        assert torch.isfinite(logits).all()

    @pytest.mark.parametrize("channels", [1, 2, 7, 40])
    def test_any_number_of_bands(self, parts, channels: int) -> None:
        network = build(*parts, channels=channels)
        side = 2 * network.radius + 1
        assert network(*dates(3, channels, side, side)).shape == (3, 1, 1, 1)

    @settings(max_examples=5)
    @given(h=st.integers(1, 11), w=st.integers(1, 11), ds=st.integers(1, 3))
    def test_a_window_equals_its_patches(self, parts, h: int, w: int, ds: int) -> None:
        network = build(*parts, ds=ds)
        r = network.radius
        valid = holes(1, h + 2 * r, w + 2 * r)
        t1, t2 = (t * valid for t in dates(1, 6, h + 2 * r, w + 2 * r, seed=h * w))
        with torch.inference_mode():
            dense = network(t1, t2, valid)[0, 0]
            side = 2 * r + 1
            cut = [
                torch.stack([x[0, :, i : i + side, j : j + side] for i in range(h) for j in range(w)])
                for x in (t1, t2, valid)
            ]
            patches = network(*cut).reshape(h, w)
        torch.testing.assert_close(dense, patches, atol=1e-5, rtol=1e-5)

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
            if name != "attention.key.bias":
                assert (parameter.grad != 0).any(), name

    def test_change_has_no_direction(self, parts) -> None:
        network = build(*parts)
        side = 2 * network.radius + 4
        valid = holes(2, side, side)
        t1, t2 = (t * valid for t in dates(2, 6, side, side))
        torch.testing.assert_close(network(t2, t1, valid), network(t1, t2, valid), atol=1e-5, rtol=1e-5)

    def test_all_valid_is_the_default(self, parts) -> None:
        network = build(*parts)
        t1, t2 = dates(1, 6, 13, 14)
        every = torch.ones(1, 1, 13, 14, dtype=torch.bool)
        torch.testing.assert_close(network(t1, t2), network(t1, t2, every), rtol=0, atol=0)

    def test_weights_are_all_there_is(self, parts) -> None:
        network, other = build(*parts), build(*parts)
        with torch.no_grad():
            for value in other.state_dict().values():
                value.add_(1.0)
        inputs = dates(1, 6, 13, 14)
        assert not torch.equal(other(*inputs), network(*inputs))
        other.load_state_dict(network.state_dict())
        torch.testing.assert_close(other(*inputs), network(*inputs), rtol=0, atol=0)

    def test_disturbed_only_while_training(self, parts) -> None:
        network = build(*parts, noise=1.0, dropout=0.5)
        inputs = dates(2, 6, 13, 14)
        torch.testing.assert_close(network(*inputs), network(*inputs), rtol=0, atol=0)
        network.train()
        assert not torch.equal(network(*inputs), network(*inputs))


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


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    members = [build("bilateral", True, "pointwise", "distance_mlp") for _ in range(2)]
    with torch.no_grad():
        for parameter in members[1].backbone.parameters():
            parameter.mul_(1.5)
    ensemble = Ensemble(members)
    inputs = dates(2, 6, 9, 8)
    torch.testing.assert_close(ensemble(*inputs), (members[0](*inputs) + members[1](*inputs)) / 2)
    assert ensemble.radius == members[0].radius == 2
