"""A change map as a value: scored when it is looked at, streamed when it is written."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.measures import score_name
from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import biased
from hsi_cd.inference.kind_maps import KindCounter, KindCounts, MappedKinds, mapped_kinds
from hsi_cd.inference.mapping import MapOptions, map_rows, rows_of_kinds, write_maps
from hsi_cd.inference.scoring import classify
from hsi_cd.io import MapFiles, MapRows, RegionChoice, WrittenMap
from hsi_cd.paths import as_path
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.scene import CHANGED, UNLABELLED, Grid, ScenePair

if TYPE_CHECKING:
    import xarray

FilePath = str | os.PathLike[str]


class ChangeMap:
    """What a fitted detector says of a scene.

    Nothing is computed before it is asked for: :attr:`change` and its like score the scene once and keep the map
    in memory; :meth:`write` streams it, so that a scene of any height can be mapped.

    Attributes:
        detector: what scores.
        pair: the scene.
        options: threshold, georeference, part of the scene, memory.
        method: what tables call the method.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> t1 = np.random.default_rng(0).random((4, 20, 20), dtype=np.float32)
        >>> t2 = t1.copy()
        >>> t2[:, 5:9, 5:9] += 3
        >>> change = hc.detect(hc.open_pair(t1, t2), method="cva")
        >>> int(change.change[5:9, 5:9].sum())
        16
    """

    def __init__(
        self, detector: Detector, pair: ScenePair, options: MapOptions | None = None, *, method: str = ""
    ) -> None:
        """Nothing is scored yet."""
        self.detector, self.pair, self.options = detector, pair, options or MapOptions()
        self.method = method or str(getattr(detector, "method", "siamese"))
        self._counted: KindCounts | None = None

    @property
    def grid(self) -> Grid:
        """Shape, CRS and transform of the map."""
        whole, shard = self.pair.map_grid(self.options.grid), self.options.shard
        return whole if shard is None else whole.part(shard.rows(self.pair.shape[0]))

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        return self.detector.threshold if self.options.threshold is None else self.options.threshold

    @cached_property
    def score(self) -> NDArray[np.float32]:
        """Scores, float32 ``(rows, cols)``, higher is more change, NaN for no data."""
        parts = [part.score for part in map_rows(self.detector, self.pair, self.options) if part.score is not None]
        return np.concatenate(parts)

    @cached_property
    def change(self) -> NDArray[np.uint8]:
        """The map, uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data."""
        return classify(self.score, self.threshold)

    @cached_property
    def kinds(self) -> MappedKinds | None:
        """The kinds of change by name, and their pixels and spectra.

        Kinds that labels taught are counted when their spectra are first looked at: the scene is mapped for it,
        unless :attr:`kind` has mapped it, or :meth:`write_files` counted them while it wrote. None where nobody
        asked, and none were learned.
        """
        own = self.options.kinds
        return (
            own if own is None or isinstance(own, MappedKinds) else mapped_kinds(own, self.pair, self.count_kinds)
        )

    @cached_property
    def kind(self) -> NDArray[np.uint8]:
        """The kind of each pixel, uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 no data; as it is written.

        Raises:
            ConfigError: nobody asked for kinds.
        """
        return np.concatenate([part.change for part in self._rows_of_kinds()])

    @property
    def kind_probability(self) -> NDArray[np.float32]:
        """Probability of each kind given change, float32 ``(kinds, rows, cols)``, NaN for no data.

        Raises:
            ConfigError: the map has no kinds, or they were found without labels.
        """
        parts = self._rows_of_kinds(chances=True)
        return np.concatenate([p.kind_probability for p in parts if p.kind_probability is not None], axis=1)

    def count_kinds(self) -> KindCounts:
        """The pixels and spectra of each kind of the map, by its value; computed once.

        Raises:
            ConfigError: nobody asked for kinds.
        """
        if self._counted is None:
            counter, kept = self._counter(), self.__dict__.get("kind")
            for part in self._rows_of_kinds() if kept is None else _in_blocks(kept):
                counter.see(part)
            self._counted = counter.counts()
        return self._counted

    def _counter(self) -> KindCounter:
        shard, kinds = self.options.shard, self.options.kinds
        top = 0 if shard is None else shard.rows(self.pair.shape[0]).start
        return KindCounter(self.pair, 0 if kinds is None else kinds.model.count, self.grid, top=top)

    def _rows_of_kinds(self, *, chances: bool = False) -> Iterator[MapRows]:
        if self.kinds is None:
            raise ConfigError(
                "the map tells no kinds of change apart: ask for them, as hsi_cd.detect(kinds='auto'), or train "
                "with kinds=True"
            )
        rows = map_rows(self.detector, self.pair, self.options)
        return rows_of_kinds(rows, self.pair, self.options, chances=chances)

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probabilities of change, float32 ``(rows, cols)``, 0 to 1, NaN for no data."""
        return self.detector.probability(self.score)

    @cached_property
    def uncertainty(self) -> NDArray[np.float32]:
        """How far an ensemble's members differ on the probability, float32 ``(rows, cols)``, NaN for no data.

        Raises:
            CheckpointError: the detector is no ensemble.
        """
        rows = map_rows(self.detector, self.pair, self.options, uncertainty=True)
        return np.concatenate([part.uncertainty for part in rows if part.uncertainty is not None])

    def write(
        self,
        change: FilePath,
        *,
        score: FilePath | None = None,
        uncertainty: FilePath | None = None,
        probability: FilePath | None = None,
        kind_probability: FilePath | None = None,
        vector: FilePath | None = None,
        cog: bool = False,
        overwrite: bool = False,
        **regions: Any,
    ) -> ChangeMap:
        """Write the map as GeoTIFF, and what is asked for beside it; all files appear together, or none.

        Args:
            change: file of the map: 0 unchanged, 1 changed (or 1 to K where kinds were asked for), 255 no data,
                with colours.
            score: file of the scores, float32.
            uncertainty: file of the uncertainty, float32.
            probability: file of the probabilities of change, float32, 0 to 1.
            kind_probability: file of the probabilities of each kind given change, float32, a band a kind.
            vector: file of the changed regions as polygons (.gpkg, .geojson).
            cog: write Cloud Optimized GeoTIFFs, with overviews.
            overwrite: replace files that exist.
            regions: of the polygons ``min_area``, ``sieve`` and ``simplify``, as of
                :class:`hsi_cd.io.RegionChoice`.

        Returns:
            The map itself.

        Raises:
            OutputError: a file exists or cannot be written.
            GridError: polygons of a scene without CRS and transform.
            FormatError: the polygons' name tells no format.
            CheckpointError: uncertainty of a detector that is no ensemble.
        """
        scores, doubts, shapes, chances, kinds = (
            None if path is None else as_path(path)
            for path in (score, uncertainty, vector, probability, kind_probability)
        )
        choice = RegionChoice(**regions)
        self.write_files(MapFiles(as_path(change), scores, doubts, shapes, choice, cog, overwrite, chances, kinds))
        return self

    def write_files(self, files: MapFiles, *, count_kinds: bool = False) -> WrittenMap:
        """:meth:`write`, told by a value; what was written is counted.

        Args:
            files: what is written.
            count_kinds: count the kinds of change that labels taught, too, so that :attr:`kinds` need not map the
                scene once more.
        """
        if not count_kinds or self.options.kinds is None or isinstance(self.options.kinds, MappedKinds):
            return write_maps(self.detector, self.pair, files, self.options)
        counter = self._counter()
        written = write_maps(self.detector, self.pair, files, self.options, see=counter.see)
        self._counted = counter.counts()
        return written

    def to_xarray(self) -> xarray.Dataset:
        """The map with its coordinates: ``change``, ``score`` and ``probability`` over ``y`` and ``x``.

        Where the map tells kinds of change apart, ``kind`` beside them: ``flag_values`` and ``flag_meanings`` as
        the CF conventions have them, and ``names`` as they are.

        CRS and transform are in the coordinate ``spatial_ref``, where rioxarray looks for them.

        Raises:
            ConfigError: xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise ConfigError("xarray is not installed: pip install xarray, or use .change and .grid") from None
        grid = self.grid
        data: dict[str, tuple[Any, ...]] = {
            "change": (("y", "x"), self.change, {"values": "0 unchanged, 1 changed, 255 no data"}),
            "score": (("y", "x"), self.score, {"long_name": score_name(self.detector)}),
            "probability": (("y", "x"), self.probability, {"long_name": "probability of change", "units": "1"}),
        }
        if self.kinds is not None:
            data["kind"] = (("y", "x"), self.kind, _flags(self.kinds.names))
        coords: dict[str, object] = {}
        place = {"threshold": float(self.threshold), "scene": self.pair.name}
        if grid.transform is not None:
            t = grid.transform
            if t.b == t.d == 0:  # a turned grid has no coordinates of one axis alone
                coords["x"] = t.c + t.a * (np.arange(grid.cols) + 0.5)
                coords["y"] = t.f + t.e * (np.arange(grid.rows) + 0.5)
            text = " ".join(repr(float(part)) for part in t.to_gdal())
            attributes = {"GeoTransform": text}
            if grid.crs is not None:
                attributes |= {"crs_wkt": grid.crs.to_wkt(), "spatial_ref": grid.crs.to_wkt()}
            coords["spatial_ref"] = ((), 0, attributes)
        found = xarray.Dataset(data, coords=coords, attrs=place)
        if "spatial_ref" in coords:
            for name in data:
                found[name].encoding["grid_mapping"] = "spatial_ref"
        return found

    def __repr__(self) -> str:
        told = self._told()
        changed = f", {told['changed']} changed" if "changed" in told else ""
        return f"ChangeMap of {told['scene']}: {told['size']}, threshold {told['threshold']}{changed}"

    def _repr_html_(self) -> str:
        told = self._told()
        if "changed" in told:
            told["changed"] = biased(told["changed"])
        cells = ((html.escape(name), html.escape(text)) for name, text in told.items())
        rows = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in cells)
        return f"<table>{rows}</table>"

    def _told(self) -> dict[str, str]:
        """What a notebook shows; the share of change only where the scene has been scored."""
        told = {"scene": self.pair.name, "size": f"{self.grid.rows} x {self.grid.cols} pixels"}
        told["threshold"] = f"{self.threshold:.4g} ({self.detector.unit})"
        if "change" in self.__dict__:
            valid = int((self.change != UNLABELLED).sum())
            changed = int((self.change == CHANGED).sum())
            told["changed"] = f"{changed} of {valid} pixels ({100 * changed / max(valid, 1):.2f} %)"
        return told


def _in_blocks(values: NDArray[np.uint8]) -> Iterator[MapRows]:
    """A map that is in memory, some rows at a time."""
    for rows in row_blocks(*values.shape):
        yield MapRows(rows.start, values[rows])


def _flags(names: Mapping[int, str]) -> dict[str, Any]:
    """Names of a map's values as attributes of an array: CF's, whose words have no spaces, and as they are."""
    words = " ".join("_".join(name.split()) for name in names.values())
    return {"flag_values": np.array(list(names), np.uint8), "flag_meanings": words, "names": list(names.values())}
