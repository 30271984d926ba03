from __future__ import annotations

import torch
from torch import nn

from hsi_cd.nn.cost import PeakMemory, kept_for_backward, layer_costs


class Network(nn.Module):
    """Two convolutions in a list, which is never called itself, and a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 1, bias=False)])
        self.mix = nn.Parameter(torch.eye(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x @ self.mix


def test_layers_tell_their_own_shapes_parameters_and_operations() -> None:
    found = {cost.name: cost for cost in layer_costs(Network(), torch.zeros(1, 3, 6, 6))}
    assert list(found) == ["", "layers.0", "layers.1"]
    assert [cost.kind for cost in found.values()] == ["Network", "Conv2d", "Conv2d"]
    assert [cost.output for cost in found.values()] == [(2, 4, 4), (5, 4, 4), (2, 4, 4)]
    assert [cost.parameters for cost in found.values()] == [16, 5 * 27 + 5, 10]
    pixels = 16
    assert [cost.flops for cost in found.values()] == [2 * 2 * 4 * 16, 2 * pixels * 5 * 27, 2 * pixels * 2 * 5]


def test_the_peak_is_what_was_alive_at_once() -> None:
    known = torch.zeros(1000)
    with PeakMemory([known]) as memory:
        first = torch.zeros(250)  # 1000 bytes
        second = first + 1  # 2000
        view = second[10:]
        del first  # 1000
        third = view * 2  # 1960
        fourth = torch.cat([third, third])  # 3880
        del view, second, third
        known.add_(1)
        known[5:].mul_(2)
        last = fourth * 1  # 1920 + 1920
    assert (memory.peak, memory.now) == (1000 + 960 + 1920, 2 * 1920)
    assert len(last) == 480


def test_what_a_backward_pass_needs_is_counted_once() -> None:
    network = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 3), nn.Sigmoid())
    # Tanh and the second layer keep the same 20 numbers, the sigmoid its 3; input and weights are there anyway.
    assert kept_for_backward(network, torch.zeros(7, 10)) == 7 * (20 + 3) * 4
