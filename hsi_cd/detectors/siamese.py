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
from tqdm import tqdm

from hsi_cd.config import AugmentConfig, ModelConfig, RunConfig
from hsi_cd.errors import CheckpointError
from hsi_cd.nn.attention import ATTENTIONS, crop
from hsi_cd.nn.backbones import BACKBONES
from hsi_cd.nn.distance import HEADS
from hsi_cd.nn.siamese import Ensemble, SiameseNetwork
from hsi_cd.nn.tiles import in_tiles
from hsi_cd.prepare.patches import PatchSource, pixel_major
from hsi_cd.prepare.registration import LARGEST_SHIFT, measure_shift, shift_radius, undo_shift
from hsi_cd.prepare.statistics import percentile_limits, row_blocks, scene_statistics, usable_bands
from hsi_cd.prepare.transform import SceneTransform, fit_transform
from hsi_cd.prepare.windows import read_window
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
        precision: of the network's products when it scores. ``torch.bfloat16`` is for GPUs that are fast in it:
            scores then agree to about 1e-2 instead of 1e-5. The attention stays in float32.
    """

    bands: Bands
    transform: SceneTransform
    shift: tuple[float, float]
    network: Ensemble
    calibration: Calibration
    model: ModelConfig
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
        """Number of learned numbers."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

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

    def logits(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Mean logits ``(h, w)`` of a mirror-padded window, and where they hold, bool ``(h, w)``."""
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
        """Mean logits ``(h, w)``, on the CPU.

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
            logits = in_tiles(network, first, second, valid, radius=network.radius)
            return logits[0, 0].float().cpu()

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        logits, valid = self.logits(t1, t2)
        probability = torch.sigmoid(self.calibration.slope * logits + self.calibration.offset)
        return probability.masked_fill(~valid, torch.nan).numpy()

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score is a probability already."""
        return score

    def patches(self, pair: ScenePair) -> PatchSource:
        """The components of a whole scene, mirror-padded for the network, ready to be cut into patches."""
        rows, cols = pair.shape
        r, s = self.network.radius, shift_radius(self.shift)
        parts = []
        for block in tqdm(list(row_blocks(rows + 2 * r, cols)), desc="components", leave=False, disable=None):
            window = slice(block.start - r, block.stop - r)
            parts.append(self.components(*read_window(pair, window, slice(-r, cols + r), radius=s)))
        whole = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        first, second, valid = (pixel_major(x).to(self.device) for x in whole)
        return PatchSource(first, second, valid, radius=r)

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
                name: torch.from_numpy(getattr(self.transform, name))
                for name in ("bands", "weight", "offset", "clip", "noise")
            },
            "shift": list(self.shift),
            "network": {name: value.cpu() for name, value in self.network.state_dict().items()},
            "calibration": {
                "slope": self.calibration.slope,
                "offset": self.calibration.offset,
                "threshold": self.calibration.threshold,
            },
            "model": self.model.model_dump(),
        }


def build_network(
    model: ModelConfig, noise: NDArray[np.float32], *, augment: AugmentConfig | None = None
) -> Ensemble:
    """An ensemble of freshly initialised networks.

    Args:
        model: what to build.
        noise: noise deviation of each component, ``(components,)``; its length is the number of input channels.
        augment: how strongly the networks disturb their own features while training; not at all by default.

    Returns:
        The ensemble; its weights come from torch's global random state.
    """
    channels = len(noise)
    gain_noise = augment.gain_noise if augment else 0.0
    attend_first = model.attention.place == "input"

    def member(tolerance: float) -> SiameseNetwork:
        attention = ATTENTIONS[model.attention.kind](
            channels if attend_first else model.backbone.width,
            window=model.attention.window,
            depth=model.attention.channels,
            ds=model.attention.ds,
            noise=torch.from_numpy(noise),
            noise_gain=augment.noise if augment else 0.0,
            tolerance=tolerance,
        )
        backbone = BACKBONES[model.backbone.kind](channels, width=model.backbone.width, depth=model.backbone.depth)
        head = HEADS[model.head](model.backbone.width, dropout=model.backbone.dropout)
        return SiameseNetwork(attention, backbone, head, attend_first=attend_first, gain_noise=gain_noise)

    # The members' filters start from different ranges, around 3 noise deviations: how much smoothing pays differs
    # between scenes, and the mean of both is better than either.
    spread = np.linspace(-1, 1, model.members) if model.members > 1 else np.zeros(1)
    return Ensemble([member(3.0 * 1.5 ** float(power)) for power in spread])


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
    clip = percentile_limits(pair, used, percent=prepare.clip_percent) if prepare.clip_percent else None
    statistics = scene_statistics(pair, used, clip=clip)
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
    bands = pair.t1.bands if pair.t1.bands.centres else pair.t2.bands
    detector = SiameseDetector(bands, transform, (0.0, 0.0), network, Calibration(), config.model)
    if prepare.registration:
        detector.shift = measure_shift(*_whole_components(detector, pair), transform.noise)
    return detector, statistics.valid


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
        return SiameseDetector(bands, transform, (down, right), network, calibration, model)
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
    for name, shape in shapes.items():
        found = getattr(transform, name).shape
        if found != shape:
            raise ValueError(f"transform.{name} has shape {found}, not {shape}")
    if used.dtype != np.int64 or not ((used >= 0) & (used < bands.count)).all():
        raise ValueError(f"transform.bands are not indices of {bands.count} bands")
    return transform
