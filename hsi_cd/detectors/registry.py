"""All methods by name: what each does, where it comes from, how it is fitted and built again."""

from __future__ import annotations

import logging
from typing import Any

import torch

from hsi_cd import plugins
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.celik import CELIK_OPTIONS, celik_from_state, fit_celik
from hsi_cd.detectors.classical import (
    FOREST_OPTIONS,
    LOGISTIC_OPTIONS,
    SVM_OPTIONS,
    classical_from_state,
    fit_forest,
    fit_logistic,
    fit_svm,
    preparation,
)
from hsi_cd.detectors.classical_kinds import fit_classical_kinds
from hsi_cd.detectors.decision import minimum_noise, standardised
from hsi_cd.detectors.detector_contract import blamed, check_members, refused
from hsi_cd.detectors.difference import (
    CVA_OPTIONS,
    PCA_CVA_OPTIONS,
    SAM_OPTIONS,
    fit_cva,
    fit_pca_cva,
    fit_sam,
    sam_from_state,
)
from hsi_cd.detectors.irmad import IRMAD_OPTIONS, fit_irmad
from hsi_cd.detectors.labelfree import AUTO_OPTIONS, auto_from_state, fit_auto
from hsi_cd.detectors.linear import linear_from_state
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.method_contract import method_of_class
from hsi_cd.detectors.siamese import siamese_from_state
from hsi_cd.detectors.slow_features import ISFA_OPTIONS, SFA_OPTIONS, fit_isfa, fit_sfa
from hsi_cd.detectors.superpixel import SUPERPIXEL_OPTIONS, fit_superpixel, superpixel_from_state
from hsi_cd.errors import CheckpointError, ConfigError, HsiCdError, unknown_name

