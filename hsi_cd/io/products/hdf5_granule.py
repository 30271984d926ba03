"""A product in one HDF5 file: its arrays and attributes by their paths, and readers of windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd.errors import FormatError
from hsi_cd.io.arrays import array_reader
from hsi_cd.io.axes import Axes, band_first
from hsi_cd.io.conventions import text_of
from hsi_cd.io.hdf5 import hdf5_errors, open_hdf5
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import check_plausible
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.variables import Variable
from hsi_cd.scene.cube import WindowReader

_MOST_NUMBERS = 100_000
_MOST_IN_FOLDER = 32  # files with such a name, of which the first bytes are looked at
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Granule:
    """An open HDF5 file; what it holds is asked for by name, and refused by name where it is not there.

    Attributes:
        path: the file.
        file: as h5py opens it.
    """

    path: Path
    file: Any

    def has(self, name: str) -> bool:
        """Whether there is an array or group of this path, inside of this file."""
        return self._find(name) is not None

    def array(self, name: str, *, ndim: int) -> Any:
        """An array of numbers, unread.

        Raises:
            FormatError: there is none, or it has other dimensions.
        """
        found = self._find(name)
        if not isinstance(found, h5py.Dataset):
            raise FormatError(f"{self.path} has no array {name}: it is damaged or incomplete; download it again")
        if found.external or found.is_virtual or found.dtype.kind not in "iufb" or len(found.shape) != ndim:
            shape = " x ".join(str(n) for n in found.shape)
            raise FormatError(
                f"{self.path}: {name} has {shape} values of {found.dtype}: expected numbers in {ndim} dimensions"
            )
        return found

    def attribute(self, name: str, of: str = "/") -> Any:
        """An attribute as stored.

        Raises:
            FormatError: there is none, or nothing that could hold it.
        """
        found = self._find(of)
        if found is None or name not in found.attrs:
            at = "" if of == "/" else f" of {of}"
            raise FormatError(f"{self.path} lacks the attribute {name}{at}: it is damaged; download it again")
        return found.attrs[name]

    def words(self, name: str, of: str = "/", default: str | None = None) -> str:
        """An attribute as text; ``default`` where there is none."""
        found = self._find(of)
        if default is not None and (found is None or name not in found.attrs):
            return default
        return text_of(self.attribute(name, of)).strip()

    def number(self, name: str, of: str = "/") -> float:
        """An attribute that is one finite number.

        Raises:
            FormatError: it is none.
        """
        values = self._numbers(self.attribute(name, of), name)
        if len(values) != 1 or not np.isfinite(values[0]):
            raise FormatError(f"{self.path}: {name} is {_shown(values)}: expected a finite number")
        return float(values[0])

    def numbers(self, name: str, of: str = "/") -> tuple[float, ...]:
        """An attribute that is a list of numbers."""
        return self._numbers(self.attribute(name, of), name)

    def listed(self, name: str) -> tuple[float, ...]:
        """The numbers of a 1-D array.

        Raises:
            FormatError: there is none, or it is no list.
        """
        found = self.array(name, ndim=1)
        if found.size > _MOST_NUMBERS:
            raise FormatError(f"{self.path}: {name} holds {found.size} numbers: expected one a band")
        return self._numbers(found[...], name)

    def said(self, name: str, default: str | None = None) -> str:
        """A text that is stored as an array of one; ``default`` where there is none.

        Raises:
            FormatError: there is none, or more than one.
        """
        found = self._find(name)
        if found is None and default is not None:
            return default
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.size != 1:
            raise FormatError(f"{self.path} has no text {name}: it is damaged or incomplete; download it again")
        return text_of(np.asarray(found[()])).strip()

    def reader(self, name: str, axes: Axes, *, keep: int | None) -> tuple[WindowReader, tuple[int, int, int]]:
        """A reader of windows of a 3-D array, or of a 2-D one as an image of one band, and its shape.

        Args:
            name: of the array.
            axes: its axes as stored; of a 2-D one as if it had bands before them.
            keep: bytes that its decoded chunks may take.

        Returns:
            The reader, and bands, rows and columns.
        """
        order = band_first(axes)
        found = self.array(name, ndim=3)
        variable = Variable(name, tuple(int(n) for n in found.shape), found.dtype.name, found.dtype)
        check_plausible(self.path, variable.shape, found.dtype.itemsize)
        count, rows, cols = (variable.shape[i] for i in order)
        return array_reader(self.path, FileKind.HDF5, variable, order, keep), (count, rows, cols)

    def layer(self, name: str, shape: tuple[int, int]) -> WindowReader:
        """A reader of windows ``(1, rows, cols)`` of a 2-D array of the cube's shape.

        Raises:
            FormatError: it has another shape.
        """
        found = self.array(name, ndim=2)
        if tuple(found.shape) != shape:
            raise FormatError(
                f"{self.path}: {name} has {found.shape[0]} x {found.shape[1]} values, but the image "
                f"{shape[0]} x {shape[1]} pixels: the file is damaged, download it again"
            )
        return LayerReader(self.path, name)

    def _find(self, name: str) -> Any:
        """What lies at a path, by hard links alone; None where there is nothing."""
        found = self.file
        for part in name.strip("/").split("/"):
            if not part:
                continue
            if not isinstance(found, h5py.Group) or not isinstance(found.get(part, getlink=True), h5py.HardLink):
                return None
            found = found[part]
        return found

    def _numbers(self, value: Any, name: str) -> tuple[float, ...]:
        try:
            return tuple(float(each) for each in np.asarray(value).reshape(-1))
        except (TypeError, ValueError):
            raise FormatError(f"{self.path}: {name} is {str(value)[:40]!r}: expected numbers") from None


@dataclass(frozen=True)
class LayerReader:
    """Reads windows of a 2-D array of an HDF5 file, opened for each: masks are asked for seldom.

    Attributes:
        path: the file.
        name: the array.
    """

    path: Path
    name: str

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(1, rows, cols)`` of a window."""
        with hdf5_errors(self.path), open_hdf5(self.path) as file:
            values: NDArray[np.generic] = file[self.name][rows, cols]
        return values[None]


@contextmanager
def open_granule(path: Path) -> Iterator[Granule]:
    """An HDF5 file, open.

    Raises:
        FormatError: it is damaged.
    """
    with hdf5_errors(path), open_hdf5(path) as file:
        yield Granule(path, file)


def told_crs(told: str) -> CRS:
    """The CRS that a product tells by a code or a text; what GDAL says of a wrong one stays off the terminal.

    Raises:
        CRSError or ValueError: it is none.
    """
    with rasterio.Env():
        return CRS.from_user_input(told)


def hdf5_files(delivery: Delivery) -> list[str]:
    """The HDF5 files of a delivery: the one that is named, or those of the folder itself, or of the archive.

    None of a folder of many: no product is that.
    """
    names = [delivery.named] if delivery.named else delivery.matching(r".*\.(he5|h5|hdf5?|nc)")
    if len(names) > _MOST_IN_FOLDER:
        return []
    return [name for name in names if delivery.head(name, 8) == _SIGNATURE]


def holds(delivery: Delivery, name: str, *paths: str) -> bool:
    """Whether an HDF5 file of a delivery holds all of these arrays or groups; False where it cannot be read."""
    try:
        with open_granule(delivery.file(name)) as granule:
            return all(granule.has(path) for path in paths)
    except FormatError:
        return False


def _shown(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"a list of {len(values)} numbers"
