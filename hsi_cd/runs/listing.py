"""Many runs at once: what there is, which is best, and what differs between two."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsi_cd.config import RunConfig, read_config_file
from hsi_cd.errors import HsiCdError, MissingInputError
from hsi_cd.evaluation import RunResult, higher_is_better, judged_apart, mean_std
from hsi_cd.runs.folder import RESULT, read_provenance, read_result
from hsi_cd.runs.provenance import Provenance

log = logging.getLogger(__name__)

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Run:
    """A run folder, whether the run ended or not.

    Attributes:
        folder: the folder.
        state: ``finished``, ``damaged``, or how the last process that worked on it left: ``pre-empted``,
            ``interrupted``, ``failed``, ``unfinished`` (killed, or still running).
        result: its result, if it is finished.
        provenance: the processes that worked on it, as far as they are known.
        settings: its configuration, flat, by keys as ``train.lr``.
    """

    folder: Path
    state: str
    result: RunResult | None = None
    provenance: Provenance = field(default_factory=Provenance)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """Name of the scene; empty where it is not known yet."""
        return self.result.dataset if self.result else str(self.settings.get("dataset") or "")

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.result.method if self.result else str(self.settings.get("method") or "")

    @property
    def protocol(self) -> str:
        """Id of the protocol."""
        return self.result.protocol if self.result else str(self.settings.get("split.protocol") or "")

    @property
    def seed(self) -> int | None:
        """The seed."""
        return self.result.seed if self.result else self.settings.get("seed")

    @property
    def started(self) -> str:
        """When its first process started, ISO 8601; empty where that is not known."""
        return self.provenance.sessions[0].started if self.provenance.sessions else ""

    def score(self, name: str) -> float:
        """A score by name; NaN where there is none."""
        return self.result.scores.get(name, math.nan) if self.result else math.nan


@dataclass(frozen=True)
class Standing:
    """A method with its settings on one scene under one protocol, over the seeds that were run.

    Attributes:
        dataset: name of the scene.
        protocol: id of the protocol.
        method: name of the method.
        mean: of the score.
        std: its standard deviation (ddof 1); NaN for one seed.
        runs: its runs.
        changed: its settings that are not the default, seed, scene, method and protocol aside.
    """

    dataset: str
    protocol: str
    method: str
    mean: float
    std: float
    runs: tuple[Run, ...]
    changed: Mapping[str, Any]


def read_runs(folder: Path) -> list[Run]:
    """All runs in a folder, however deep, in the order of their names.

    Raises:
        MissingInputError: there is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise MissingInputError(f"there is no folder {folder}: name one that holds runs of hsi-cd train")
    found = sorted({path.parent for name in (CONFIG, RESULT) for path in folder.rglob(name)})
    if not found:
        raise MissingInputError(f"{folder} holds no run: name a folder in which hsi-cd train or batch has worked")
    return [read_run(path) for path in found]


def read_run(folder: Path) -> Run:
    """One run folder; what is missing or damaged in it is left out."""
    try:
        provenance = read_provenance(folder)
    except HsiCdError:
        provenance = Provenance()
    try:
        settings = flat(read_config_file(folder / CONFIG))
    except HsiCdError:
        settings = {}
    if not (folder / RESULT).is_file():
        last = provenance.sessions[-1].outcome if provenance.sessions else None
        left = last if last is not None and last != "finished" else "unfinished"  # the result was taken away
        return Run(folder, left, None, provenance, settings)
    try:
        return Run(folder, "finished", read_result(folder), provenance, settings)
    except HsiCdError:
        return Run(folder, "damaged", None, provenance, settings)


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested keys as ``train.lr``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def best_runs(runs: Iterable[Run], *, score: str) -> list[Standing]:
    """For each scene and protocol the method, with its settings, whose mean over seeds is best.

    Best is highest, and of an error, as the calibration error, lowest. A mean is compared, not the luckiest seed.
    The choice sees the pixels that judge: its score is optimistic.
    """
    groups: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        if run.result is not None and not math.isnan(run.score(score)):
            groups.setdefault((run.dataset, run.protocol, run.method, str(_changed(run))), []).append(run)
    _warn_of_other_pixels([run.result for members in groups.values() for run in members if run.result])
    best: dict[tuple[str, str], Standing] = {}
    sign = 1 if higher_is_better(score) else -1
    for (dataset, protocol, method, _), members in groups.items():
        spread = mean_std([run.score(score) for run in members])
        changed = _changed(members[0])
        standing = Standing(dataset, protocol, method, spread.mean, spread.std, tuple(members), changed)
        if (dataset, protocol) not in best or sign * spread.mean > sign * best[dataset, protocol].mean:
            best[dataset, protocol] = standing
    return [best[key] for key in sorted(best)]


def _warn_of_other_pixels(results: Sequence[RunResult]) -> None:
    for protocol in dict.fromkeys(result.protocol for result in results):
        for sentence in judged_apart([result for result in results if result.protocol == protocol]).values():
            log.warning("%s, protocol %s: their scores do not say which is better", sentence, protocol)


def differences(a: Run, b: Run) -> list[tuple[str, str, str]]:
    """What differs between two runs, as (what, of a, of b): settings, code, versions, machine, scores."""
    rows = []
    for kind, ours, theirs in zip(_KINDS, _facts(a), _facts(b), strict=True):
        for name in dict.fromkeys([*ours, *theirs]):
            values = tuple("-" if name not in facts else _shown(facts[name]) for facts in (ours, theirs))
            if values[0] != values[1]:
                rows.append((f"{kind}{name}", values[0], values[1]))
    return rows


_KINDS = ("", "commit of ", "version of ", "", "score ")


def _facts(run: Run) -> Sequence[Mapping[str, Any]]:
    last = run.provenance.sessions[-1] if run.provenance.sessions else None
    versions = last.versions if last else run.result.versions if run.result else {}
    machine = {"host": last.host, **last.hardware} if last else {}
    times = {"seconds": run.provenance.seconds} if run.provenance.seconds is not None else {}
    scores = dict(run.result.scores) if run.result else {}
    if run.result is not None and run.result.kinds is not None:
        scores |= {f"{name} of kinds": value for name, value in run.result.kinds.scores.items()}
    settings = {**run.settings, "dataset": run.dataset}
    return settings, last.commits if last else {}, versions, {"state": run.state, **machine, **times}, scores


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _changed(run: Run) -> dict[str, Any]:
    default = flat(RunConfig().model_dump(mode="json"))
    own = ("dataset", "method", "seed", "split.protocol", "device")
    return {key: value for key, value in run.settings.items() if key not in own and value != default.get(key)}
