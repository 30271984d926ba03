"""A series of dates: every pair scored by one method, and what the scores say of each pixel."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd import __version__
from hsi_cd.api.dated_scenes import DateSeries, registered_series
from hsi_cd.api.estimators import load
from hsi_cd.api.pair_scoring import PairScorer, SeriesMethod
from hsi_cd.api.registering import fitted_settings
from hsi_cd.api.series_days import day_code
from hsi_cd.errors import ConfigError, OutputError
from hsi_cd.evaluation import SeriesAreas
from hsi_cd.evaluation.interval_areas import AGAINST, ENDS, INTERVAL, IntervalArea, NamedArea
from hsi_cd.inference.kind_maps import NamedKinds, taught_kinds
from hsi_cd.inference.mapping import area_tags
from hsi_cd.inference.pair_scores import PairScores
from hsi_cd.inference.series_rule import (
    BANDS,
    RETURN_CLASSES,
    DateNumbers,
    count_returns,
    kinds_of_largest,
    pairs_of_dates,
    series_bands,
)
from hsi_cd.io import MapFiles, MapRows, check_output
from hsi_cd.io.prediction import write_prediction
from hsi_cd.io.series_files import SeriesFiles, write_series
from hsi_cd.paths import as_path
from hsi_cd.prepare.stratified_sample import areas_of
from hsi_cd.progress import progress
from hsi_cd.scene import Grid

__all__ = ["ChangeSeries", "SeriesMethod", "compared_series", "series"]

FilePath = str | os.PathLike[str]

_ROWS = 64  # rows that are summarised at a time
_HECTARE = 1e4  # m2


@dataclass(frozen=True)
class ChangeSeries:
    """What a series of dates shows.

    Attributes:
        dates: the dates.
        pairs: the scores of each pair that was compared, by the places of its dates.
        every: whether each date was compared with each other one.
        method: what scored, as tables call it.
        checkpoint: names the checkpoint; empty without one.
        areas: what is called changed, pair by pair.
        kinds: the kinds of change that the checkpoint knows, with their names; None where it knows none.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> t1 = np.random.default_rng(0).random((4, 40, 30), dtype=np.float32)
        >>> t2 = t1.copy()
        >>> t2[:, 5:15, 5:15] += 3
        >>> days = ["2019-06-01", "2020-06-01", "2021-06-01"]
        >>> found = hc.series(hc.open_series([t1, t2, t1 * 1.01], dates=days), method="cva")
        >>> int(found.read()[5, 10, 10])  # it came back
        2
    """

    dates: DateSeries
    pairs: Mapping[DateNumbers, PairScores]
    every: bool
    method: str
    checkpoint: str
    areas: SeriesAreas
    kinds: NamedKinds | None = None
    _room: _Room | None = field(default=None, repr=False)

    @property
    def grid(self) -> Grid:
        """Shape, CRS and transform."""
        return self.dates.map_grid

    def read(self, rows: slice | None = None, cols: slice | None = None) -> NDArray[np.float32]:
        """The bands of :data:`hsi_cd.inference.series_rule.BANDS` in a window, float32 ``(7, rows, cols)``."""
        return _read(self.dates, self.pairs, self.every, rows or slice(None), cols or slice(None))

    def read_kinds(self, rows: slice | None = None, cols: slice | None = None) -> NDArray[np.uint8]:
        """The kind of the largest change in a window, the one of the first band, uint8 ``(rows, cols)``.

        Returns:
            0 unchanged, 1 to K by the numbers of ``kinds.names``, 255 no data.

        Raises:
            ConfigError: no kinds of change are known.
        """
        if self.kinds is None:
            raise ConfigError(
                "the series tells no kinds of change apart: compare the dates by checkpoint=, the file of a "
                "training with kinds=True"
            )
        window = rows or slice(None), cols or slice(None)
        return kinds_of_largest(self.pairs[pair].window(*window) for pair in pairwise(range(len(self.dates.days))))

    def change(self, first: int, second: int) -> NDArray[np.uint8]:
        """The map of two dates that were compared, uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.

        Args:
            first: place of the earlier date.
            second: place of the later one.

        Raises:
            ConfigError: the two were not compared.
        """
        if (first, second) not in self.pairs:
            raise ConfigError(f"dates {first} and {second} were not compared: take a pair of {list(self.pairs)}")
        window = self.pairs[first, second].window(slice(None), slice(None))
        return np.where(np.isnan(window.score), 255, window.changed).astype(np.uint8)

    def write(
        self, output: FilePath, *, kinds: FilePath | None = None, cog: bool = False, overwrite: bool = False
    ) -> ChangeSeries:
        """Write the raster of seven bands (GeoTIFF) with its style (``.qml`` beside it); both, or neither.

        Args:
            output: the GeoTIFF.
            kinds: file of the map of :meth:`read_kinds` (GeoTIFF), with palette, names and style.
            cog: write Cloud Optimized GeoTIFFs, with overviews.
            overwrite: replace files that exist.

        Returns:
            The series itself.

        Raises:
            OutputError: a file exists or cannot be written.
            ConfigError: a map of kinds where none are known.
        """
        self.write_files(SeriesFiles(as_path(output), cog, overwrite, None if kinds is None else as_path(kinds)))
        return self

    def write_files(self, files: SeriesFiles) -> None:
        """:meth:`write`, told by a value."""
        files.check(inputs=self.dates.files)
        if files.kinds is not None:
            self._write_kinds(MapFiles(files.kinds, cog=files.cog, overwrite=files.overwrite))
        days = {day_code(day): day for day in self.dates.days[1:]}
        reader = partial(_read, self.dates, self.pairs, self.every)
        write_series(files, reader, grid=self.grid, bands=BANDS, days=days, tags=self._tags())

    def _write_kinds(self, files: MapFiles) -> None:
        self.read_kinds(slice(0, 1))  # which says what is missing
        names = {} if self.kinds is None else self.kinds.names
        height, chance = self.grid.rows, next(iter(self.pairs.values())).chance
        starts = progress(range(0, height, _ROWS), desc="kinds of change", unit="band")
        rows = (MapRows(start, self.read_kinds(slice(start, start + _ROWS))) for start in starts)
        write_prediction(rows, files, grid=self.grid, tags=self._tags(), probability=chance, kinds=names)

    def _tags(self) -> dict[str, str]:
        dates = self.dates
        thresholds = {f"{a + 1}-{b + 1}": repr(pair.threshold) for (a, b), pair in self.pairs.items()}
        return {
            "SOFTWARE": f"hsi-cd {__version__}",
            "DATES": " ".join(dates.days),
            "FILES": json.dumps([cube.name for cube in dates.cubes], ensure_ascii=False),
            "REFERENCE": dates.days[dates.reference],
            "METHOD": self.method,
            **({"CHECKPOINT_SHA256": self.checkpoint} if self.checkpoint else {}),
            "THRESHOLDS": " ".join(f"{pair}:{value}" for pair, value in thresholds.items()),
            "SCENE": dates.name,
            **({"NODATA": " ".join(map(repr, dates.contract.nodata))} if dates.contract.nodata else {}),
            **({"MASK": " and ".join(dates.masks)} if dates.masks else {}),
            **({"REGISTERED": "; ".join(dates.registered)} if dates.registered else {}),
            **area_tags(dates.area),
            "CAME_BACK": ", ".join(f"{code} {text}" for code, text in RETURN_CLASSES.items()),
        }


def series(
    dates: DateSeries,
    method: str = "auto",
    *,
    seed: int = 0,
    checkpoint: FilePath | None = None,
    refit: bool = False,
    any_units: bool = False,
    device: str = "auto",
    every_pair: bool = False,
    work: FilePath | None = None,
    memory: int | None = None,
    **options: Any,
) -> ChangeSeries:
    """Compare many dates of one place: when each pixel changed, how often, how much, and what came back.

    Each date is compared with the next and with the reference, and the first with the last. A method without
    labels is fitted on each pair; a checkpoint scores all of them as it is. Memory depends neither on the scene's
    height nor on the number of dates: the scores of each pair lie in a file.

    Args:
        dates: the dates, as :func:`hsi_cd.open_series` opens them.
        method: a method without labels; :func:`methods` lists them.
        seed: of methods that draw at random.
        checkpoint: what was fitted or trained before, in place of a method. The kinds of change that it knows are
            told, too.
        refit: measure the bands' statistics on each pair, in place of those of the checkpoint.
        any_units: map values that are far from all that the checkpoint was fitted on.
        device: where the network of a checkpoint computes: ``auto``, ``cpu`` or ``cuda``.
        every_pair: compare each date with each other one, so that what came back is told of any two dates by their
            own pair, and not through the reference.
        work: folder that keeps what is fitted and scored, from which a later call goes on; by default a temporary
            one, which goes with the result.
        memory: bytes for the parts of a pair that are on their way at once.
        options: of the method.

    Raises:
        ConfigError: the method learns from labels, or has no such value of an option.
        BandError: a pair has no pixel with data in both dates, or other bands than the checkpoint.
        PairError: two dates hold the same values.
        OutputError: there is no room for the scores.
    """
    how = SeriesMethod(
        method, options, seed, None if checkpoint is None else as_path(checkpoint), refit, any_units, device
    )
    return compared_series(dates, how, every=every_pair, work=work, memory=memory)


def compared_series(
    dates: DateSeries,
    how: SeriesMethod,
    *,
    every: bool = False,
    work: FilePath | None = None,
    memory: int | None = None,
) -> ChangeSeries:
    """:func:`series`, told by values."""
    how.check()
    fitted = None if how.checkpoint is None else load(how.checkpoint, device=how.device)
    kinds = None if fitted is None else taught_kinds(fitted.detector_, how.kinds or None)
    asked = dates.registered is not None or dates.contract.register is not None
    if fitted is not None and not asked and fitted_settings(fitted.configuration).dates:
        dates = registered_series(dates)
    room = _Room() if work is None else None
    folder = _folder_of(work) if room is None else room.folder
    areas, unit = areas_of(dates.map_grid)
    scorer = PairScorer(dates, how, fitted, folder, areas, memory, kinds)
    wanted = pairs_of_dates(len(dates.days), reference=dates.reference, every=every)
    pairs = {pair: scorer.scores(pair) for pair in progress(wanted, desc="pairs of dates", unit="pair")}
    returns = _returns(dates, pairs, every, areas)
    counted = _areas(dates, pairs, returns, unit, {} if kinds is None else kinds.names)
    title, known = (how.method, "") if fitted is None else (fitted.method, fitted.checkpoint_)
    return ChangeSeries(dates, pairs, every, title, known, counted, kinds, room)


class _Room:
    """A temporary folder, which goes with this object."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hsi-cd-series-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def _folder_of(work: FilePath | None) -> Path:
    """The folder that keeps what is fitted and scored, made if it is not there.

    Raises:
        OutputError: it cannot be made or written to.
    """
    folder = as_path(work or ".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{folder} is a file" if folder.is_file() else error.strerror
        raise OutputError(f"work is to be kept in {folder}, but {why}: name another folder by work=") from None
    check_output(folder / "scores.npy", overwrite=True)
    return folder


def _read(
    dates: DateSeries, pairs: Mapping[DateNumbers, PairScores], every: bool, rows: slice, cols: slice
) -> NDArray[np.float32]:
    codes = [day_code(day) for day in dates.days]
    return series_bands(lambda pair: pairs[pair].window(rows, cols), codes, reference=dates.reference, every=every)


def _returns(
    dates: DateSeries,
    pairs: Mapping[DateNumbers, PairScores],
    every: bool,
    areas: Callable[[slice], NDArray[np.float64]],
) -> dict[int, tuple[int, float]]:
    """Pixels and area of each kind of return, over all that is written."""
    counts = dict.fromkeys(RETURN_CLASSES, (0, 0.0))
    height = dates.map_grid.rows
    for start in progress(range(0, height, _ROWS), desc="what came back", unit="band"):
        rows = slice(start, min(start + _ROWS, height))
        found = count_returns(_read(dates, pairs, every, rows, slice(None)), areas(rows))
        counts |= {code: (counts[code][0] + n, counts[code][1] + area) for code, (n, area) in found.items()}
    return counts


def _areas(
    dates: DateSeries,
    pairs: Mapping[DateNumbers, PairScores],
    returns: Mapping[int, tuple[int, float]],
    unit: str,
    names: Mapping[int, str],
) -> SeriesAreas:
    size = _HECTARE if unit == "m2" else 1.0
    last = len(dates.days) - 1
    following = set(pairwise(range(last + 1)))
    intervals = []
    for numbers, pair in sorted(pairs.items(), key=lambda item: (item[0] not in following, item[0])):
        kind = INTERVAL if numbers in following else ENDS if numbers == (0, last) else AGAINST
        if kind == AGAINST and dates.reference not in numbers:
            continue  # compared to tell what came back
        earlier, later = (dates.days[place] for place in numbers)
        tally = pair.tally
        intervals.append(
            IntervalArea(
                earlier,
                later,
                kind,
                pair.threshold,
                tally.changed,
                tally.known,
                tally.changed_area / size,
                tally.known_area / size,
                tuple(
                    NamedArea(names[number], n, area / size)
                    for number, (n, area) in enumerate(tally.kinds, start=1)
                ),
            )
        )
    back = tuple(NamedArea(RETURN_CLASSES[code], n, area / size) for code, (n, area) in returns.items())
    return SeriesAreas(tuple(intervals), back, "ha" if unit == "m2" else unit)
