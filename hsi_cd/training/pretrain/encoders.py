"""Pre-trained encoders on their way from ``hsi-cd pretrain`` to a training: the file, and whether it fits."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hsi_cd.detectors.checkpoint import read_saved, write_saved
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import CheckpointError, HsiCdError
from hsi_cd.prepare.transform import SceneTransform
from hsi_cd.scene import Bands, check_same_bands

log = logging.getLogger(__name__)

_INPUT = ("scaling", "projection")  # settings that decide what a channel is; what they lead to is compared, too


def save_encoders(
    path: Path, detector: SiameseDetector, encoders: list[nn.Module], *, scene: str, task: str
) -> None:
    """Write encoders with what they need to be used again.

    Args:
        path: where to.
        detector: the detector whose components they learned from.
        encoders: one for each member of an ensemble.
        scene: what the scene is called.
        task: what they learned.
    """
    write_saved(
        path,
        {
            "task": task,
            "scene": scene,
            "bands": asdict(detector.bands),
            "used": torch.from_numpy(detector.transform.bands),
            "mixture": torch.from_numpy(_mixture(detector.transform)),
            "prepare": detector.prepare.model_dump() if detector.prepare is not None else {},
            "backbone": detector.model.backbone.model_dump(),
            "encoders": [{name: value.cpu() for name, value in e.state_dict().items()} for e in encoders],
        },
    )


def use_encoders(path: Path, detector: SiameseDetector) -> None:
    """Start a detector's network from pre-trained encoders.

    Every member takes an encoder of its own, as far as there are as many: members that start alike differ less,
    and an ensemble is worth what its members differ (Fort, Hu and Lakshminarayanan 2019, arXiv 1912.02757).
    Attention and head start as ever.

    What must agree: the bands, how they are scaled, and which mixture of scaled bands each channel is. Means and
    deviations are each scene's own, so that without a projection an encoder serves every scene of the same
    bands; a projection is fitted to a scene, and so are its encoders.

    Args:
        path: a file of :func:`save_encoders`.
        detector: a fitted detector; its network changes in place.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: it is damaged, of another kind, or of another input or backbone.
        BandError: it is of other bands.
    """
    content = read_saved(
        path,
        {"encoders", "mixture", "used", "bands", "prepare", "backbone", "scene"},
        kind="encoder",
        by="hsi-cd pretrain",
        wanted="the encoder.pt that it left",
    )
    try:
        _check_input(path, content, detector)
        encoders = list(content["encoders"])
        if not encoders:
            raise ValueError("no encoder in it")
        for encoder in encoders:
            _check_weights(path, encoder, content["backbone"], detector)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, HsiCdError):
            raise
        raise CheckpointError(
            f"encoder {path} is damaged ({next(iter(str(error).splitlines()), type(error).__name__)}): "
            "run hsi-cd pretrain again"
        ) from error
    members = backbones(detector)
    if len(encoders) < len(members):
        log.warning(
            "encoder %s holds %d encoders for %d members: some start alike, and will differ less",
            path,
            len(encoders),
            len(members),
        )
    for number, member in enumerate(members):
        member.load_state_dict(encoders[number % len(encoders)])


def backbones(detector: SiameseDetector) -> list[nn.Module]:
    """The encoder of each member of a detector's network."""
    return [detector.network.get_submodule(f"members.{number}.backbone") for number in range(detector.members)]


def _mixture(transform: SceneTransform) -> NDArray[np.float64]:
    """What each channel is made of: weights of the scaled bands, ``(channels, bands)``, alike for both dates."""
    if transform.scale is None:
        raise ValueError("the transform does not know its scale")
    mixture: NDArray[np.float64] = transform.weight[0].astype(np.float64) * transform.scale[0]
    return mixture


def _check_input(path: Path, content: dict[str, Any], detector: SiameseDetector) -> None:
    """Refuse encoders that learned from other channels than the detector makes."""
    now = detector.prepare.model_dump() if detector.prepare is not None else {}
    for name in _INPUT:
        if content["prepare"][name] != now[name]:
            raise CheckpointError(
                f"encoder {path} was pre-trained with prepare.{name} {content['prepare'][name]}, but here it is "
                f"{now[name]}: use one setting for both"
            )
    bands = Bands(**content["bands"])
    check_same_bands(bands, detector.bands, names=(f"the encoder {path}", "the scene"))
    then, mixture = content["mixture"].numpy(), _mixture(detector.transform)
    if len(then) != len(mixture):
        raise CheckpointError(
            f"encoder {path} takes {len(then)} channels, but the scene has {len(mixture)} components here: use "
            "the same prepare.components and the same bands for both"
        )
    if not np.array_equal(content["used"].numpy(), detector.transform.bands):
        raise CheckpointError(
            f"encoder {path} was pre-trained on other bands of the scene than are used here: drop the same bands "
            "in both"
        )
    if not np.allclose(then, mixture, rtol=1e-3, atol=1e-6):
        raise CheckpointError(
            f"encoder {path} was pre-trained on the components of {content['scene']}, which mix the bands in "
            "another way than this scene's: run hsi-cd pretrain on this scene, or use prepare.projection=none"
        )


def _check_weights(
    path: Path, encoder: dict[str, Tensor], backbone: dict[str, Any], detector: SiameseDetector
) -> None:
    """Refuse weights whose names or shapes are not those of the detector's backbone."""
    expected = backbones(detector)[0].state_dict()
    kind = detector.model.backbone.kind
    advice = "set model.backbone as in the pre-training, or pre-train again"
    if backbone["kind"] != kind:
        raise CheckpointError(f"encoder {path} is a {backbone['kind']} backbone, but here it is {kind}: {advice}")
    for name in sorted(expected.keys() | encoder.keys()):
        if name not in encoder or name not in expected:
            where = "not in the encoder" if name not in encoder else "in the encoder alone"
            raise CheckpointError(f"encoder {path} does not fit the {kind} backbone: {name} is {where}; {advice}")
        then, now = tuple(encoder[name].shape), tuple(expected[name].shape)
        if then != now:
            raise CheckpointError(
                f"encoder {path} does not fit the {kind} backbone: {name} has shape {then}, not {now}; {advice}"
            )
