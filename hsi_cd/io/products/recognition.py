"""The products that are known, and which of them a path is.

A product is a module with two functions, entered in :data:`PRODUCTS` below: ``recognise`` says whether a delivery
is one, by its content and by what lies beside it; ``open_...`` makes a cube of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hsi_cd.errors import FormatError
from hsi_cd.io.products import (
    aviris,
    aviris_classic,
    desis,
    emit,
    enmap,
    hyperion,
    landsat,
    neon,
    prisma,
    sentinel2,
    tanager,
    wyvern,
)
from hsi_cd.io.products.delivery import Delivery, delivery_of
from hsi_cd.paths import as_path
from hsi_cd.places import file_name, file_of, is_remote, place_name
from hsi_cd.scene import Cube


@dataclass(frozen=True)
class ProductReader:
    """How one product is read.

    Attributes:
        title: what people call it.
        recognise: the file of a delivery that stands for the product (its metadata, or its only file); None where
            the delivery is something else. Refuses what is the product, but cannot be read, by the level to order.
        open: makes the cube. Takes the delivery, that file, what messages call the cube, and the bytes that
            decoded blocks may take (None for as much as serves).
        in_one_file: whether it is also recognised at an address, where nothing beside the file is looked for.
    """

    title: str
    recognise: Callable[[Delivery], str | None]
    open: Callable[[Delivery, str, str, int | None], Cube]
    in_one_file: bool = False


PRODUCTS: dict[str, ProductReader] = {
    "enmap": ProductReader("EnMAP L2A", enmap.recognise, enmap.open_enmap),
    "prisma": ProductReader("PRISMA L2D", prisma.recognise, prisma.open_prisma, in_one_file=True),
    "emit": ProductReader("EMIT L2A", emit.recognise, emit.open_emit, in_one_file=True),
    "tanager": ProductReader("Tanager ortho", tanager.recognise, tanager.open_tanager, in_one_file=True),
    "desis": ProductReader("DESIS L2A", desis.recognise, desis.open_desis),
    "aviris": ProductReader("AVIRIS orthorectified", aviris.recognise, aviris.open_aviris, in_one_file=True),
    "aviris_classic": ProductReader(
        "AVIRIS Classic", aviris_classic.recognise, aviris_classic.open_aviris_classic
    ),
    "hyperion": ProductReader("Hyperion L1T", hyperion.recognise, hyperion.open_hyperion),
    "neon": ProductReader("NEON reflectance", neon.recognise, neon.open_neon, in_one_file=True),
    "wyvern": ProductReader("Wyvern", wyvern.recognise, wyvern.open_wyvern, in_one_file=True),
    "sentinel2": ProductReader("Sentinel-2 L2A", sentinel2.recognise, sentinel2.open_sentinel2),
    "landsat": ProductReader("Landsat Collection 2 L2", landsat.recognise, landsat.open_landsat),
}
"""By the name of their module; the first that recognises a delivery reads it."""


@dataclass(frozen=True)
class FoundProduct:
    """A delivery that is a product.

    Attributes:
        reader: reads it.
        delivery: its files.
        main: the file that stands for it.
    """

    reader: ProductReader
    delivery: Delivery
    main: str

    @property
    def place(self) -> str:
        """What tells one product from another, whichever of its files was named."""
        return self.delivery.place(self.main)

    def open(self, *, name: str | None = None, keep: int | None = None) -> Cube:
        """The product as a cube, of which no pixel is read unless something must be known of it.

        Args:
            name: what messages call it; by default the file's or folder's name.
            keep: bytes that its decoded blocks may take.

        Raises:
            FormatError: it is damaged, or lacks a file.
        """
        path = self.delivery.path
        cube = self.reader.open(self.delivery, self.main, name or file_name(path) or str(path), keep)
        files = map(file_of, (path, *cube.files))
        return replace(cube, files=tuple(dict.fromkeys(files)))


def find_product(path: str | os.PathLike[str]) -> FoundProduct | None:
    """Which product a file, folder or archive is; None where it is none that is known.

    Raises:
        FormatError: it is one of a level that cannot be mapped, lacks a file, or several lie in one folder.
    """
    delivery = delivery_of(Path(as_path(path)))
    if delivery is None:
        return None
    try:
        _ = delivery.names
    except FormatError:  # whatever cannot be listed is no product, and its reader says why
        return None
    for reader in PRODUCTS.values():
        if is_remote(delivery.path) and not reader.in_one_file:
            _refuse_part(reader, delivery)
            continue
        main = reader.recognise(delivery)
        if main is not None:
            return FoundProduct(reader, delivery, main)
    return None


def _refuse_part(reader: ProductReader, delivery: Delivery) -> None:
    """Refuse a file at an address that means nothing without those beside it, as an image without its gains.

    Raises:
        FormatError: it is a file of this product.
    """
    try:
        is_part = reader.recognise(delivery) is not None
    except FormatError:  # which names what is missing
        is_part = True
    if is_part:
        raise FormatError(
            f"{place_name(delivery.path)} is a file of a product ({reader.title}) that is read with those beside "
            "it, and at an address these are not looked for: download the whole product"
        )
