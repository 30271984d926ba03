"""Where to draw next: places of a run's scene whose labels would teach most."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.api.pairing import grid_like
from hsi_cd.api.run_folders import RunFolder, open_run
from hsi_cd.detectors.checkpoint import load_detector
from hsi_cd.errors import ConfigError, LabelError, MissingInputError
from hsi_cd.io import HTML, check_outputs, shape_files, write_text
from hsi_cd.io.regions import check_vector_name
from hsi_cd.paths import as_path
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.suggestion import Places, suggest_places, uncertainty_of
from hsi_cd.reporting.html.place_page import PlaceView, place_page
from hsi_cd.runs import Overview
from hsi_cd.runs.folder import files_shown, find_runs
from hsi_cd.scene import UNLABELLED, Grid, ScenePair, check_same_grid

FilePath = str | os.PathLike[str]
PlaceKind = Literal["points", "squares"]

KINDS = ("points", "squares")
"""What a suggestion is drawn as: a point in the middle of its place, or the outline of its 3 x 3 pixels."""

_COMPONENTS = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Suggestions:
    """Places to be labelled next.

    Attributes:
        places: where they are, the first to be looked at first.
        probability: of change, as the run's map has it, the mean over each place, float32 ``(n,)``.
        kind: ``points`` or ``squares``.
        run: what the run left.
    """

    places: Places
    probability: NDArray[np.float32]
    kind: PlaceKind
    run: RunFolder

    def __len__(self) -> int:
        """Number of places."""
        return len(self.probability)

    @property
    def shapes(self) -> NDArray[np.int32]:
        """The number of each place, from 1, on its pixels, int32 ``(rows, cols)``; 0 elsewhere."""
        found = np.zeros(self.run.change.shape, dtype=np.int32)
        reach = int(self.kind == "squares")
        for number, (row, col) in enumerate(zip(self.places.rows, self.places.cols, strict=True), start=1):
            found[row - reach : row + reach + 1, col - reach : col + reach + 1] = number
        return found

    def place(self, like: FilePath | None = None) -> Grid:
        """The grid on which they lie: the map's, or that of an image of the same pixels."""
        return self.run.grid if like is None else grid_like(as_path(like), self.run.change.shape)

    def write(self, path: FilePath, *, like: FilePath | None = None, overwrite: bool = False) -> None:
        """Write them as a vector file, to be filled in.

        Fields: ``class``, which is empty, for ``changed`` or ``unchanged``; ``shape``, the number of the place;
        ``probability``, of change, as the map has it.

        Args:
            path: the file, ending in .gpkg or .geojson.
            like: an image of the same pixels that says where they lie, for a run without a georeference.
            overwrite: whether a file of this name may be replaced.

        Raises:
            FormatError: the name's ending tells no format.
            GridError: the run has no CRS and transform.
            OutputError: the file exists or cannot be written.
        """
        fields = {
            shape_files.CLASS: np.full(len(self), None, dtype=object),
            shape_files.SHAPE: np.arange(1, len(self) + 1, dtype=np.int32),
            "probability": self.probability.astype(np.float64).round(4),
        }
        shape_files.write_shapes(path, self.shapes, fields, grid=self.place(like), overwrite=overwrite)

    def write_page(self, path: FilePath, *, overwrite: bool = False) -> None:
        """Write an HTML page that shows both dates around each place in false colour; it needs nothing else.

        Raises:
            MissingInputError: the run keeps no pictures of its scene.
            OutputError: the file exists or cannot be written.
        """
        overview = self.run.overview
        if overview is None:
            raise MissingInputError(f"{self.run.folder} holds no overview.npz: there are no pictures to show")
        views = [
            PlaceView(number, int(row), int(col), float(probability), self._coordinates(int(row), int(col)))
            for number, (row, col, probability) in enumerate(
                zip(self.places.rows, self.places.cols, self.probability, strict=True), start=1
            )
        ]
        text = place_page((overview.t1, overview.t2), views, scene=self.run.result.dataset)
        write_text(path, text, overwrite=overwrite)

    def _coordinates(self, row: int, col: int) -> tuple[float, float] | None:
        transform = self.run.grid.transform
        if transform is None:
            return None
        x, y = transform @ (col + 0.5, row + 0.5)
        return float(x), float(y)


