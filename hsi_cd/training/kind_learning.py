"""Heads for kinds of change, taught after the network on what its attention gives by then.

The network itself is finished and stays as it is, so that a map of change is the same, bit for bit, whether kinds
are learned or not. All draws here come from sources of their own, for the same reason; and what is learned depends
on the finished network and the run's seed alone, so that a run that was stopped learns the same kinds again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hsi_cd.config import TrainConfig
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.network_kinds import KindHeads
from hsi_cd.errors import LabelError
from hsi_cd.nn.kinds_head import KindsHead
from hsi_cd.nn.schedules import Length, build_schedule
from hsi_cd.nn.siamese_network import Ensemble, SiameseNetwork
from hsi_cd.training.augmentation import draw_variation
from hsi_cd.training.discriminant import SURENESS, whitening
from hsi_cd.training.disturbances import disturb
from hsi_cd.training.many_patches import Patches
from hsi_cd.training.training_set import TrainingSet

_STEPS = 200  # of each head's optimiser
_LOOKS = 16  # variations of each pixel, of which every step draws one
_MOST = 32_768  # looks that are kept at once: many pixels have fewer each
_LOOKED_AT = 6000  # pixels of the scene at most, of which the changed ones without a label have a say
_MOST_OTHERS = 2000  # of these at most
_MARGIN = 8.0  # log-odds between the two likest kinds at the start, at most: certainty would learn nothing more
_STREAM = 0x6B696E64  # sets these draws apart from all others of the run's seed


def learn_kinds(
    network: Ensemble,
    source: Patches,
    taught: TrainingSet,
    config: TrainConfig,
    *,
    calibration: Calibration,
    seed: int,
) -> KindHeads | None:
    """Teach every member of a finished network what kind of change the changed pixels among the labels are.

    Every member learns from all of them: a kind may have a single one.

    Args:
        network: the ensemble; nothing of it changes.
        source: the scene's components, on the network's device.
        taught: the labelled pixels with their kinds, and the table of these.
        config: the loop's configuration: batch size, learning rate, weight of rare classes, label smoothing,
            augmentation. Dates are never exchanged here: back is another kind of change.
        calibration: of the network: what it calls changed has a small say in what kinds look like.
        seed: of the run.

    Returns:
        The heads, in evaluation mode; None where the labels that teach tell no kinds.

    Raises:
        LabelError: no changed pixel teaches, or one that does has no kind.
    """
    if taught.kinds is None or taught.kind_table is None:
        return None
    changed = taught.target == 1
    pixels, kinds = taught.pixels[changed], taught.kinds[changed].astype(np.int64)
    count = taught.kind_table.count
    if not len(kinds) or kinds.min() < 1 or kinds.max() > count:
        found = f"numbers {kinds.min()} to {kinds.max()}" if len(kinds) else "none"
        raise LabelError(f"kinds of the changed pixels that teach: {found}, expected 1 to {count} of the table")
    device = source.valid.device
    target = torch.from_numpy(kinds - 1).to(device)
    weight = kind_weights(kinds, count, power=config.class_weight).to(device)
    heads = list[KindsHead]()
    devices = [device] if device.type == "cuda" else []
    others = _others(network, source, taught.pixels, calibration, np.random.default_rng([seed, _STREAM]))
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        for number, member in enumerate(cast("list[SiameseNetwork]", list(network.members))):
            draws = np.random.SeedSequence([seed, _STREAM, number])
            torch.manual_seed(int(draws.generate_state(1)[0]))
            generator = np.random.default_rng(draws)
            looks = _looks(member, source, pixels, config, generator)
            heads.append(_teach(looks, others[number], target, weight, config, generator))
    return KindHeads(taught.kind_table, nn.ModuleList(heads).eval())


def kind_weights(kinds: NDArray[np.integer], count: int, *, power: float) -> Tensor:
    """Weights of the kinds, ``(count,)``: the rarer, the heavier, ``number ** -power``; 1 for a pixel on average.

    Args:
        kinds: of the pixels that teach, from 1.
        count: number of kinds. One without a pixel weighs nothing.
        power: 0 weighs all alike, 1 gives every kind the same sum.
    """
    numbers = np.bincount(np.asarray(kinds), minlength=count + 1)[1:].astype(np.float64)
    weight = np.where(numbers > 0, np.maximum(numbers, 1) ** -power, 0.0)
    return torch.from_numpy(weight * numbers.sum() / (weight * numbers).sum()).float()


def _looks(
    member: SiameseNetwork,
    source: Patches,
    pixels: NDArray[np.int64],
    config: TrainConfig,
    generator: np.random.Generator,
) -> Tensor:
    """Both dates side by side of differently varied patches around the pixels, ``(looks, N, 2 channels)``."""
    vary, device = config.augment, source.valid.device
    number = max(1, min(_LOOKS, _MOST // len(pixels)))
    found = []
    with torch.no_grad(), _disturbing(member):
        for _ in range(number):
            parts = []
            for chunk in np.array_split(pixels, -(-len(pixels) // 1024)):
                varied = draw_variation(
                    len(chunk), flips=vary.flips, turns=vary.turns, date_swap=False, mixup=0.0, random=generator
                )
                patches = source.cut(torch.from_numpy(chunk).to(device), varied)
                _, attended = member.encoded(*disturb(*patches, config=vary, random=generator))
                parts.append(torch.cat(attended, dim=1)[:, :, 0, 0])
            found.append(torch.cat(parts))
    return torch.stack(found)


def _least_logit(calibration: Calibration) -> float:
    """Mean logit from which a pixel amid others of its kind is changed, whatever counts beside the network."""
    alone = calibration.of_one_pixel
    return float(alone.least_logit(alone.threshold, 0.0)) if alone.slope > 0 else math.inf


def _others(
    network: Ensemble,
    source: Patches,
    pixels: NDArray[np.int64],
    calibration: Calibration,
    generator: np.random.Generator,
) -> list[Tensor]:
    """Some pixels that are called changed and nobody labelled, as each member sees them, ``(M, 2 channels)``."""
    inside = np.setdiff1d(np.flatnonzero(source.inside.ravel()), pixels)
    drawn, least = generator.permutation(inside)[:_LOOKED_AT], _least_logit(calibration)
    found = [[torch.empty(0, 0, device=source.valid.device)] for _ in network.members]
    network.eval()
    with torch.no_grad():
        for chunk in np.array_split(drawn, -(-len(drawn) // 1024)) if len(drawn) else []:
            patches = source.cut(torch.from_numpy(chunk).to(source.valid.device))
            seen = list(network.encoded(*patches))
            members = cast("list[SiameseNetwork]", list(network.members))
            logits = [member.head(*own)[:, 0, 0, 0] for member, (own, _) in zip(members, seen, strict=True)]
            changed = torch.stack(logits).mean(dim=0) >= least
            for own, (_, attended) in zip(found, seen, strict=True):
                own.append(torch.cat(attended, dim=1)[changed, :, 0, 0])
    return [torch.cat(own[1:] or own)[:_MOST_OTHERS] for own in found]


def _teach(
    looks: Tensor,
    others: Tensor,
    target: Tensor,
    weight: Tensor,
    config: TrainConfig,
    generator: np.random.Generator,
) -> KindsHead:
    """Teach one head by weighted cross-entropy, with blended samples and smoothed labels as configured.

    It starts as linear discriminant analysis would have it, but less sure of itself.
    """
    whiten, middle = whitening(looks, others, target, len(weight))
    wanted, seen = F.one_hot(target, len(weight)).float(), whiten(looks)
    layer = nn.Linear(seen.shape[-1], len(weight), device=looks.device)
    with torch.no_grad():
        number = wanted.sum(dim=0)
        likest = float(F.pdist(middle[number > 0]).square().min()) if (number > 0).sum() > 1 else 0.0
        sure = min(SURENESS, 2 * _MARGIN / max(likest, 1e-9))
        layer.weight.copy_(sure * middle)
        layer.bias.copy_(torch.log(number / number.sum() + 1e-9) - sure / 2 * middle.square().sum(dim=1))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = build_schedule("one_cycle", optimizer, Length(_STEPS, _STEPS), warmup=config.warmup)
    size, order = min(len(target), config.batch_size), np.empty(0, dtype=np.int64)
    for _ in range(_STEPS):
        if len(order) < size:
            order = generator.permutation(len(target))
        batch, order = torch.from_numpy(order[:size]).to(target.device), order[size:]
        look = torch.from_numpy(generator.integers(len(looks), size=size)).to(target.device)
        sample, told = seen[look, batch], wanted[batch]
        if mixup := config.augment.mixup:
            drawn = generator.beta(mixup, mixup, size=size).astype(np.float32)
            share = torch.from_numpy(np.maximum(drawn, 1 - drawn)).to(target.device)[:, None]
            partner = torch.from_numpy(generator.permutation(size)).to(target.device)
            sample = torch.lerp(sample[partner], sample, share)
            told = torch.lerp(told[partner], told, share)
        loss = F.cross_entropy(layer(sample), told, weight=weight, label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    head = KindsHead(looks.shape[-1] // 2, len(weight)).to(looks.device)
    with torch.no_grad():
        folded, bias = whiten.folded(layer)
        head.out.weight.copy_(folded[:, :, None, None])
        head.out.bias.copy_(bias)  # type: ignore[union-attr]
    return head


@contextmanager
def _disturbing(member: nn.Module) -> Iterator[None]:
    """A network that disturbs its features as while it learns, and learns nothing; a batch norm stays as it is."""
    member.train()
    for module in member.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    try:
        yield
    finally:
        member.eval()