_ALL = (
    Method(
        "auto",
        "Label-free default",
        "what neither date predicts of the other, on denoised, registered, smoothed components; no labels",
        "after Schaum and Stocker 1997, and Nielsen 2007, doi:10.1109/TIP.2006.888195",
        False,
        fit_auto,
        auto_from_state,
        AUTO_OPTIONS,
        minimum_noise,
    ),
    Method(
        "cva",
        "CVA",
        "length of the difference of standardised spectra; no labels",
        "Bovolo and Bruzzone 2007, doi:10.1109/TGRS.2006.885408",
        False,
        fit_cva,
        linear_from_state,
        CVA_OPTIONS,
        standardised,
    ),
    Method(
        "pca-cva",
        "PCA-CVA",
        "CVA on the leading principal components of the difference; no labels",
        "Byrne, Crapper and Mayo 1980, doi:10.1016/0034-4257(80)90021-8",
        False,
        fit_pca_cva,
        linear_from_state,
        PCA_CVA_OPTIONS,
        standardised,
    ),
    Method(
        "sam",
        "SAM",
        "angle between the spectra, blind to brightness; no labels",
        "Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N",
        False,
        fit_sam,
        sam_from_state,
        SAM_OPTIONS,
        standardised,
    ),
    Method(
        "irmad",
        "IR-MAD",
        "differences of canonical variates, reweighted by the probability of no change; no labels",
        "Nielsen 2007, doi:10.1109/TIP.2006.888195",
        False,
        fit_irmad,
        linear_from_state,
        IRMAD_OPTIONS,
        standardised,
    ),
    Method(
        "sfa",
        "SFA",
        "differences of the features that vary least between the dates; no labels",
        "Wu, Du and Zhang 2014, doi:10.1109/TGRS.2013.2266673",
        False,
        fit_sfa,
        linear_from_state,
        SFA_OPTIONS,
        standardised,
    ),
    Method(
        "isfa",
        "ISFA",
        "SFA reweighted by the probability of no change; no labels",
        "Wu, Du and Zhang 2014, doi:10.1109/TGRS.2013.2266673",
        False,
        fit_isfa,
        linear_from_state,
        ISFA_OPTIONS,
        standardised,
    ),
    Method(
        "celik",
        "PCA-k-means",
        "k-means in the eigenspace of blocks of the difference image; no labels",
        "Celik 2009, doi:10.1109/LGRS.2009.2025059",
        False,
        fit_celik,
        celik_from_state,
        CELIK_OPTIONS,
        standardised,
    ),
    Method(
        "superpixel",
        "Superpixel k-means",
        "k-means on the mean differences of superpixels (SLIC), each pixel by the nearest centre; no labels",
        "after Achanta et al. 2012, doi:10.1109/TPAMI.2012.120, and Celik 2009, doi:10.1109/LGRS.2009.2025059",
        False,
        fit_superpixel,
        superpixel_from_state,
        SUPERPIXEL_OPTIONS,
        minimum_noise,
    ),
    Method(
        "svm",
        "SVM",
        "support vectors with a radial kernel on minimum-noise components in context; few labels",
        "Cortes and Vapnik 1995, doi:10.1007/BF00994018",
        True,
        fit_svm,
        classical_from_state,
        SVM_OPTIONS,
        preparation,
        fit_kinds=fit_classical_kinds,
    ),
    Method(
        "forest",
        "Random forest",
        "random forest on minimum-noise components in context; few labels",
        "Breiman 2001, doi:10.1023/A:1010933404324",
        True,
        fit_forest,
        classical_from_state,
        FOREST_OPTIONS,
        preparation,
        fit_kinds=fit_classical_kinds,
    ),
    Method(
        "logistic",
        "Logistic regression",
        "logistic regression on minimum-noise components in context; few labels",
        "Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x",
        True,
        fit_logistic,
        classical_from_state,
        LOGISTIC_OPTIONS,
        preparation,
        fit_kinds=fit_classical_kinds,
    ),
    Method(
        "self-trained",
        "Self-trained Siamese",
        "the Siamese network, taught by the pixels of which auto is certain; no labels",
        "after Lee 2013, Pseudo-label, ICML workshop on challenges in representation learning",
        False,
        None,
        siamese_from_state,
    ),
    Method(
        "siamese",
        "Siamese network",
        "an ensemble of Siamese networks with bounded spatial attention; few labels",
        "after Chen and Shi 2020, doi:10.3390/rs12101662",
        True,
        None,
        siamese_from_state,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""All methods by name."""


log = logging.getLogger(__name__)


def find_method(name: str) -> Method:
    """The method called ``name``: one of :data:`METHODS`, one of an installed package, or ``module:Class``.

    For names that the user wrote; see :func:`detector_from_state` for those in a file.

    Raises:
        UnknownNameError: there is no such method; the known ones are listed.
        ConfigError: it cannot be imported, or lacks what a method must have.
    """
    if name in METHODS:
        return METHODS[name]
    place = name if plugins.is_named(name) else plugins.entry("method", name)
    if place is None:
        raise unknown_name("method", name, [*METHODS, *plugins.entries("method")])
    method = method_of_class(plugins.load_named(place, kind="method"), name=name, place=place)
    if method.own_name in METHODS:
        raise refused(name, f"name is {method.own_name}, which is a method of hsi-cd")
    return method


def all_methods() -> dict[str, Method]:
    """All methods by name: those of :data:`METHODS`, and those that installed packages enter.

    One that cannot be used is left out with a warning: what else is installed must not keep anybody from the rest.
    """
    found = dict(METHODS)
    for name, place in plugins.entries("method").items():
        try:
            if name in METHODS:
                raise ConfigError(f"method {name} is one of hsi-cd: name what a package enters as it by {place}")
            found[name] = find_method(name)
        except ConfigError as error:
            log.warning("%s", error)
    return found


def method_of_file(method: Any, *, place: Any = "") -> Method:
    """The method that a file names.

    Args:
        method: its name.
        place: of a method of another package: where its class was, as ``module:Class``.

    Raises:
        UnknownNameError: there is no such method.
        CheckpointError: it is of a package that nobody vouched for, or that cannot be used.
    """
    if not isinstance(method, str):
        raise CheckpointError(f"the checkpoint's method is a {type(method).__name__}, not a name: train it again")
    if method in METHODS:
        return METHODS[method]
    if place and method not in plugins.entries("method"):
        method = place  # the package that entered the name is not installed here
    if plugins.is_named(method):
        plugins.load_trusted(method, kind="method")
    try:
        return find_method(method)
    except ConfigError as error:
        raise CheckpointError(
            f"the checkpoint needs the method {method}, which cannot be used: {error}"
        ) from error


def detector_from_state(method: Any, state: dict[str, Any], *, device: torch.device, place: str = "") -> Detector:
    """The detector of a method, rebuilt from what :meth:`Detector.state` gave, scoring on ``device``.

    Args:
        method: the method's name, as a file holds it.
        state: what the detector gave.
        device: where it scores.
        place: of a method of another package: where its class was, as ``module:Class``.

    Raises:
        UnknownNameError: there is no such method.
        CheckpointError: the state is not one of this method, or it needs a package that nobody vouched for.
    """
    found = method_of_file(method, place=place)
    if not found.place:
        return found.from_state(state, device=device)
    try:
        with blamed(found.name, "from_state"):
            detector = found.from_state(state, device=device)
        check_members(detector, method=found.name)
    except CheckpointError:
        raise
    except HsiCdError as error:
        raise CheckpointError(f"the checkpoint cannot be rebuilt: {error}") from error
    return detector
