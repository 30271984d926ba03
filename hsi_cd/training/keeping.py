"""What becomes of a training beside its detector: the files of a run folder, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.checkpoint import save_checkpoint
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.training.journal import Journal
from hsi_cd.training.tracking import NoTracker, Tracker


class NothingKept:
    """Keeps nothing: the detector is all that is wanted.

    Attributes:
        earlier: the checkpoint of an interrupted training, to go on with; here always None.
    """

    earlier: dict[str, Any] | None = None

    def keep(self, detector: Detector) -> None:
        """A detector that was fitted at once."""

    @contextmanager
    def journal(self) -> Iterator[Journal[SiameseDetector]]:
        """Where a training's curves and checkpoints go while the block runs."""
        yield Journal(NoTracker(), lambda name, detector, training: None)


@dataclass
class RunKept(NothingKept):
    """Keeps checkpoints, curves and pictures in a run folder.

    Attributes:
        folder: the run folder.
        config: the run's configuration, which is saved in every checkpoint.
        earlier: the checkpoint of an interrupted training, to go on with.
        leads: whether this process writes; the others of a team do not.
    """

    folder: Path
    config: RunConfig
    earlier: dict[str, Any] | None = None
    leads: bool = True

    def keep(self, detector: Detector) -> None:
        """Leave ``best.pt``."""
        self._save("best", detector, None)

    @contextmanager
    def journal(self) -> Iterator[Journal[SiameseDetector]]:
        """Event files, ``curves.csv``, ``train.log``, ``last.pt`` and ``best.pt``."""
        training = self.earlier["training"] if self.earlier else None
        passed = training["progress"]["epoch"] if training else 0
        tracker = Tracker(self.folder, resume_at=passed) if self.leads else NoTracker()
        try:
            yield Journal(tracker, self._save, training)
        finally:
            tracker.close()

    def _save(self, name: str, detector: Detector, training: dict[str, Any] | None) -> None:
        if self.leads:
            path, config = self.folder / f"{name}.pt", self.config
            save_checkpoint(path, detector, method=config.method, config=config.model_dump(), training=training)
