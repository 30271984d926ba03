"""A simulated analyst, who draws, trains, looks where to draw next, and draws on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hsi_cd.api.analyst_rounds import Rounds
from hsi_cd.api.drawing import draw
from hsi_cd.api.estimators import make_estimator
from hsi_cd.api.suggesting import suggest
from hsi_cd.api.verbs import evaluate
from hsi_cd.config import parse_assignment
from hsi_cd.config.layers import merge
from hsi_cd.datasets.simulated.draughtsman import ShapeKind
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import ConfigError, unknown_name
from hsi_cd.evaluation import RunResult
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.scene import UNLABELLED, Labels, ScenePair

STRATEGIES = ("random", "uncertain")
"""How an analyst goes on: drawing as before (:func:`hsi_cd.draw`), or where :func:`hsi_cd.suggest` says."""


@dataclass(frozen=True)
class Analyst:
    """Who draws, and what is trained with it.

    Attributes:
        method: name of a method that learns from labels.
        strategy: one of :data:`STRATEGIES`.
        shapes: shapes of each class after which a map is made, ascending. The first are drawn under any strategy;
            of suggested places there are twice as many as shapes of each class are missing, whatever their class.
        kind: of the shapes: ``points`` or ``squares``.
        seed: of the drawing and of the training.
        settings: further settings of the training.

    Raises:
        UnknownNameError: there is no such method or strategy.
        ConfigError: the method learns from no label, or the numbers do not rise.
    """

    method: str
    strategy: str
    shapes: tuple[int, ...]
    kind: ShapeKind = "squares"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise unknown_name("strategy", self.strategy, STRATEGIES)
        if not find_method(self.method).needs_labels:
            raise ConfigError(f"{self.method} learns from no label: give a method that does, as siamese")
        rising = all(a < b for a, b in zip(self.shapes, self.shapes[1:], strict=False))
        if not self.shapes or self.shapes[0] < 1 or not rising:
            raise ConfigError(f"shapes are {self.shapes}: expected numbers of each class from 1, ascending")
        if self.kind not in ("points", "squares"):
            raise ConfigError(f"kind is {self.kind!r}: expected points or squares")

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{find_method(self.method).row}, {self.strategy}"

    def decides(self, pair: ScenePair, truth: Labels) -> dict[str, Any]:
        """All but the numbers of shapes that decides what is drawn and scored, as JSON has it."""
        own = {name: getattr(self, name) for name in ("method", "strategy", "kind", "seed")}
        scene = {"scene": pair.name, "pixels": pair.fingerprint(), "truth": truth.fingerprint()}
        return own | {"settings": json.loads(json.dumps(dict(self.settings)))} | scene


def ask_analyst(
    pair: ScenePair, truth: Labels, analyst: Analyst, folder: Path | None = None
) -> Iterator[tuple[int, RunResult]]:
    """Let an analyst label a scene whose truth is known, and judge the map after each round.

    Args:
        pair: the scene.
        truth: what the analyst sees, place by place, and what judges the map: all of its pixels, those that were
            drawn among them, so that all strategies are judged on the same.
        analyst: who draws.
        folder: where rounds are kept; those that are there, of the same scene and analyst, are not done again.

    Yields:
        The number of shapes of each class, and the result.

    Raises:
        LabelError: the truth lacks a class, or has no room for so many shapes.
    """
    measurement = Measurement(pair)
    rounds = Rounds(folder, truth, analyst.shapes, analyst.decides(pair, truth))
    kept = [rounds.read(turn) for turn in range(len(analyst.shapes))]
    change: ChangeMap | None = None
    drawn, before = truth, 0
    for turn, number in enumerate(analyst.shapes):
        found, following = kept[turn], [*kept, None][turn + 1]
        if found is not None:
            drawn = found.labels
        elif change is None or analyst.strategy == "random":
            drawn = draw(truth, number, kind=analyst.kind, seed=analyst.seed)
        else:
            places = suggest(
                change,
                2 * (number - before),
                kind="points" if analyst.kind == "points" else "squares",
                labels=drawn,
                within=truth.values != UNLABELLED,  # or nobody would know an answer
                seed=analyst.seed,
            )
            drawn = places.answer(truth, drawn)
            rounds.write(turn, drawn)
        # Where to draw next, the map alone says: a round is done again where nothing is drawn for the one after.
        ended = number == analyst.shapes[-1] or analyst.strategy == "random" or following is not None
        if found is not None and found.result is not None and ended:
            result = found.result
        else:
            estimator = make_estimator(analyst.method, seed=analyst.seed, settings=dict(analyst.settings))
            change = estimator.fit(measurement, drawn).predict(pair)
            # The whole truth judges: every strategy draws other pixels, and all are to be judged on the same.
            result = evaluate(change, truth, name=pair.name, method=analyst.title)
            result = replace(result, seed=analyst.seed)
            rounds.write(turn, drawn, result)
        yield number, result
        before = number


def settings_of(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Settings as an estimator takes them, from words as ``train.epochs=50``.

    Raises:
        ConfigError: a word is none.
    """
    found: dict[str, Any] = {}
    for text in assignments:
        found = merge(found, parse_assignment(text))
    return found
