"""The trained Siamese network as a detector: frozen scene statistics, an ensemble, a calibrated threshold."""

from __future__ import annotations

import copy
import logging
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.config import AugmentConfig, ModelConfig, PrepareConfig, RunConfig
from hsi_cd.detectors.network import build_network
from hsi_cd.errors import CheckpointError
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.nn.tiles import in_tiles
from hsi_cd.prepare.registration import LARGEST_SHIFT, measure_shift, shift_radius, undo_shift
from hsi_cd.prepare.statistics import (
    SceneStatistics,
    percentile_limits,
    row_blocks,
    scene_statistics,
    usable_bands,
)
from hsi_cd.prepare.transform import SceneTransform, fit_transform
from hsi_cd.scene import Bands, ScenePair

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """From an ensemble's mean logit to a probability: ``1 / (1 + exp(-(slope logit + offset)))``.

    Attributes:
        slope: how much the logit is trusted.
        offset: shift of the logit.
        threshold: probability from which a pixel counts as changed.
    """

    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5


@dataclass
class SiameseDetector:
    """A Siamese network with everything that decides its scores.

    Attributes:
        bands: the bands it was fitted on.
        transform: from stored values to components.
        shift: sub-pixel shift of date 2 that is undone, ``(down, right)``.
        network: the ensemble, in evaluation mode when it scores.
        calibration: logits to probabilities.
        model: the network's configuration, to build it again.
        prepare: how the transform was fitted, to measure another scene likewise; None where it was not kept.
        precision: of the network's products when it scores. ``torch.bfloat16`` is for GPUs that are fast in it:
            scores then agree to about 1e-2 instead of 1e-5. The attention stays in float32.
    """

    bands: Bands
    transform: SceneTransform
    shift: tuple[float, float]
    network: Ensemble
    calibration: Calibration
    model: ModelConfig
    prepare: PrepareConfig | None = None
    precision: torch.dtype = torch.float32

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.network.radius + shift_radius(self.shift)

    unit = "probability"

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device

    @property
    def threshold(self) -> float:
        """Change probability from which a pixel counts as changed."""
        return self.calibration.threshold

    def parameters(self) -> int:
        """Number of learned numbers, those that were frozen here included."""
        return sum(p.numel() for p in self.network.parameters())

    def components(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees of a window.

        Args:
            t1: stored values, float32 ``(bands, h, w)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            Both dates' components, ``(components, h - 2 s, w - 2 s)``, 0 for no data, and their validity, bool
            ``(1, h - 2 s, w - 2 s)``, where ``s`` is the radius of the shift.
        """
        s = shift_radius(self.shift)
        first = self.transform.apply(t1, date=0)
        second = undo_shift(self.transform.apply(t2, date=1), self.shift, radius=s)
        first = first[:, s : first.shape[1] - s, s : first.shape[2] - s]
        valid = np.isfinite(first).all(axis=0, keepdims=True) & np.isfinite(second).all(axis=0, keepdims=True)
        tensors = (torch.from_numpy(np.where(valid, x, np.float32(0))) for x in (first, second))
        return next(tensors), next(tensors), torch.from_numpy(valid)

    @property
    def members(self) -> int:
        """Number of networks whose logits are averaged."""
        return len(self.network.members)

    def logits(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Members' logits ``(members, h, w)`` of a mirror-padded window, and where they hold, bool ``(h, w)``."""
        inputs = self.components(t1, t2)
        self.network.eval()
        r = self.network.radius
        try:
            logits = self._dense(self.network, inputs, self.device)
        except torch.cuda.OutOfMemoryError:
            log.warning("the GPU's memory is full: this part of the scene is scored on the CPU")
            logits = self._dense(copy.deepcopy(self.network).cpu(), inputs, torch.device("cpu"))
        return logits, crop(inputs[2][0], r)

    def _dense(self, network: Ensemble, inputs: tuple[Tensor, ...], device: torch.device) -> Tensor:
        """Members' logits ``(members, h, w)``, on the CPU.

        On a GPU each call copies and computes in a stream of its own: one window travels while another is scored.
        (The tests run this on the CPU; on a GPU it has not been run yet.)
        """
        on_gpu = device.type == "cuda"
        stream = torch.cuda.stream(torch.cuda.Stream(device)) if on_gpu else nullcontext()  # type: ignore[no-untyped-call]
        lower = torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32)
        with torch.inference_mode(), stream, lower:
            first, second, valid = (
                (x.pin_memory().to(device, non_blocking=True) if on_gpu else x)[None] for x in inputs
            )
            logits = in_tiles(network.each, first, second, valid, radius=network.radius)
            return logits[0].float().cpu()

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        logits, valid = self.logits(t1, t2)
        return self._calibrated(logits.mean(dim=0)).masked_fill(~valid, torch.nan).numpy()

    def score_and_uncertainty(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities and how far the members differ on them.

        The uncertainty of a pixel is the standard deviation (ddof 1) over the members of ``sigmoid(slope logit +
        offset)``, each member's logit through the ensemble's own calibration: 0 where all agree, at most .55 for
        five members. It tells where the labels leave the answer open; it knows nothing of what all members get
        wrong alike (Lakshminarayanan, Pritzel and Blundell 2017, arXiv 1612.01474).

        See :meth:`hsi_cd.detectors.base.UncertainDetector.score_and_uncertainty`.
        """
        logits, valid = self.logits(t1, t2)
        both = torch.stack(
            [self._calibrated(logits.mean(dim=0)), self._calibrated(logits).std(dim=0, correction=1)]
        )
        return both.masked_fill(~valid, torch.nan).numpy()

    def _calibrated(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(self.calibration.slope * logits + self.calibration.offset)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score is a probability already."""
        return score

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`siamese_from_state` builds the detector again."""
        return {
            "bands": {
                "count": self.bands.count,
                "centres": list(self.bands.centres),
                "fwhm": list(self.bands.fwhm),
                "names": list(self.bands.names),
            },
            "transform": {
                name: torch.from_numpy(value) for name, value in vars(self.transform).items() if value is not None
            },
            "shift": list(self.shift),
            "network": {name: value.cpu() for name, value in self.network.state_dict().items()},
            "calibration": {
                "slope": self.calibration.slope,
                "offset": self.calibration.offset,
                "threshold": self.calibration.threshold,
            },
            "model": self.model.model_dump(),
            "prepare": self.prepare.model_dump() if self.prepare is not None else None,
        }


def fit_siamese(pair: ScenePair, config: RunConfig) -> tuple[SiameseDetector, NDArray[np.bool_]]:
    """A detector with the scene's statistics frozen and an untrained network. No labels are read.

    Args:
        pair: the scene.
        config: the run's configuration.

    Returns:
        The detector, and where both dates have data, bool ``(rows, cols)``.

    Raises:
        BandError: bands without data or without variation, unless the configuration drops them.
    """
    prepare = config.prepare
    used = usable_bands(pair, drop_constant=config.bands.drop_constant)
    statistics, clip = measure_scene(pair, used, prepare)
    transform = fit_transform(
        statistics,
        used,
        scaling=prepare.scaling,
        joint=prepare.statistics == "joint",
        projection=prepare.projection,
        components=prepare.components,
        clip=clip,
    )
    network = build_network(config.model, transform.noise, augment=config.train.augment)
    detector = SiameseDetector(pair.bands, transform, (0.0, 0.0), network, Calibration(), config.model, prepare)
    if prepare.registration:
        detector.shift = scene_shift(detector, pair)
    return detector, statistics.valid


def measure_scene(
    pair: ScenePair, bands: NDArray[np.intp], prepare: PrepareConfig
) -> tuple[SceneStatistics, NDArray[np.float64] | None]:
    """Statistics of a scene in some of its bands, and the limits at which it is clipped, or None."""
    clip = percentile_limits(pair, bands, percent=prepare.clip_percent) if prepare.clip_percent else None
    return scene_statistics(pair, bands, clip=clip), clip


def scene_shift(detector: SiameseDetector, pair: ScenePair) -> tuple[float, float]:
    """The shift of date 2 in the detector's components; they are held in memory."""
    return measure_shift(*_whole_components(detector, pair), detector.transform.noise)


def _whole_components(
    detector: SiameseDetector, pair: ScenePair
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both dates' components, NaN for no data, without padding or shift."""
    first, second = [], []
    for block in row_blocks(*pair.shape):
        t1, t2 = pair.read(block)
        first.append(detector.transform.apply(t1, date=0))
        second.append(detector.transform.apply(t2, date=1))
    return np.concatenate(first, axis=1), np.concatenate(second, axis=1)


def siamese_from_state(
    state: dict[str, Any], *, augment: AugmentConfig | None = None, device: torch.device | None = None
) -> SiameseDetector:
    """The detector that :meth:`SiameseDetector.state` described.

    Args:
        state: what it gave.
        augment: how strongly the networks disturb their own features, if they are to be trained further.
        device: where the network computes; the CPU by default.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    try:
        bands = Bands(
            count=state["bands"]["count"],
            **{name: tuple(state["bands"][name]) for name in ("centres", "fwhm", "names")},
        )
        transform = _checked_transform(state["transform"], bands)
        down, right = (float(s) for s in state["shift"])
        calibration = Calibration(**{name: float(state["calibration"][name]) for name in vars(Calibration())})
        if not max(abs(down), abs(right)) <= LARGEST_SHIFT:
            raise ValueError(f"a shift of {down:g}, {right:g} pixels")
        if not np.isfinite(list(vars(calibration).values())).all():
            raise ValueError(f"{calibration} is not finite")
        model = ModelConfig.model_validate(state["model"])
        network = build_network(model, transform.noise, augment=augment)
        network.load_state_dict(state["network"])
        network.to(device or torch.device("cpu"))
        kept = state.get("prepare")
        prepare = None if kept is None else PrepareConfig.model_validate(kept)
        return SiameseDetector(bands, transform, (down, right), network, calibration, model, prepare)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"the checkpoint's detector cannot be rebuilt ({reason}): train it again") from error


def _checked_transform(state: dict[str, Any], bands: Bands) -> SceneTransform:
    """The transform of a checkpoint, or a ValueError where its parts do not fit together."""
    transform = SceneTransform(**{name: value.numpy() for name, value in state.items()})
    components, used = len(transform.noise), transform.bands
    shapes = {
        "bands": (len(used),),
        "weight": (2, components, len(used)),
        "offset": (2, components),
        "clip": (2, 2, len(used)),
        "noise": (components,),
    }
    shapes |= {name: (2, len(used)) for name in ("centre", "scale") if getattr(transform, name) is not None}
    for name, shape in shapes.items():
        found = getattr(transform, name).shape
        if found != shape:
            raise ValueError(f"transform.{name} has shape {found}, not {shape}")
    if used.dtype != np.int64 or not ((used >= 0) & (used < bands.count)).all():
        raise ValueError(f"transform.bands are not indices of {bands.count} bands")
    if transform.scale is not None and not (transform.scale > 0).all():
        raise ValueError("transform.scale is not positive")
    return transform
