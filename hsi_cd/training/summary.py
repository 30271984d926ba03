"""What a configuration's network is and costs, measured on the network itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hsi_cd.config import RunConfig
from hsi_cd.detectors.network import build_network
from hsi_cd.nn.cost import LayerCost, PeakMemory, kept_for_backward, layer_costs
from hsi_cd.nn.tiles import tile_size
from hsi_cd.training.freezing import frozen_names, parameter_groups
from hsi_cd.training.weight_files import LoadedWeights, load_encoder_weights

_FEW = 8  # patches whose memory is measured, to tell that of a batch


@dataclass(frozen=True)
class Layer:
    """One line of the summary.

    Attributes:
        cost: name, kind, output for one patch, parameters, operations for one patch and both dates.
        part: number of the part of the backbone it belongs to, as ``train.freeze.groups`` counts them, else None.
        learns: ``yes``, ``no``, or from when on; empty without parameters.
    """

    cost: LayerCost
    part: int | None
    learns: str


@dataclass(frozen=True)
class ModelSummary:
    """A network as it is trained and as it scores.

    Attributes:
        channels: input channels: the components of the scene, or its bands.
        members: networks in the ensemble; everything below is of one, unless it says otherwise.
        layers: those with parameters or operations.
        parameters: of one member.
        learned: of these, those that learn at the start.
        side: rows and columns that a pixel's score depends on.
        patch_flops: operations for one patch, as in training, forward.
        pixel_flops: operations for one pixel of a map, all members.
        weight_bytes: weights of all members.
        optimiser_bytes: their gradients and the two moments of Adam, for those that learn at the start.
        batch_bytes: what a training step keeps for its backward pass, all members.
        tile: rows and columns scored at once on a CPU core.
        tile_bytes: what such a tile needs at most.
        weights: what a weight file gave, if one was named.
    """

    channels: int
    members: int
    layers: tuple[Layer, ...]
    parameters: int
    learned: int
    side: int
    patch_flops: int
    pixel_flops: int
    weight_bytes: int
    optimiser_bytes: int
    batch_bytes: int
    tile: tuple[int, int]
    tile_bytes: int
    weights: LoadedWeights | None


def summarise(config: RunConfig, *, channels: int) -> ModelSummary:
    """Build a configuration's network and measure it, on the CPU.

    Args:
        config: the resolved configuration.
        channels: input channels of the network.

    Raises:
        ConfigError: what is to be frozen is not there.
        MissingInputError: the weight file is not there.
        CheckpointError: the weight file does not fit.
    """
    noise = np.ones(channels, dtype=np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build_network(config.model, noise, augment=config.train.augment)
    backbone, freeze = config.model.backbone, config.train.freeze
    weights = None
    if backbone.weights is not None:
        weights = load_encoder_weights(network, Path(backbone.weights), adapt=backbone.adapt)
    member = network.members[0]
    frozen = frozen_names(member, freeze)
    for name, parameter in member.named_parameters():
        parameter.requires_grad_(name not in frozen)
    own = [parameter.numel() for parameter in member.parameters()]
    learned = sum(parameter.numel() for parameter in member.parameters() if parameter.requires_grad)

    side = 2 * network.radius + 1
    patch = torch.zeros(1, channels, side, side)
    costs = layer_costs(member.eval(), patch, patch)
    few = torch.zeros(_FEW, channels, side, side)
    kept = kept_for_backward(member.train(), few, few)
    tile = tile_size(torch.device("cpu"))
    window = torch.zeros(1, channels, *(length + side - 1 for length in tile))
    known = [*network.parameters(), *network.buffers(), window]
    with torch.inference_mode(), PeakMemory(known) as memory, FlopCounterMode(display=False) as counter:
        network.eval().each(window, window)
    members = config.model.members
    state = [x.numel() * x.element_size() for x in member.state_dict().values()]
    return ModelSummary(
        channels=channels,
        members=members,
        layers=tuple(_layer(member, cost, frozen, until=freeze.until) for cost in costs),
        parameters=sum(own),
        learned=learned,
        side=side,
        patch_flops=sum(cost.flops for cost in costs),
        pixel_flops=round(counter.get_total_flops() / (tile[0] * tile[1])),
        weight_bytes=members * sum(state),
        optimiser_bytes=members * 3 * 4 * learned,
        batch_bytes=round(members * kept * config.train.batch_size / _FEW),
        tile=tile,
        tile_bytes=memory.peak,
        weights=weights,
    )


def _layer(member: torch.nn.Module, cost: LayerCost, frozen: frozenset[str], *, until: int) -> Layer:
    groups = parameter_groups(member)
    part = next((i for i, group in enumerate(groups, 1) if f"{cost.name}.".startswith(f"{group}.")), None)
    own = [
        f"{cost.name}.{name}".lstrip(".")
        for name, _ in member.get_submodule(cost.name).named_parameters(recurse=False)
    ]
    held = [name in frozen for name in own]
    word = "after epoch " + str(until) if until else "no"
    learns = "" if not own else word if all(held) else "in part" if any(held) else "yes"
    return Layer(cost, part, learns)
