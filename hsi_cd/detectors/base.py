"""What every method is: fitted once on a scene pair, then it scores windows of a pair."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import CheckpointError
from hsi_cd.scene import Bands, KindTable, ScenePair, check_same_bands


class Detector(Protocol):
    """A method of change detection, behind the one interface that everything else uses.

    A detector's score of a pixel depends on the ``(2 radius + 1)`` square around it in the two mirror-padded
    cubes and on what was frozen when it was fitted, on nothing else.
    """

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        ...

    @property
    def bands(self) -> Bands:
        """The bands that the detector was fitted on."""
        ...

    @property
    def unit(self) -> str:
        """What the score is: ``probability``, or ``score`` for a magnitude without a unit."""
        ...

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        ...

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a mirror-padded window; higher is more change.

        Args:
            t1: stored values of the earlier date, ``(bands, h + 2 radius, w + 2 radius)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            float32 ``(h, w)``, in the detector's ``unit``; NaN where either date has no data.
        """
        ...

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities, 0 to 1, that grow with the score; NaN where the score is."""
        ...

    def parameters(self) -> int:
        """Number of learned numbers."""
        ...

    def state(self) -> dict[str, Any]:
        """All that the detector needs to be used again: tensors and plain values, nothing pickled."""
        ...


@runtime_checkable
class UncertainDetector(Detector, Protocol):
    """A detector of several models, which can say where they differ."""

    @property
    def members(self) -> int:
        """Number of models; one alone differs from nobody."""
        ...

    def score_and_uncertainty(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a mirror-padded window, and how far the members differ on them.

        Args:
            t1: as for :meth:`Detector.score`.
            t2: the later date.

        Returns:
            float32 ``(2, h, w)``: what :meth:`Detector.score` gives, then the standard deviation (ddof 1) of the
            members' change probabilities, in [0, sqrt(1/2)]; NaN where either date has no data.
        """
        ...


@runtime_checkable
class KindModel(Protocol):
    """Tells what kind of change a pixel is, once something else has said that it changed.

    Learned from labels, or found without: maps, figures and polygons ask both the same way.
    """

    @property
    def count(self) -> int:
        """Number of kinds."""
        ...

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its kind depends on."""
        ...

    def of_window(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Kinds of a mirror-padded window, as if all of it had changed.

        Args:
            t1: stored values, float32 ``(bands, h + 2 radius, w + 2 radius)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            uint8 ``(h, w)``: 1 to K, 0 where either date has no data.
        """
        ...


@runtime_checkable
class LearnedKinds(KindModel, Protocol):
    """Kinds that labels taught: each has a probability and a name."""

    @property
    def table(self) -> KindTable:
        """Numbers, stored values and names of the kinds."""
        ...

    def probabilities(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each kind given change, of the same windows.

        Returns:
            float32 ``(kinds, h, w)``, which sum to 1 over the kinds; NaN where either date has no data.
        """
        ...


@runtime_checkable
class KindScorer(Detector, Protocol):
    """A detector that tells scores and the kinds that labels taught it at the cost of about one of them."""

    def score_and_kinds(
        self, t1: NDArray[np.float32], t2: NDArray[np.float32], *, threshold: float
    ) -> NDArray[np.float32]:
        """Scores of a mirror-padded window, and the kinds of what changed.

        Args:
            t1: as for :meth:`Detector.score`.
            t2: the later date.
            threshold: score from which a pixel counts as changed.

        Returns:
            float32 ``(2, h, w)``: what :meth:`Detector.score` gives, bit for bit, then the number of the kind
            where it reaches the threshold; elsewhere that number, or 0. NaN where either date has no data.
        """
        ...


def uncertain(detector: Detector) -> UncertainDetector:
    """The detector, if it can say where its members differ.

    Raises:
        CheckpointError: it has no members, or one.
    """
    if not isinstance(detector, UncertainDetector):
        raise CheckpointError(
            "the checkpoint's method is no ensemble, so nothing tells its uncertainty: leave uncertainty= out, "
            "or train the siamese method"
        )
    if detector.members < 2:
        raise CheckpointError(
            "the checkpoint's network has 1 member, which differs from no other: leave uncertainty= out, or "
            "train with members=5"
        )
    return detector


def kinds_in(detector: Detector) -> LearnedKinds | None:
    """The kinds of change that labels taught a detector; None where none did."""
    kinds: LearnedKinds | None = getattr(detector, "kinds", None)
    return kinds


def learned_kinds(detector: Detector) -> LearnedKinds:
    """The kinds of change that labels taught a detector.

    Raises:
        CheckpointError: none did.
    """
    kinds = kinds_in(detector)
    if kinds is None:
        raise CheckpointError(
            "the checkpoint was trained without kinds of change, so that its map tells none: leave kinds=True "
            "out, or train with kinds=True"
        )
    return kinds


def check_bands(detector: Detector, pair: ScenePair) -> None:
    """Refuse a scene whose bands are not those that the detector was fitted on.

    Raises:
        BandError: with the difference.
    """
    names = ("the checkpoint", f"the scene {pair.name}")
    check_same_bands(detector.bands, pair.bands, names=names, tolerance=pair.band_tolerance)
