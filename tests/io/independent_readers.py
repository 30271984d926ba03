"""Readers of products that share nothing with the package: h5py, rasterio and ElementTree alone.

Each returns values float32 ``(bands, rows, cols)`` with NaN for no data, wavelengths in nm, transform, EPSG code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import h5py
import numpy as np
import rasterio
from affine import Affine


class Read(NamedTuple):
    """What a product holds."""

    values: np.ndarray
    waves: np.ndarray
    place: Affine
    epsg: int
    fwhm: np.ndarray | None = None


def _image(path: Path) -> tuple[np.ndarray, Affine, int]:
    with rasterio.open(path) as file:
        return file.read(), file.transform, file.crs.to_epsg()


def _ordered(values: np.ndarray, waves: np.ndarray, widths: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    order = np.argsort(waves)
    return values[order], waves[order], None if widths is None else widths[order]


def enmap(folder: Path) -> Read:
    (xml,) = folder.glob("*-METADATA.XML")
    bands = ElementTree.parse(xml).findall("specific/bandCharacterisation/bandID")
    table = np.array(
        [[float(b.findtext(n)) for n in ("wavelengthCenterOfBand", "FWHMOfBand", "GainOfBand", "OffsetOfBand")]
         for b in bands]
    )  # fmt: skip
    stored, place, epsg = _image(next(folder.glob("*-SPECTRAL_IMAGE.TIF")))
    values = (stored * table[:, 2, None, None] + table[:, 3, None, None]).astype(np.float32)
    values[stored == -32768] = np.nan
    keep = (stored != -32768).any(axis=(1, 2))
    keep[:91] &= table[:91, 0] < table[91:, 0].min()
    values, waves, widths = _ordered(values[keep], table[keep, 0], table[keep, 1])
    return Read(values, waves, place, epsg, widths)


def prisma(path: Path) -> Read:
    with h5py.File(path) as file:
        swath, told = file["HDFEOS/SWATHS/PRS_L2D_HCO"], file.attrs
        parts, waves, widths, empty = [], [], [], True
        first = told["List_Cw_Swir"][told["List_Cw_Swir"] > 0].min()
        for name in ("Vnir", "Swir"):
            low, high = float(told[f"L2Scale{name}Min"]), float(told[f"L2Scale{name}Max"])
            stored = swath[f"Data Fields/{name.upper()}_Cube"][...].transpose(1, 0, 2)
            flaws = swath[f"Data Fields/{name.upper()}_PIXEL_L2_ERR_MATRIX"][...].transpose(1, 0, 2)
            values = (low + stored.astype(np.float64) * ((high - low) / 65535)).astype(np.float32)
            values[flaws != 0] = np.nan
            centres = told[f"List_Cw_{name}"]
            keep = (centres > 0) & (centres < first) if name == "Vnir" else centres > 0
            parts.append(values[keep])
            waves.append(centres[keep])
            widths.append(told[f"List_Fwhm_{name}"][keep])
            empty &= (stored[keep] == 0).all(axis=0)
        values = np.concatenate(parts)
        values[:, empty | (swath["Geometric Fields/Solar_Zenith_Angle"][...] == 0)] = np.nan
        size = swath["Geometric Fields/Solar_Zenith_Angle"].shape
        left, top = told["Product_ULcorner_easting"], told["Product_ULcorner_northing"]
        step = (told["Product_URcorner_easting"] - left) / (size[1] - 1)
        place = Affine(step, 0, left - step / 2, 0, -step, top + step / 2)
        values, centres, width = _ordered(values, np.concatenate(waves), np.concatenate(widths))
        return Read(values, centres, place, int(told["Epsg_Code"]), width)


def tanager(path: Path) -> Read:
    with h5py.File(path) as file:
        fields = file["HDFEOS/GRIDS/HYP/Data Fields"]
        image = fields["surface_reflectance"]
        values = image[...]
        values[:, fields["nodata_pixels"][...] != 0] = np.nan
        values[values == -9999] = np.nan
        good = image.attrs["good_wavelengths"] == 1
        text = file["HDFEOS INFORMATION/StructMetadata.0"][()].decode()
        corner = {
            name: [float(x) for x in text.split(f"{name}=(")[1].split(")")[0].split(",")]
            for name in ("UpperLeftPointMtrs", "LowerRightMtrs")
        }
        (left, top), (right, _) = corner["UpperLeftPointMtrs"], corner["LowerRightMtrs"]
        step = (right - left) / values.shape[2]
        place = Affine(step, 0, left, 0, -step, top)
        code = int(file["HDFEOS/GRIDS/HYP"].attrs["epsg_code"])
        return Read(values[good], image.attrs["wavelengths"][good], place, code, image.attrs["fwhm"][good])


def desis(folder: Path) -> Read:
    bands = ElementTree.parse(next(folder.glob("*.xml"))).findall(".//bandCharacterisation/band")
    words = ("wavelengthCenterOfBand", "wavelengthWidthOfBand", "gainOfBand", "offsetOfBand")
    table = np.array([[float(b.findtext(word)) for word in words] for b in bands])
    stored, place, epsg = _image(next(folder.glob("*-SPECTRAL_IMAGE.tif")))
    values = (stored * table[:, 2, None, None] + table[:, 3, None, None]).astype(np.float32)
    values[stored == -32768] = np.nan
    return Read(values, table[:, 0], place, epsg, table[:, 1])


def aviris(path: Path) -> Read:
    with h5py.File(path) as file:
        values = file["reflectance/reflectance"][...]
        values[values == -9999] = np.nan
        told = file["transverse_mercator"].attrs
        place = Affine.from_gdal(*map(float, told["GeoTransform"].split()))
        epsg = rasterio.crs.CRS.from_wkt(told["spatial_ref"]).to_epsg()
        return Read(values, file["reflectance/wavelength"][...], place, epsg, file["reflectance/fwhm"][...])


def aviris_envi(path: Path) -> Read:
    values, place, epsg = _image(path)
    values[values == -9999] = np.nan
    lists = {
        name: np.array(found.split("{")[1].split("}")[0].split(","), dtype=float)
        for line in path.with_suffix(".hdr").read_text().splitlines()
        if (name := line.split("=")[0].strip()) in ("wavelength", "fwhm", "bbl") and (found := line)
    }
    good = lists["bbl"] == 1
    return Read(values[good], lists["wavelength"][good], place, epsg, lists["fwhm"][good])


def aviris_classic(path: Path) -> Read:
    path = next(path.glob("*_ort_img")) if path.is_dir() else path
    text = Path(f"{path}.hdr").read_text()
    lists = {
        name: np.array(re.search(rf"^{name} = \{{(.*)\}}$", text, re.MULTILINE)[1].split(","), dtype=float)
        for name in ("wavelength", "fwhm")
    }
    shape = [int(re.search(rf"^{name} = (\d+)$", text, re.MULTILINE)[1]) for name in ("lines", "samples", "bands")]
    place = re.search(r"^map info = \{(.*)\}$", text, re.MULTILINE)[1].split(",")
    x, y, wide, high = map(float, place[3:7])
    turn = float(place[-1].split("=")[1])
    real = "data type = 4" in text
    stored = np.fromfile(path, ">f4" if real else ">i2").reshape(shape).transpose(2, 0, 1)
    gains = path.with_name(f"{path.name.split('_sc01')[0]}.gain")
    factors = np.loadtxt(gains)[:, 0] if gains.exists() else np.full(shape[2], 1.0 if real else 10000.0)
    values = (stored / factors[:, None, None]).astype(np.float32)
    values[stored == (-50 if gains.exists() else -9999)] = np.nan
    # Where a spectrometer reaches beyond the first wavelength of the next, the next one's bands are taken.
    waves = lists["wavelength"]
    starts = [0, *(np.flatnonzero(np.diff(waves) < 0) + 1), len(waves)]
    keep = np.ones(len(waves), dtype=bool)
    for first, end in itertools.pairwise(starts[:-1]):
        keep[first:end] = waves[first:end] < waves[end]
    spin = Affine.translation(x, y) @ Affine.rotation(turn) @ Affine.scale(wide, -high)
    values, waves, widths = _ordered(values[keep], waves[keep], lists["fwhm"][keep])
    return Read(values, waves, spin, 32600 + int(place[7]), widths)


def neon(path: Path) -> Read:
    with h5py.File(path) as file:
        (site,) = file
        top, about = file[site]["Reflectance"], file[site]["Reflectance/Metadata"]
        image = top["Reflectance_Data"]
        stored = image[...].transpose(2, 0, 1)
        values = (stored / image.attrs["Scale_Factor"]).astype(np.float32)
        values[stored == image.attrs["Data_Ignore_Value"]] = np.nan
        waves, widths = (about["Spectral_Data"][name][...] for name in ("Wavelength", "FWHM"))
        keep = np.ones(len(waves), dtype=bool)
        for number in (1, 2):
            low, high = top.attrs[f"Band_Window_{number}_Nanometers"]
            keep &= (waves < low) | (waves > high)
        told = about["Coordinate_System/Map_Info"][()].decode().split(",")
        place = Affine(float(told[5]), 0, float(told[3]), 0, -float(told[6]), float(told[4]))
        code = int(about["Coordinate_System/EPSG Code"][()])
        return Read(values[keep], waves[keep], place, code, widths[keep])


def hyperion(folder: Path) -> Read:
    text = Path(__file__).with_name("hyperion_bands.txt").read_text().split("\n", 1)[1]
    listed = dict(zip([*range(8, 58), *range(77, 225)], map(float, text.split()), strict=True))
    # The first bands of SWIR lie below the last of VNIR, which then are left out.
    bands = [band for band in listed if band >= 77 or listed[band] < listed[77]]
    parts, place, epsg = [], None, None
    for band in bands:
        stored, place, epsg = _image(next(folder.glob(f"*_B{band:03d}_L1T.TIF")))
        parts.append((stored[0] * (1 / (40 if band < 71 else 80))).astype(np.float32))
    values = np.stack(parts)
    values[:, (values == 0).all(axis=0)] = np.nan
    return Read(values, np.array([listed[band] for band in bands]), place, epsg)


def wyvern(path: Path) -> Read:
    with rasterio.open(path) as file:
        values = file.read()
        values[values == -9999] = np.nan
        waves = np.array([float(name.split("_")[-1]) for name in file.descriptions])
        return Read(values, waves, file.transform, file.crs.to_epsg())


def sentinel2(folder: Path) -> Read:
    root = ElementTree.parse(folder / "MTD_MSIL2A.xml").getroot()
    offset = float(next((each.text for each in root.iter("BOA_ADD_OFFSET")), 0))
    craft = next(root.iter("SPACECRAFT_NAME")).text
    waves = {
        "Sentinel-2A": [492.4, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7, 1613.7, 2202.4],
        "Sentinel-2B": [492.1, 559.0, 664.9, 703.8, 739.1, 779.7, 832.9, 864.0, 1610.4, 2185.7],
    }[craft]
    fine = ("B02", "B03", "B04", "B08")
    parts, place, epsg = [], None, None
    for band in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"):
        size = 10 if band in fine else 20
        stored, own, epsg = _image(next(folder.rglob(f"*_{band}_{size}m.jp2")))
        place = own if size == 10 else place
        stored = stored[0].repeat(size // 10, axis=0).repeat(size // 10, axis=1)
        values = (stored * (1 / 10000) + offset / 10000).astype(np.float32)
        values[stored == 0] = np.nan
        parts.append(values)
    return Read(np.stack(parts), np.array(waves), place, epsg)


def landsat(folder: Path) -> Read:
    parts, place, epsg = [], None, None
    for band in range(1, 8):
        stored, place, epsg = _image(next(folder.glob(f"*_SR_B{band}.TIF")))
        values = (stored[0] * 2.75e-5 - 0.2).astype(np.float32)
        values[stored[0] == 0] = np.nan
        parts.append(values)
    waves = np.array([442.96, 482.04, 561.41, 654.59, 864.67, 1608.86, 2200.73])
    return Read(np.stack(parts), waves, place, epsg)


READERS: dict[str, Callable[[Path], Read]] = {
    "enmap": enmap, "prisma": prisma, "tanager": tanager, "desis": desis, "aviris": aviris,
    "aviris_envi": aviris_envi, "aviris_classic": aviris_classic, "neon": neon, "hyperion": hyperion,
    "wyvern": wyvern, "sentinel2": sentinel2, "landsat": landsat,
}  # fmt: skip
