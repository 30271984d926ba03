"""What is known of a benchmark scene: its files, shape, label encoding and source."""

from __future__ import annotations

from dataclasses import dataclass

from hsi_cd.scene import LabelScheme


@dataclass(frozen=True)
class CubeFile:
    """Where one date of a scene is stored.

    Attributes:
        names: file names under which it circulates.
        key: variable of a MATLAB file; None for its only 3-D array, and for other formats.
        header: whether it is ENVI's data file, beside which a header must lie.
    """

    names: tuple[str, ...]
    key: str | None = None
    header: bool = False

    def describe(self) -> str:
        """The names, with key and header, as ``Farm1.mat (imgh)``."""
        note = f" ({self.key})" if self.key else " (with its .hdr)" if self.header else ""
        return " or ".join(self.names) + note


@dataclass(frozen=True)
class TruthFile:
    """A truth map in one file.

    Attributes:
        names: file names under which it circulates.
        scheme: what its values mean.
        key: variable of a MATLAB file; None for its only 2-D array, and for other formats.
    """

    names: tuple[str, ...]
    scheme: LabelScheme
    key: str | None = None

    def describe(self) -> str:
        """The names with key and scheme."""
        key = f"{self.key}: " if self.key else ""
        return f"{' or '.join(self.names)} ({key}{self.scheme.describe()})"


@dataclass(frozen=True)
class TruthMasks:
    """A truth in two masks: what is in neither is unlabelled.

    Attributes:
        changed: file name of the mask of changed pixels.
        unchanged: file name of the mask of unchanged pixels.
    """

    changed: str
    unchanged: str

    def describe(self) -> str:
        """Both names."""
        return f"{self.changed} and {self.unchanged} (masks; the rest is unlabelled)"


@dataclass(frozen=True)
class FileSet:
    """One way in which a scene is packed.

    Attributes:
        t1: the earlier date.
        t2: the later date.
        truths: truth maps, of which one is enough; the first that is on disk is read.
    """

    t1: CubeFile
    t2: CubeFile
    truths: tuple[TruthFile | TruthMasks, ...]

    def describe(self) -> str:
        """All files on one line; a file that holds both dates and the truth is named once."""
        parts = [self.t1.describe(), self.t2.describe(), " or ".join(t.describe() for t in self.truths)]
        return ", ".join(parts)


@dataclass(frozen=True)
class Counts:
    """Numbers of pixels of a truth map.

    Attributes:
        unchanged: unchanged pixels.
        changed: changed pixels.
        unlabelled: pixels that nobody labelled.
    """

    unchanged: int
    changed: int
    unlabelled: int = 0

    def describe(self) -> str:
        """The numbers in words."""
        return f"{self.changed:,} changed, {self.unchanged:,} unchanged, {self.unlabelled:,} unlabelled"


@dataclass(frozen=True)
class SceneEntry:
    """A benchmark scene.

    Attributes:
        name: its name in the catalogue, and of its folder.
        aliases: other names; one that two scenes share finds neither.
        place: where it lies.
        sensor: what took it.
        dates: both dates, as far as they are known.
        rows: number of rows.
        cols: number of columns.
        bands: number of bands.
        file_sets: the ways in which it is packed.
        counts: pixels of the truth map, or None where unknown.
        published: where to get it.
        citation: the paper to cite, or empty where it is not known for sure.
        notes: what to know before using it.
    """

    name: str
    place: str
    sensor: str
    dates: tuple[str, str]
    rows: int
    cols: int
    bands: int
    file_sets: tuple[FileSet, ...]
    published: str
    aliases: tuple[str, ...] = ()
    counts: Counts | None = None
    citation: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(rows, cols, bands)``."""
        return self.rows, self.cols, self.bands

    @property
    def size(self) -> str:
        """Rows, columns and bands, as ``450 x 140 x 155``."""
        return " x ".join(map(str, self.shape))
