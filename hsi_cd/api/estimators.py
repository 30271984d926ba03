"""Every method as a class: options in the constructor, data in ``fit``, which returns itself."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from hsi_cd.api.masking import warn_of_masks
from hsi_cd.api.pairing import warn_of_checkpoint
from hsi_cd.api.registering import fitted_settings, laid_like
from hsi_cd.api.sources import TruthSource
from hsi_cd.api.truths import read_truth
from hsi_cd.config import RunConfig, resolve
from hsi_cd.config.layers import nested_settings
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.checkpoint import detector_of, file_hash, load_checkpoint, save_checkpoint, write_saved
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.registry import METHODS, find_method, method_of_file
from hsi_cd.errors import ConfigError, LabelError, NotFittedError, unknown_name
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.inference.kind_maps import taught_kinds
from hsi_cd.inference.mapping import MapOptions
from hsi_cd.io import CHECKPOINT, check_outputs
from hsi_cd.paths import as_path
from hsi_cd.prepare.measurement import Measurement, Scene, measured
from hsi_cd.runtime.device import choose_device
from hsi_cd.scene import Labels, ScenePair, Split


class Estimator:
    """A method of change detection: what all of them share.

    Attributes:
        method: the method's name, as ``hsi-cd methods`` lists it.
        detector_: what was fitted; it scores windows of a pair.
        measurement_: what was measured on the scene; hand it to the next method's ``fit`` in place of the pair.
        split_: which labelled pixels taught; None for a method that learns from no label.
        checkpoint_: names the checkpoint that it was loaded from, in the maps that it makes; else empty.
    """

    method: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}
    detector_: Detector
    measurement_: Measurement
    split_: Split | None

    def __init__(self, **options: Any) -> None:
        """Options by name; ``inspect.signature`` of the class, or its help, tells them with their defaults.

        Raises:
            UnknownNameError: there is no such option; the nearest one is said.
        """
        for name in options:
            if name not in self.defaults:
                raise unknown_name(f"option of {self.method}", name, self.defaults)
        self.options: dict[str, Any] = {**self.defaults, **options}

    def fit(self, scene: Scene, labels: Any = None) -> Self:
        """Learn from a scene; see the subclasses."""
        raise NotImplementedError

    def predict(self, pair: ScenePair, options: MapOptions | None = None, *, refit: bool = False) -> ChangeMap:
        """The change map of a scene with the same bands. No labels are read.

        What was fitted on dates that were registered (:func:`hsi_cd.register`) registers those of the scene, too:
        its own by the same shift, others by one that is measured anew, which is told.

        Args:
            pair: the scene, the one it was fitted on or another.
            options: threshold, georeference, part of the scene, memory; kinds are mapped where labels taught some.
            refit: measure statistics and shift on this scene; what many scenes taught always does.

        Raises:
            NotFittedError: it has not been fitted.
            BandError: the scene's bands are others.
            CheckpointError: what was fitted is no network, or its statistics were not kept (``refit``); kinds are
                asked for, and none were taught.
            RegistrationError: the scene is to be registered, and no shift lays its dates on one another.
        """
        detector, own = self._fitted(), options or MapOptions()
        refit = refit or bool(getattr(detector, "scenes", ()))  # of many scenes: none's statistics are another's
        known = self.configuration
        pair = laid_like(pair, fitted_settings(known), asked=own.register)
        if refit:
            from hsi_cd.detectors.refit import refit_statistics

            detector = refit_statistics(detector, pair)
        warn_of_checkpoint(detector.bands, pair)
        warn_of_masks(known, pair)
        told = "refitted on the scene" if refit else own.statistics
        kinds = own.kinds or taught_kinds(detector, own.learned)
        how = replace(own, checkpoint=self.checkpoint_, statistics=told, kinds=kinds)
        return ChangeMap(detector, pair, how, method=find_method(self.method).row)

    @property
    def configuration(self) -> Any:
        """The settings with which it was fitted, as its checkpoint holds them.

        Raises:
            NotFittedError: it has not been fitted.
        """
        self._fitted()
        return self._as_fitted.model_dump() if self._loaded is None else self._loaded["config"]

    @property
    def threshold_(self) -> float:
        """Score from which a pixel counts as changed."""
        return self._fitted().threshold

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a checkpoint for :func:`hsi_cd.load` and ``hsi-cd predict``: plain tensors, no pickle.

        Raises:
            NotFittedError: it has not been fitted.
            OutputError: the file exists, is one that the scene is read from, or cannot be written.
            FormatError: its name's ending promises another format.
        """
        detector, target = self._fitted(), as_path(path)
        measured_on = self.__dict__.get("measurement_")
        inputs = () if measured_on is None else measured_on.pair.files
        check_outputs({"the checkpoint": target}, kind=CHECKPOINT, inputs=inputs, overwrite=overwrite)
        if self._loaded is not None:
            write_saved(target, self._loaded)
        else:
            save_checkpoint(target, detector, method=self.method, config=self._as_fitted.model_dump())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options, as scikit-learn asks for them."""
        return dict(self.options)

    def set_params(self, **options: Any) -> Self:
        """Change options; what was fitted stays as it is."""
        self.__init__(**{**self.options, **options})  # type: ignore[misc]
        return self

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.options.items() if value != self.defaults[name]]
        return f"{type(self).__name__}({', '.join(given)})"

    checkpoint_: str = ""
    _as_fitted: RunConfig
    _loaded: dict[str, Any] | None = None

    def _fitted(self) -> Detector:
        if "detector_" not in self.__dict__:
            raise NotFittedError(f"this {type(self).__name__} is not fitted: call fit(pair) first")
        return self.detector_

    def _config(self) -> RunConfig:
        """The configuration with which a run would fit the same."""
        own = find_method(self.method)
        options = own.choose({name: self.options[name] for name in own.options})
        return resolve([("options", {"method": self.method, "seed": self.options["seed"], "options": options})])


class LabelFree(Estimator):
    """A method that learns from no label."""

    def fit(self, scene: Scene, labels: Any = None) -> Self:
        """Measure a scene, without labels.

        Args:
            scene: the scene, or its measurement, which then is not measured again.
            labels: not looked at; scikit-learn's pipelines give some.

        Returns:
            Itself.

        Raises:
            BandError: bands without data or variation, or no pixel with data in both dates.
            ConfigError: an option is of another type or out of its range.
        """
        # What learns loads late: a checkpoint that only maps needs none of it.
        from hsi_cd.runtime.circumstances import Circumstances
        from hsi_cd.runtime.seeding import seeded
        from hsi_cd.training.examples import declared_of
        from hsi_cd.training.fitting import learn
        from hsi_cd.training.training_set import NOBODY

        measurement = measured(scene)
        self._as_fitted = config = declared_of(self._config(), measurement.pair)
        with seeded(config.seed, deterministic=config.deterministic) as generator:
            circumstances = Circumstances(generator, choose_device(config.device))
            self.detector_ = learn(measurement, NOBODY, config, circumstances).detector
        self.measurement_, self.split_, self._loaded = measurement, None, None
        return self


class Supervised(Estimator):
    """A method that learns from labelled pixels."""

    def fit(self, scene: Scene, labels: Any = None, *, split: Split | None = None) -> Self:
        """Learn from some of a scene's labels.

        Args:
            scene: the scene, or its measurement.
            labels: its truth map, in any form that :func:`hsi_cd.open_labels` takes.
            split: which labelled pixels teach, as :func:`hsi_cd.split` makes it or :func:`hsi_cd.open_split`
                reads it; by default the option
                ``protocol`` draws them (P1, 1 % of each class; ``drawn``, all of them, where the labels are
                shapes).

        Returns:
            Itself; ``split_`` says who taught, for ``hsi_cd.evaluate(..., exclude=...)``.

        Raises:
            LabelError: there are no labels, or too few of a class.
            GridError: the labels are of another scene.
        """
        from hsi_cd.runtime.circumstances import Circumstances
        from hsi_cd.runtime.seeding import seeded
        from hsi_cd.training.examples import LabelledScene, config_of, declared_of, prepare_examples
        from hsi_cd.training.fitting import learn

        if labels is None:
            raise LabelError(f"{self.method} learns from labels: give them, as fit(pair, labels)")
        pair = scene.pair if isinstance(scene, Measurement) else scene
        config = self._config()  # options are refused before labels are looked at
        truth: Labels = read_truth(TruthSource(labels, kinds=config.kinds), pair.scene_grid)
        self._as_fitted = config = declared_of(config_of(config, split, truth), pair)
        with seeded(config.seed, deterministic=config.deterministic, benchmark=config.benchmark) as generator:
            examples = prepare_examples(LabelledScene(pair, truth, split), config, measurement=_of(scene))
            circumstances = Circumstances(generator, choose_device(config.device))
            self.detector_ = learn(examples.measurement, examples.taught, config, circumstances).detector
        self.measurement_, self.split_, self._loaded = examples.measurement, examples.on_map()[1], None
        return self

    def _config(self) -> RunConfig:
        own, said = find_method(self.method), self.options
        options = own.choose({name: said[name] for name in own.options})
        top = {"method": self.method, "seed": said["seed"], "options": options, **_taught_by(said)}
        return resolve([("options", top), ("settings", nested_settings(said["settings"] or {}))])


class Network(Supervised):
    """The Siamese network, or one with other parts."""

    def _config(self) -> RunConfig:
        own, said = find_method(self.method), self.options
        options = {
            "method": self.method,
            "seed": said["seed"],
            "device": said["device"],
            "model": {"members": said["members"]},
            **_taught_by(said),
        }
        settings = nested_settings(said["settings"] or {})
        return resolve([(f"method {own.name}", own.settings), ("options", options), ("settings", settings)])


class SelfTrainedNetwork(LabelFree):
    """A network that is taught by pixels of which the label-free detector is certain."""

    _config = Network._config


_SEED: dict[str, Any] = {"seed": 0}
_TAUGHT: dict[str, Any] = {"protocol": None, "kinds": None, "settings": None}
_NETWORK: dict[str, Any] = {"members": 5, "device": "auto", **_TAUGHT}


def estimator_class(method: Method | str, *, name: str | None = None) -> type[Estimator]:
    """The class of a method: its options are those of ``hsi-cd methods NAME``, under the same names.

    Args:
        method: the method, or its name; also ``module:Class``.
        name: what the class is called.

    Raises:
        UnknownNameError: there is no such method.
    """
    own = find_method(method) if isinstance(method, str) else method
    if own.fit is None:
        kind: type[Estimator] = Network if own.needs_labels else SelfTrainedNetwork
        drawn = {} if own.needs_labels else {"protocol", "kinds"}  # nobody's labels are divided
        defaults = {name: value for name, value in (_NETWORK | _SEED).items() if name not in drawn}
    else:
        kind = Supervised if own.needs_labels else LabelFree
        defaults = {**own.options, **(_TAUGHT if own.needs_labels else {}), **_SEED}
    parameters = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=value)
        for option, value in defaults.items()
    ]
    told = "".join(f"    {option}: {value!r} by default.\n" for option, value in defaults.items())
    doc = f"{own.title}: {own.summary}.\n\nReference:\n    {own.reference}\n\nOptions:\n{told}"
    members = {
        "method": method if isinstance(method, str) else own.name,
        "defaults": defaults,
        "__doc__": doc,
        "__signature__": inspect.Signature(parameters),
        "__module__": __name__,
    }
    last = own.place.rpartition(":")[2].rpartition(".")[2]  # of another package: as its class is called
    return type(name or last or "".join(word.title() for word in own.name.split("-")), (kind,), members)


def load(path: str | os.PathLike[str], *, device: str = "auto") -> Estimator:
    """A fitted estimator from a checkpoint of :meth:`Estimator.save`, of a run, or of ``hsi-cd detect``.

    Args:
        path: the file.
        device: where a network computes: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: it is damaged, of another kind, or needs a package that is not installed or trusted.
        DeviceError: ``cuda`` is asked for and there is none.
    """
    path = as_path(path)
    content = load_checkpoint(path)
    detector = detector_of(content, device=choose_device(device))
    method = content["method"]
    known = _CLASSES.get(method) or estimator_class(method_of_file(method, place=content.get("place", "")))
    estimator = known()
    estimator.options = {**estimator.options, **_options_of(content["config"], estimator.options)}
    estimator.detector_, estimator.split_, estimator._loaded = detector, None, content
    estimator.checkpoint_ = file_hash(path)
    return estimator


def _options_of(config: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint's configuration says of an estimator's options."""
    if not isinstance(config, Mapping):
        return {}
    said = {**config, **(config.get("options") or {}), "members": config.get("model", {}).get("members")}
    said["protocol"] = config.get("split", {}).get("protocol")
    return {name: said[name] for name in options if said.get(name) is not None and name != "settings"}


