"""PRISMA L2D: surface reflectance on a map's grid, two detectors in one HDF-EOS5 file.

The traps: axes are (row, band, col); wavelengths descend, and one of 0 is a band that was never acquired; the
corners that the file tells are those of the corner pixels' centres; padding holds no angle of the sun; an error
matrix tells flawed values one by one. A single stored 0 is the darkest reflectance, which water has in many bands:
only a pixel that is 0 in all of them holds nothing. PRISMA Products Specification Document, issue 2.3, ASI.
"""

from __future__ import annotations

from affine import Affine
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, open_granule, told_crs
from hsi_cd.io.products.pixel_places import check_places
from hsi_cd.io.products.raster_layers import share_of
from hsi_cd.io.products.reflectance import EqualsReader, StoredBands, reflectance_reader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.product import Product

_SWATH = "HDFEOS/SWATHS/PRS_L2D_HCO"
_SWATHS = "HDFEOS/SWATHS"
_LEVELS = {  # that lie in the geometry of the swath
    "1": "radiance at the top of the atmosphere",
    "2B": "radiance at the ground",
    "2C": "surface reflectance",
}
_FLAWS = "PIXEL_L2_ERR_MATRIX"  # of each value, where readers of the product kept it
_LARGEST = 65535  # the stored number that stands for L2Scale...Max
_DETECTORS = ("Vnir", "Swir")
_LEAST, _MOST = -0.5, 10.0  # reflectance that the ends of a scale may be
_EVEN = 1e-3  # how far a pixel's sides may differ, as a share


def recognise(delivery: Delivery) -> str | None:
    """The file of a PRISMA product; None of anything else.

    Raises:
        FormatError: it is of a level that lies in the swath's geometry.
    """
    found = []
    for name in hdf5_files(delivery):
        level = _level(delivery, name)
        if level == "2D":
            found.append(name)
        elif level is not None:
            raise FormatError(
                f"{delivery.shown(name)} is PRISMA L{level}, {_LEVELS[level]} in the geometry of the swath, which "
                "has no map's grid: order the same image as L2D (surface reflectance, geocoded)"
            )
    return found[0] if len(found) == 1 else None


