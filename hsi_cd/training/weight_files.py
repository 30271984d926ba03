"""Weights of torchvision's networks, from a file that the user names, as the start of the encoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hsi_cd.detectors.checkpoint import read_tensors
from hsi_cd.errors import CheckpointError, MissingInputError
from hsi_cd.nn.patch_encoder import PatchEncoder, adapt_bands
from hsi_cd.nn.siamese_network import Ensemble

log = logging.getLogger(__name__)

_SHOWN = 6  # names listed in a message; a file of another network has hundreds


@dataclass(frozen=True)
class LoadedWeights:
    """What a weight file gave.

    Attributes:
        path: the file.
        loaded: names taken from it.
        absent: names that the encoder has and the file has not: they keep their random start.
        extra: names that the file has and the encoder has not: they are left out.
        usual: first parts of names that such files hold beside what an encoder uses.
        first: what became of the first convolution.
    """

    path: Path
    loaded: tuple[str, ...]
    absent: tuple[str, ...]
    extra: tuple[str, ...]
    usual: tuple[str, ...]
    first: str

    @property
    def surprising(self) -> bool:
        """Whether names are absent, or extra beside the classifier and layers after the last used.

        Files of older versions of torch count no batches (``num_batches_tracked``); nothing here needs them.
        """
        missed = any(not name.endswith("num_batches_tracked") for name in self.absent)
        usual = tuple(f"{part}." for part in self.usual)
        return missed or any(not name.startswith(usual) for name in self.extra)

    def __str__(self) -> str:
        said = [f"weights {self.path}: {len(self.loaded)} tensors taken", self.first]
        said += [f"absent in the file: {_listed(self.absent)}"] if self.absent else []
        said += [f"extra in the file: {_listed(self.extra)}"] if self.extra else []
        return "; ".join(said)


def load_encoder_weights(network: Ensemble, path: Path, *, adapt: str) -> LoadedWeights:
    """Start every member's encoder from a file of torchvision's weights.

    The members then differ by their attention, their head and what they are taught.

    Args:
        network: an ensemble whose encoders are :class:`~hsi_cd.nn.patch_encoder.PatchEncoder`; changed in place.
        path: a state dictionary with torchvision's names, as ``torch.save(model.state_dict(), path)`` writes it.
        adapt: how the file's first convolution gets as many bands as the encoder sees: ``repeat`` or ``mean`` (see
            :func:`hsi_cd.nn.patch_encoder.adapt_bands`), or ``random``, which keeps the encoder's own.

    Returns:
        What was taken, and which names are absent or extra; it is logged, too.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: it cannot be read, is no state dictionary, has nothing of this network, or other shapes.
    """
    encoders = [member.backbone for member in network.members if isinstance(member.backbone, PatchEncoder)]
    first_name = encoders[0].FIRST
    found = {encoders[0].present_name(name): value for name, value in _read(path).items()}
    wanted = {name: encoders[0].state_dict()[name] for name in encoders[0].pretrained_names()}
    taken = {name: found[name] for name in wanted if name in found}
    if not taken:
        raise CheckpointError(
            f"weights {path} hold nothing of this encoder: their first name is {next(iter(found), 'missing')}, "
            f"its first {first_name}; give a state dictionary with torchvision's names"
        )
    first = f"{first_name} as random as without a file"
    if adapt == "random":
        taken.pop(first_name, None)
    elif first_name in taken and taken[first_name].ndim == 4:
        bands = wanted[first_name].shape[1]
        first = f"{first_name} from {taken[first_name].shape[1]} to {bands} bands ({adapt})"
        taken[first_name] = adapt_bands(taken[first_name], bands, how=adapt)
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
    loaded = LoadedWeights(path, tuple(taken), absent, extra, encoders[0].IN_FILES, first)
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
