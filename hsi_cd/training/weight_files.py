"""Weights of torchvision's ResNets, from a file that the user names, as the start of the encoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hsi_cd.detectors.checkpoint import read_tensors
from hsi_cd.errors import CheckpointError, MissingInputError
from hsi_cd.nn.resnet import STAGES, ResNet, adapt_bands
from hsi_cd.nn.siamese_network import Ensemble

log = logging.getLogger(__name__)

_FIRST = "conv1.weight"  # ResNet's first convolution, the only tensor that depends on the number of bands
_SHOWN = 6  # names listed in a message; a file of another network has hundreds


@dataclass(frozen=True)
class LoadedWeights:
    """What a weight file gave.

    Attributes:
        path: the file.
        loaded: names taken from it.
        absent: names that the encoder has and the file has not: they keep their random start.
        extra: names that the file has and the encoder has not: they are left out.
        first: what became of the first convolution.
    """

    path: Path
    loaded: tuple[str, ...]
    absent: tuple[str, ...]
    extra: tuple[str, ...]
    first: str

    @property
    def surprising(self) -> bool:
        """Whether names are absent, or extra beside the classifier (``fc``) and layers after the last used.

        Files of older versions of torch count no batches (``num_batches_tracked``); nothing here needs them.
        """
        missed = any(not name.endswith("num_batches_tracked") for name in self.absent)
        return missed or any(name.split(".")[0] not in ("fc", *STAGES) for name in self.extra)

    def __str__(self) -> str:
        said = [f"weights {self.path}: {len(self.loaded)} tensors taken", self.first]
        said += [f"absent in the file: {_listed(self.absent)}"] if self.absent else []
        said += [f"extra in the file: {_listed(self.extra)}"] if self.extra else []
        return "; ".join(said)


def load_resnet_weights(network: Ensemble, path: Path, *, adapt: str) -> LoadedWeights:
    """Start every member's encoder from a file of torchvision's weights.

    The members then differ by their attention, their head and what they are taught.

    Args:
        network: an ensemble whose encoders are ResNets; changed in place.
        path: a state dictionary with torchvision's names, as ``torch.save(model.state_dict(), path)`` writes it.
        adapt: how the file's first convolution gets as many bands as the encoder sees: ``repeat`` or ``mean`` (see
            :func:`hsi_cd.nn.resnet.adapt_bands`), or ``random``, which keeps the encoder's own.

    Returns:
        What was taken, and which names are absent or extra; it is logged, too.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: it cannot be read, is no state dictionary, has nothing of this network, or other shapes.
    """
    found = _read(path)
    encoders = [member.backbone for member in network.members if isinstance(member.backbone, ResNet)]
    wanted = {name: encoders[0].state_dict()[name] for name in encoders[0].pretrained_names()}
    taken = {name: found[name] for name in wanted if name in found}
    if not taken:
        raise CheckpointError(
            f"weights {path} hold nothing of this encoder: their first name is {next(iter(found), 'missing')}, "
            f"its first {_FIRST}; give a state dictionary with torchvision's names"
        )
    first = f"{_FIRST} as random as without a file"
    if adapt == "random":
        taken.pop(_FIRST, None)
    elif _FIRST in taken and taken[_FIRST].ndim == 4:
        bands = wanted[_FIRST].shape[1]
        first = f"{_FIRST} from {taken[_FIRST].shape[1]} to {bands} bands ({adapt})"
        taken[_FIRST] = adapt_bands(taken[_FIRST], bands, how=adapt)
    for name, value in taken.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"weights {path} are of another network: {name} has shape {tuple(found[name].shape)}, expected "
                f"{tuple(wanted[name].shape)}; set model.backbone.kind to the network that the file was made of"
            )
    for encoder in encoders:
        encoder.load_state_dict(taken, strict=False)
    absent = tuple(name for name in wanted if name not in found)
    extra = tuple(name for name in found if name not in wanted)
    loaded = LoadedWeights(path, tuple(taken), absent, extra, first)
    log.log(logging.WARNING if loaded.surprising else logging.INFO, "%s", loaded)
    return loaded


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MissingInputError(
            f"weights {path} is not a file: give one with torchvision's names, as resnet18.pth"
        )
    content = read_tensors(
        path,
        refused=f"weights {path} cannot be read: the file is damaged, or holds more than tensors; save it anew by "
        "torch.save(model.state_dict(), path)",
    )
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f"weights {path} hold a {type(content).__name__} that is no state dictionary (names to tensors): save "
            "model.state_dict() alone"
        )
    return content


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