def open_prisma(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A PRISMA L2D file as a cube.

    Raises:
        FormatError: it is damaged, or contradicts itself.
    """
    path = delivery.file(main)
    share = share_of(keep, 4)  # two cubes, and a matrix of flaws for each
    with open_granule(path) as granule:
        detectors = [_detector(granule, each) for each in _DETECTORS]
        spectrum = one_spectrum(detectors, where=str(path))
        sun = granule.array(f"{_SWATH}/Geometric Fields/Solar_Zenith_Angle", ndim=2)
        rows, cols = (int(n) for n in sun.shape)
        parts = tuple(
            _part(granule, each, bands, (rows, cols), share)
            for each, bands in zip(_DETECTORS, spectrum.bands, strict=True)
        )
        centres = [d.centres[i] for d, bands in zip(detectors, spectrum.bands, strict=True) for i in bands]
        widths = [d.fwhm[i] for d, bands in zip(detectors, spectrum.bands, strict=True) for i in bands]
        padding = EqualsReader(granule.layer(f"{_SWATH}/Geometric Fields/Solar_Zenith_Angle", (rows, cols)), 0)
        reader, order = reflectance_reader(parts, centres, hidden=(padding,), fill=0)
        grid = _grid(granule, rows, cols)
        places = [f"{_SWATH}/Geolocation Fields/{word}itude" for word in ("Lat", "Long")]
        if all(granule.has(place) for place in places):
            for place in places:
                granule.layer(place, (rows, cols))  # refuses another shape
            latitude, longitude = (granule.array(place, ndim=2) for place in places)
            check_places(latitude, longitude, grid, str(path))
        never = sum(not each.takes(i) for each in detectors for i in range(len(each.centres)))
        told = (f"{never} bands that were never acquired (wavelength 0)",) if never else ()
        bare = [part for part in parts if part.flaws is None]
        told = (*told, "nothing of flawed values: the file has no error matrix") if bare else told
        return Cube(
            name=name,
            grid=grid,
            bands=Bands(len(order), tuple(centres[i] for i in order), tuple(widths[i] for i in order)),
            dtype=reader(slice(0, 0), slice(0, 0)).dtype,
            reader=reader,
            acquired=granule.words("Product_StartTime", default="")[:19],
            marks="no angle of the sun (padding), 0 in every band, and the error matrices",
            product=Product("PRISMA L2D", told=(*told, *spectrum.told)),
        )


def _level(delivery: Delivery, name: str) -> str | None:
    """The level of a PRISMA file, as ``2D``; None of another file."""
    try:
        with open_granule(delivery.file(name)) as granule:
            for level in ("2D", *_LEVELS):
                if granule.has(f"{_SWATHS}/PRS_L{level}_HCO") or granule.has(f"{_SWATHS}/PRS_L{level}_HRC"):
                    return level
    except FormatError:
        return None
    return None


def _detector(granule: Granule, name: str) -> Detector:
    centres = granule.numbers(f"List_Cw_{name}")
    told = f"List_Cw_{name}_Flags"
    flags = granule.numbers(told) if told in granule.file.attrs else (1.0,) * len(centres)
    if len(flags) != len(centres):
        raise FormatError(
            f"{granule.path}: {len(flags)} flags for {len(centres)} wavelengths of {name.upper()}: download it "
            "again"
        )
    usable = tuple(centre != 0 and flag != 0 for centre, flag in zip(centres, flags, strict=True))
    return Detector(name.upper(), centres, granule.numbers(f"List_Fwhm_{name}"), usable)


def _part(granule: Granule, name: str, bands: tuple[int, ...], shape: tuple[int, int], keep: int) -> StoredBands:
    """A detector's cube, with its scale and its matrix of flaws."""
    low, high = granule.number(f"L2Scale{name}Min"), granule.number(f"L2Scale{name}Max")
    if not _LEAST <= low < high <= _MOST:
        raise FormatError(
            f"{granule.path}: L2Scale{name}Min is {low:g} and Max {high:g}: expected Min below Max, "
            f"{_LEAST:g} to {_MOST:g}; download it again"
        )
    readers = []
    for what in ("Cube", _FLAWS) if granule.has(_field(name, _FLAWS)) else ("Cube",):
        path = _field(name, what)
        reader, found = granule.reader(path, ("rows", "bands", "cols"), keep=keep)
        wanted = (len(granule.numbers(f"List_Cw_{name}")), *shape)
        if found != wanted:
            stored, expected = ((rows, count, cols) for count, rows, cols in (found, wanted))
            raise FormatError(
                f"{granule.path}: {path} has {' x '.join(map(str, stored))} values: expected "
                f"{' x '.join(map(str, expected))} (row, band, col), as its angles and wavelengths say"
            )
        if granule.array(path, ndim=3).dtype.kind == "f":
            raise FormatError(
                f"{granule.path}: {path} holds floats: expected whole numbers of 0 to {_LARGEST}, which its scale "
                "makes reflectance; take the file as it was delivered"
            )
        readers.append(reader)
    count = len(bands)
    scale, offset = ((high - low) / _LARGEST,) * count, (low,) * count
    return StoredBands(readers[0], bands, scale, offset if low else (), flaws=readers[1] if readers[1:] else None)


def _field(name: str, what: str) -> str:
    """The path of a detector's cube or matrix."""
    return f"{_SWATH}/Data Fields/{name.upper()}_{what}"


def _grid(granule: Granule, rows: int, cols: int) -> Grid:
    """The grid, from the centres of the corner pixels."""
    corner = {
        (down, across, axis): granule.number(f"Product_{down}{across}corner_{axis}")
        for down in "UL"
        for across in "LR"
        for axis in ("easting", "northing")
    }
    left, top = corner["U", "L", "easting"], corner["U", "L", "northing"]
    right, bottom = corner["L", "R", "easting"], corner["L", "R", "northing"]
    upright = (corner["L", "L", "easting"], corner["U", "R", "easting"], corner["U", "R", "northing"])
    width = (right - left) / max(1, cols - 1)
    height = (top - bottom) / max(1, rows - 1)
    if width <= 0 or abs(width - height) > _EVEN * width or not _is_near(upright, (left, right, top), width):
        raise FormatError(
            f"{granule.path}: its corners give pixels of {width:g} x {height:g} m for {rows} x {cols} pixels: "
            "expected upright square ones; it is damaged, download it again"
        )
    code = granule.number("Epsg_Code")
    try:
        crs = told_crs(f"EPSG:{int(code)}")
    except CRSError as error:
        raise FormatError(f"{granule.path}: Epsg_Code {code:g} is no CRS ({error}): download it again") from None
    if not crs.is_projected:
        raise FormatError(f"{granule.path}: Epsg_Code {code:g} is no map projection: download it again")
    return Grid(rows, cols, crs, Affine(width, 0, left - width / 2, 0, -height, top + height / 2))


def _is_near(values: tuple[float, ...], wanted: tuple[float, ...], pixel: float) -> bool:
    return all(abs(value - goal) <= _EVEN * pixel for value, goal in zip(values, wanted, strict=True))