def suggest(
    run: FilePath, number: int = 20, *, kind: PlaceKind = "squares", pair: ScenePair | None = None, seed: int = 0
) -> Suggestions:
    """Say where to draw next.

    Places (3 x 3 pixels with data and without a label; where all of the scene has labels, that did not teach) are
    chosen among the most uncertain ones of the run's map, the likelier, the less they look like what is labelled
    and like each other, and far enough apart; see :func:`hsi_cd.prepare.suggestion.suggest_places`.

    Args:
        run: a run folder that ended.
        number: of places.
        kind: ``squares`` are 3 x 3 pixels; ``points`` the pixel in their middle.
        pair: the run's two dates, to compare places by all of their bands; by default they are compared by the
            pictures of both dates that the run keeps (near infrared, red and green).
        seed: of the draw; the same seed suggests the same.

    Returns:
        The places; ``write`` makes a vector file of them, ``write_page`` a page to look at.

    Raises:
        MissingInputError: there is no such run, it has not ended, or has no scores or pictures.
        ConfigError: there are several runs in the folder, or a number or a kind that there is not.
        GridError: the pair is of another scene.
        LabelError: fewer places are left than are asked for.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}: expected {' or '.join(KINDS)}")
    if number < 1:
        raise ConfigError(f"number is {number}: expected at least 1 place")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: expected 0 or more")
    folder = _one_run(run)
    opened = open_run(folder)
    if opened.overview is None:
        raise MissingInputError(
            f"{folder} holds no overview.npz, which says what is labelled: train again, or name another run"
        )
    probability, threshold = _probability(opened)
    features, there = _features(opened, pair)
    there &= np.isfinite(probability)
    labelled = _labelled(opened, opened.overview, there)
    places = suggest_places(
        uncertainty_of(probability, threshold),
        features,
        free=there & ~labelled,
        labelled=there & labelled,
        number=number,
        seed=seed,
    )
    reach = int(kind == "squares")
    each = [
        probability[row - reach : row + reach + 1, col - reach : col + reach + 1].mean()
        for row, col in zip(places.rows, places.cols, strict=True)
    ]
    return Suggestions(places, np.array(each, dtype=np.float32), kind, opened)


def check_suggestions(
    run: FilePath, *, output: Path, page: Path | None, like: Path | None, overwrite: bool
) -> None:
    """Refuse files that could not be written, before any work.

    Raises:
        OutputError: a file is an input or the other one, exists or cannot be written.
        FormatError: a name's ending tells another format.
    """
    inputs = [*files_shown([_one_run(run)]), *([] if like is None else [like])]
    check_outputs({"output": output, "the page": page}, inputs=inputs, overwrite=overwrite)
    check_outputs({"the page": page}, kind=HTML, overwrite=overwrite)
    check_vector_name(output)


def _one_run(run: FilePath) -> Path:
    found = find_runs([run])
    if len(found) > 1:
        named = ", ".join(path.name for path in found[:5])
        raise ConfigError(f"{run} holds {len(found)} runs ({named}{', ...' if len(found) > 5 else ''}): name one")
    return found[0]


def _labelled(run: RunFolder, overview: Overview, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is labelled already; where all of the scene is, as a benchmark's, what taught."""
    labelled: NDArray[np.bool_] = overview.truth != UNLABELLED
    if (there & ~labelled).any():
        return labelled
    taught = None if run.split is None else run.split.train_mask()
    if taught is None or not taught.any() or not (there & ~taught).any():
        raise LabelError(f"{run.folder}: all pixels with data are labelled already: there is nothing to suggest")
    _log.warning(
        "%s: all pixels with data have labels: places are suggested among those that did not teach", run.folder
    )
    return taught


def _probability(run: RunFolder) -> tuple[NDArray[np.float32], float]:
    """Probabilities of change, NaN for no data, and from which a pixel counts as changed."""
    if run.score is None:
        raise MissingInputError(f"{run.folder} holds no score.tif: nothing says where its map is uncertain")
    threshold = run.result.threshold
    if run.gives_probabilities:
        return run.score, 0.5 if threshold is None else float(threshold)
    detector = load_detector(run.folder / "best.pt", device=torch.device("cpu"))
    score = np.append(run.score.ravel(), np.float32(detector.threshold))
    probability = detector.probability(score)
    return probability[:-1].reshape(run.score.shape), float(probability[-1])


def _features(run: RunFolder, pair: ScenePair | None) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Features ``(features, rows, cols)`` of both dates and their difference, and where they are known."""
    if pair is None:
        if run.overview is None:
            raise MissingInputError(f"{run.folder} holds no overview.npz")
        t1, t2 = (np.moveaxis(each, -1, 0).astype(np.float32) for each in (run.overview.t1, run.overview.t2))
    else:
        names = (f"the run {run.folder}", f"the scene {pair.name}")
        check_same_grid(run.grid, pair.grid, names=names, remedy="give the two dates of this run")
        measurement = Measurement(pair)
        how = Preparation(projection="mnf", components=_COMPONENTS, drop_constant=True, exact=False)
        components = measurement.components(measurement.transform(how), exact=False)
        rows, cols = pair.shape
        t1, t2 = components.window(slice(0, rows), slice(0, cols))
    features = np.concatenate([t1, t2, t2 - t1])
    return features, np.isfinite(features).all(axis=0)
