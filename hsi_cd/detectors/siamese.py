"""The trained Siamese network as a detector: frozen scene statistics, an ensemble, a calibrated threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module

from hsi_cd.config import AugmentConfig, ModelConfig, PrepareConfig, RunConfig
from hsi_cd.detectors.dense import dense_output
from hsi_cd.detectors.frontend import Frontend, fit_frontend, fit_frontends, frontend_from_state
from hsi_cd.detectors.network import build_network
from hsi_cd.detectors.network_calibration import Calibration, calibration_from_state
from hsi_cd.detectors.network_kinds import KindHeads, NetworkKinds, kind_heads_from_state
from hsi_cd.detectors.prior import Prior, prior_from_state, within
from hsi_cd.detectors.score_input import NOISE, ScoreInput, fit_score_input, score_input_from_state
from hsi_cd.detectors.states import rebuilding
from hsi_cd.errors import CheckpointError
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.prepare.measurement import Measurement, Preparation, Scene, measured
from hsi_cd.prepare.transform import SceneTransform
from hsi_cd.scene import Bands


@dataclass
class SiameseDetector:
    """A Siamese network with everything that decides its scores.

    Attributes:
        frontend: from stored values to registered components; without smoothing, which is the network's own part.
        network: the ensemble, in evaluation mode when it scores.
        calibration: logits to probabilities.
        model: the network's configuration, to build it again.
        prepare: how the transform was fitted, to measure another scene likewise; None where it was not kept.
        precision: of the network's products when it scores. ``torch.bfloat16`` is for GPUs that are fast in it:
            scores then agree to about 1e-2 instead of 1e-5. The attention stays in float32.
        prior: what label-free detectors add to its logits, where labels are few or drawn by people; else None.
        scored: the label-free score that the network sees as one more component, the same in both dates, and whose
            log-odds are added to its logits where there is no prior; or None.
        scenes: names of the scenes that taught it, where these are several: its statistics are then measured on
            each scene that it maps, and those it holds are of the first of them.
        kind_heads: what labels taught of the kinds of change; None where they taught none.
    """

    frontend: Frontend
    network: Ensemble
    calibration: Calibration
    model: ModelConfig
    prepare: PrepareConfig | None = None
    precision: torch.dtype = torch.float32
    prior: Prior | None = None
    scored: ScoreInput | None = None
    scenes: tuple[str, ...] = ()
    kind_heads: KindHeads | None = None

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return max(self._own_radius, self.prior.radius if self.prior else 0)

    @property
    def _own_radius(self) -> int:
        return self.calibration.reach + self.network.radius + self.input_radius

    @property
    def input_radius(self) -> int:
        """Rows and columns around a pixel that what the network sees of it depends on."""
        return max(self.frontend.radius, self.scored.radius if self.scored else 0)

    @property
    def noise(self) -> NDArray[np.float32]:
        """Noise deviation of each channel that the network sees: components, then the label-free score."""
        return _noise(self.frontend, self.scored)

    @property
    def channels(self) -> int:
        """Number of channels that the network sees of a date."""
        return len(self.noise)

    unit = "probability"

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def transform(self) -> SceneTransform:
        """From stored values to components."""
        return self.frontend.transform

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
        parts = (self.prior, self.kind_heads)
        own = sum(p.numel() for p in self.network.parameters())
        return own + sum(part.parameters() for part in parts if part is not None)

    @property
    def kinds(self) -> NetworkKinds | None:
        """The kinds of change that labels taught it; None where they taught none."""
        return None if self.kind_heads is None else NetworkKinds(self, self.kind_heads)

    def inputs(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees of a window.

        Args:
            t1: stored values of the earlier date, ``(bands, h + 2 input_radius, w + 2 input_radius)``, NaN for no
                data.
            t2: the later date, the same shape.

        Returns:
            Both dates' channels, ``(channels, h, w)``, 0 for no data, and their validity, bool ``(1, h, w)``.
        """
        spare = self.input_radius - self.frontend.radius
        first, second = self.frontend.apply(within(t1, spare), within(t2, spare))
        valid = np.isfinite(first[:1]) & np.isfinite(second[:1])
        if self.scored is not None:
            spare = self.input_radius - self.scored.radius
            told = self.scored.component(within(t1, spare), within(t2, spare))
            valid &= np.isfinite(told)
            first, second = np.concatenate([first, told]), np.concatenate([second, told])
        tensors = (torch.from_numpy(np.where(valid, x, np.float32(0))) for x in (first, second))
        return next(tensors), next(tensors), torch.from_numpy(valid)

    @property
    def members(self) -> int:
        """Number of networks whose logits are averaged."""
        return len(self.network.members)

    def logits(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Members' logits of a mirror-padded window, and where they hold, bool.

        They are the network's own, without the prior. Those around that have a say are among them:
        ``(members, h + 2 reach, w + 2 reach)`` by the calibration's reach, which mostly is 0.
        """
        return self._logits(self._own_inputs(t1, t2))

    def _own_inputs(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        spare = self.radius - self._own_radius
        return self.inputs(within(t1, spare), within(t2, spare))

    def _logits(self, inputs: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.dense(self.network, "each", inputs), crop(inputs[2][0], self.network.radius)

    def dense(self, module: Module, how: str, inputs: Sequence[Tensor]) -> Tensor:
        """What a module that holds the network makes of a window: :func:`hsi_cd.detectors.dense.dense_output`."""
        at, r = self.device, self.network.radius
        return dense_output(module, how, inputs, device=at, radius=r, precision=self.precision)

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        inputs = self._own_inputs(t1, t2)
        logits, valid = self._logits(inputs)
        probability = self._calibrated(logits.mean(dim=0), valid, self._known(t1, t2, inputs[0]))
        return probability.masked_fill(~crop(valid, self.calibration.reach), torch.nan).numpy()

    def score_and_uncertainty(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities and how far the members differ on them.

        The uncertainty of a pixel is the standard deviation (ddof 1) over the members of their probabilities, each
        member's logit through the ensemble's own :class:`Calibration`, beside the one prior where there is one: 0
        where all agree, at most .55 for five members. It tells where the labels leave the answer open; it knows
        nothing of what all members get wrong alike (Lakshminarayanan, Pritzel and Blundell 2017, arXiv
        1612.01474).

        See :meth:`hsi_cd.detectors.base.UncertainDetector.score_and_uncertainty`.
        """
        inputs = self._own_inputs(t1, t2)
        logits, valid = self._logits(inputs)
        known = self._known(t1, t2, inputs[0])
        mean, members = (self._calibrated(each, valid, known) for each in (logits.mean(dim=0), logits))
        both = torch.stack([mean, members.std(dim=0, correction=1)])
        return both.masked_fill(~crop(valid, self.calibration.reach), torch.nan).numpy()

    def score_and_kinds(
        self, t1: NDArray[np.float32], t2: NDArray[np.float32], *, threshold: float
    ) -> NDArray[np.float32]:
        """Change probabilities, and the kinds of what changed, from one pass of the network.

        See :meth:`hsi_cd.detectors.base.KindScorer.score_and_kinds`.
        """
        kinds = self.kinds
        if kinds is None:
            raise CheckpointError("the network was trained without kinds of change: train it with kinds=True")
        inputs = self._own_inputs(t1, t2)
        known, valid = self._known(t1, t2, inputs[0]), crop(inputs[2][0], self.network.radius)
        least = self.calibration.least_logit(threshold, known)
        logits, told = kinds.with_logits(inputs, torch.as_tensor(least, dtype=torch.float32).expand(valid.shape))
        probability = self._calibrated(logits.mean(dim=0), valid, known)
        reach = self.calibration.reach
        both = torch.stack([probability, crop(told, reach)])
        return both.masked_fill(~crop(valid, reach), torch.nan).numpy()

    def _calibrated(self, logits: Tensor, valid: Tensor, known: Tensor | float) -> Tensor:
        slope, offset, around = self.calibration.slope, self.calibration.offset, self.calibration.surroundings
        if around is None:
            return torch.sigmoid(slope * logits + (offset + known))
        return torch.sigmoid(around.log_odds(slope * logits + offset, valid) + known)

    def _known(self, t1: NDArray[np.float32], t2: NDArray[np.float32], seen: Tensor) -> Tensor | float:
        """What the prior, or the label-free score that is seen, adds to the logits of a window, ``(h, w)``."""
        if self.prior is None:
            if self.scored is None:
                return 0.0
            aside = self.network.radius + self.calibration.reach
            own = self.scored.log_odds(crop(seen[-1], aside).numpy())
            return torch.from_numpy(self.calibration.prior * own)
        spare = self.radius - self.prior.radius
        odds = self.prior.log_odds(within(t1, spare), within(t2, spare))
        return torch.from_numpy((self.calibration.prior * odds).astype(np.float32))

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score is a probability already."""
        return score

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`siamese_from_state` builds the detector again."""
        front, around = self.frontend.state(), self.calibration.surroundings
        return {
            **{name: front[name] for name in ("bands", "transform", "shift")},
            "network": {name: value.cpu() for name, value in self.network.state_dict().items()},
            "calibration": {
                "slope": self.calibration.slope,
                "offset": self.calibration.offset,
                "threshold": self.calibration.threshold,
                **({} if around is None else {"surroundings": around.state()}),
            },
            "model": self.model.model_dump(),
            "prepare": self.prepare.model_dump() if self.prepare is not None else None,
            **({} if self.prior is None else {"prior": {"weight": self.calibration.prior, **self.prior.state()}}),
            **(
                {}
                if self.scored is None
                else {"scored": {"weight": self.calibration.prior, **self.scored.state()}}
            ),
            **({"scenes": list(self.scenes)} if self.scenes else {}),
            **({} if self.kind_heads is None else {"kinds": self.kind_heads.state()}),
        }


def preparation(config: RunConfig) -> Preparation:
    """How a configuration has spectra prepared for the network."""
    prepare = config.prepare
    return Preparation(
        scaling=prepare.scaling,
        joint=prepare.statistics == "joint",
        clip_percent=prepare.clip_percent,
        projection=prepare.projection,
        components=prepare.components,
        registration=prepare.registration,
        drop_constant=config.bands.drop_constant,
        noise=True,
        exact=False,
    )


def fit_siamese(scene: Scene, config: RunConfig) -> SiameseDetector:
    """A detector with the scene's statistics frozen and an untrained network. No labels are read.

    Args:
        scene: the scene, or its measurement.
        config: the run's configuration.

    Raises:
        BandError: bands without data or without variation, unless the configuration drops them.
    """
    measurement = measured(scene)
    frontend = fit_frontend(measurement, preparation(config))
    scored = _fit_scored(measurement, config)
    network = build_network(config.model, _noise(frontend, scored), augment=config.train.augment)
    return SiameseDetector(frontend, network, Calibration(), config.model, config.prepare, scored=scored)


def fit_siamese_of_scenes(scenes: Sequence[Measurement], config: RunConfig) -> list[SiameseDetector]:
    """One untrained network for several scenes, as a detector of each, with that scene's statistics frozen.

    Statistics, shift and label-free score are of each scene's own, the projection is one for all: what the network
    sees of one scene is then comparable with what it sees of another. No labels are read.

    Args:
        scenes: the measurements of the scenes, which have the same bands.
        config: the run's configuration.

    Raises:
        BandError: a scene has bands without data or without variation, unless the configuration drops them.
    """
    frontends = fit_frontends(scenes, preparation(config))
    scored = list[ScoreInput | None]()
    for each in scenes:
        scored.append(_fit_scored(each, config))
        each.forget_components()  # there is room for those of one scene
    noises = [_noise(*parts) for parts in zip(frontends, scored, strict=True)]
    noise = np.sqrt(np.mean(np.square(noises), axis=0)).astype(np.float32)
    network = build_network(config.model, noise, augment=config.train.augment)
    names = tuple(each.pair.name for each in scenes)
    return [
        SiameseDetector(frontend, network, Calibration(), config.model, config.prepare, scored=told, scenes=names)
        for frontend, told in zip(frontends, scored, strict=True)
    ]


def _fit_scored(measurement: Measurement, config: RunConfig) -> ScoreInput | None:
    if not config.prepare.score:
        return None
    return fit_score_input(measurement, drop_constant=config.bands.drop_constant)


def _noise(frontend: Frontend, scored: ScoreInput | None) -> NDArray[np.float32]:
    noise = frontend.transform.noise
    return noise if scored is None else np.append(noise, np.float32(NOISE))


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
    with rebuilding("detector"):
        own = {name: state[name] for name in ("bands", "transform", "shift")}
        frontend = frontend_from_state({**own, "reach": 0, "tolerance": 3.0}, exact=False)
        if not np.isfinite(frontend.transform.noise).all():
            raise ValueError("transform.noise was not measured")
        calibration = calibration_from_state(state)
        model = ModelConfig.model_validate(state["model"])
        scored = score_input_from_state(state["scored"]) if "scored" in state else None
        noise = _noise(frontend, scored)
        network = build_network(model, noise, augment=augment)
        network.load_state_dict(state["network"])
        for name, value in network.state_dict().items():
            if (kind := state["network"][name].dtype) != value.dtype:  # it would be converted, and rounded
                raise ValueError(f"network.{name} holds {kind}, not {value.dtype}")
            if not torch.isfinite(value).all():
                raise ValueError(f"network.{name} holds what is no finite number")
        device = device or torch.device("cpu")
        network.to(device)
        told = state.get("kinds")
        heads = None
        if told is not None:
            channels = len(noise) if model.attention.place == "input" else model.backbone.width
            heads = kind_heads_from_state(told, channels=channels, members=model.members, device=device)
        how = state.get("prepare")
        prepare = None if how is None else PrepareConfig.model_validate(how)
        prior = prior_from_state(state["prior"]) if "prior" in state else None
        if prior is not None and prior.detector.bands != frontend.bands:
            raise ValueError("its prior is of other bands")
        if scored is not None and scored.detector.bands != frontend.bands:
            raise ValueError("its label-free score is of other bands")
        scenes = tuple(map(str, state.get("scenes", ())))
        return SiameseDetector(
            frontend,
            network,
            calibration,
            model,
            prepare,
            prior=prior,
            scored=scored,
            scenes=scenes,
            kind_heads=heads,
        )