def _taught_by(said: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol, and whether kinds of change are learned, as settings, where they are said."""
    named = {} if said.get("protocol") is None else {"split": {"protocol": said["protocol"]}}
    return named if said.get("kinds") is None else {**named, "kinds": said["kinds"]}


def _of(scene: Scene) -> Measurement | None:
    return scene if isinstance(scene, Measurement) else None


Auto = estimator_class(METHODS["auto"], name="Auto")
CVA = estimator_class(METHODS["cva"], name="CVA")
PCACVA = estimator_class(METHODS["pca-cva"], name="PCACVA")
SAM = estimator_class(METHODS["sam"], name="SAM")
IRMAD = estimator_class(METHODS["irmad"], name="IRMAD")
SFA = estimator_class(METHODS["sfa"], name="SFA")
ISFA = estimator_class(METHODS["isfa"], name="ISFA")
Celik = estimator_class(METHODS["celik"], name="Celik")
Superpixel = estimator_class(METHODS["superpixel"], name="Superpixel")
SVM = estimator_class(METHODS["svm"], name="SVM")
Forest = estimator_class(METHODS["forest"], name="Forest")
Logistic = estimator_class(METHODS["logistic"], name="Logistic")
SelfTrained = estimator_class(METHODS["self-trained"], name="SelfTrained")
Siamese = estimator_class(METHODS["siamese"], name="Siamese")

_CLASSES = {
    each.method: each
    for each in (
        Auto,
        CVA,
        PCACVA,
        SAM,
        IRMAD,
        SFA,
        ISFA,
        Celik,
        Superpixel,
        SVM,
        Forest,
        Logistic,
        SelfTrained,
        Siamese,
    )
}
"""The classes of the built-in methods, by the methods' names."""


def make_estimator(method: str, **options: Any) -> Estimator:
    """An estimator of a method by name, also ``module:Class``, with options.

    Raises:
        UnknownNameError: there is no such method, or it has no such option.
        ConfigError: the method cannot be imported, or lacks what a method must have.
    """
    return (_CLASSES.get(method) or estimator_class(method))(**options)


def check_label_free(method: str) -> None:
    """Refuse a method that learns from labels where there are none.

    Raises:
        ConfigError: so it is.
    """
    if find_method(method).needs_labels:
        raise ConfigError(f"{method} learns from labels: use hsi_cd.train, or another method")
