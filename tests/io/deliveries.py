"""Miniatures of products, true to their archives' layouts: the same ground at two dates, one block changed."""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from affine import Affine
from airborne_deliveries import aviris, aviris_classic, aviris_envi, neon
from delivered_ground import (  # some for those who import them from here
    BLOCK as BLOCK,
)
from delivered_ground import CLOUD, COLS, EPSG, PLACE, ROWS, ground, padding, pixel_places, plane, raster, stamp

Make = Callable[[Path, int], Path]


def lay_out(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Other ground for all makers: ``ROWS``, ``COLS``, ``BLOCK``, ``CLOUD``, ``EPSG``."""
    for module in map(sys.modules.__getitem__, (__name__, "airborne_deliveries", "delivered_ground")):
        for name in values.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, values[name])


# --- EnMAP ---

ENMAP_WAVES = np.concatenate([np.linspace(418.24, 993.083, 91), np.linspace(902.257, 2445.53, 133)]).round(3)


def enmap(folder: Path, date: int) -> Path:
    out = folder / f"enmap{date}"
    out.mkdir()
    stem = out / f"ENMAP01-____L2A-DT0000002200_{stamp(date)}T104004Z_004_V010402_{stamp(date)}T235959Z"
    values = (ground(ENMAP_WAVES, date) * 10000).round().clip(1).astype(np.int16)
    values[129:135] = -32768
    values[:, padding()] = -32768
    raster(Path(f"{stem}-SPECTRAL_IMAGE.TIF"), values, nodata=-32768, tiled=True, blockxsize=32, blockysize=32)
    bands = "".join(
        f'<bandID number="{i}"><wavelengthCenterOfBand>{wave:.3f}</wavelengthCenterOfBand><FWHMOfBand>'
        f"{6 + i / 50:.3f}</FWHMOfBand><GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        for i, wave in enumerate(ENMAP_WAVES, start=1)
    )
    lists = [",".join(map(str, range(*ends))) for ends in ((1, 92), (92, 225))]
    day = f"{stamp(date)[:4]}-{stamp(date)[4:6]}-{stamp(date)[6:]}"
    Path(f"{stem}-METADATA.XML").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><level_X xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<base><level>L2A</level><temporalCoverage><startTime>{day}T10:40:04.123Z</startTime></temporalCoverage>"
        "</base><specific><numberOfVNIRBands>91</numberOfVNIRBands><backgroundValue>-32768</backgroundValue>"
        f"<vnirProductQuality><expectedChannelsList>{lists[0]}</expectedChannelsList></vnirProductQuality>"
        f"<swirProductQuality><expectedChannelsList>{lists[1]}</expectedChannelsList></swirProductQuality>"
        f"<bandCharacterisation>{bands}</bandCharacterisation></specific>"
        '<product><bandStatistics><bandID number="1"><mean>0.2</mean></bandID></bandStatistics></product>'
        "</level_X>"
    )
    for kind in ("CIRRUS", "HAZE", "SNOW", "CLOUDSHADOW"):
        raster(Path(f"{stem}-QL_QUALITY_{kind}.TIF"), plane())
    raster(Path(f"{stem}-QL_QUALITY_CLOUD.TIF"), plane(CLOUD))
    raster(Path(f"{stem}-QL_QUALITY_CLASSES.TIF"), plane(np.s_[:, :], value=1))
    return out


# --- PRISMA ---


def prisma(folder: Path, date: int) -> Path:
    path = folder / f"PRS_L2D_STD_{stamp(date)}101404_{stamp(date)}101408_0001.he5"
    waves = {
        "Vnir": np.append(np.linspace(977.34, 406.99, 63), [0, 0, 0]).astype(np.float32),
        "Swir": np.append(np.linspace(2497.12, 943.36, 171), [0, 0]).astype(np.float32),
    }
    scales = {"Vnir": (0.0, 1.0), "Swir": (0.02, 0.9)}
    with h5py.File(path, "w") as file:
        swath = file.create_group("HDFEOS/SWATHS/PRS_L2D_HCO")
        for name, centres in waves.items():
            low, high = scales[name]
            values = ground(np.where(centres == 0, 500, centres), date)
            stored = ((values - low) / (high - low) * 65535).round().clip(1, 65535).astype(np.uint16)
            stored[:, 33, 12] = 0  # dark in one detector, as water is: no gap
            stored[centres == 0] = 0
            stored[:, padding()] = 0
            flaws = np.zeros_like(stored, dtype=np.uint8)
            flaws[10, 5, 30] = 2
            fields = f"Data Fields/{name.upper()}"
            swath.create_dataset(f"{fields}_Cube", data=stored.transpose(1, 0, 2), chunks=(12, 20, 18))
            swath[f"{fields}_PIXEL_L2_ERR_MATRIX"] = flaws.transpose(1, 0, 2)
            file.attrs[f"List_Cw_{name}"] = centres
            file.attrs[f"List_Fwhm_{name}"] = np.where(centres == 0, 0, 11).astype(np.float32)
            file.attrs[f"List_Cw_{name}_Flags"] = (centres != 0).astype(np.int32)
            file.attrs[f"L2Scale{name}Min"], file.attrs[f"L2Scale{name}Max"] = np.float32(low), np.float32(high)
        swath["Geometric Fields/Solar_Zenith_Angle"] = np.where(padding(), 0, 35).astype(np.float32)
        lon, lat = pixel_places()
        swath["Geolocation Fields/Latitude"] = lat.astype(np.float32)
        swath["Geolocation Fields/Longitude"] = lon.astype(np.float32)
        left, top = PLACE.c + 15, PLACE.f - 15
        right, bottom = left + 30 * (COLS - 1), top - 30 * (ROWS - 1)
        for corner, x, y in (("UL", left, top), ("UR", right, top), ("LL", left, bottom), ("LR", right, bottom)):
            file.attrs[f"Product_{corner}corner_easting"] = x
            file.attrs[f"Product_{corner}corner_northing"] = y
        file.attrs["Epsg_Code"], file.attrs["Processing_Level"] = np.int32(EPSG), b"2D"
        file.attrs["Product_StartTime"] = f"{stamp(date)[:4]}-07-24T10:14:04.1".encode()
    return path


# --- Tanager ---

TANAGER_WAVES = np.linspace(376.44, 2499.21, 426)


def tanager(folder: Path, date: int) -> Path:
    path = folder / f"{stamp(date)}_182234_12_4001_ortho_sr_hdf5.h5"
    values = ground(TANAGER_WAVES, date).astype(np.float32)
    good = np.ones(426, dtype=np.int64)
    good[194:217] = 0
    values[good == 0] = -0.01
    values[:, padding()] = -9999
    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/GRIDS/HYP/Data Fields")
        image = fields.create_dataset("surface_reflectance", data=values, chunks=(14, 16, 16))
        image.attrs.update({"wavelengths": TANAGER_WAVES, "fwhm": np.full(426, 5.5), "good_wavelengths": good})
        image.attrs["_FillValue"] = np.float32(-9999)
        fields["nodata_pixels"] = padding().astype(np.uint8)
        fields["beta_cloud_mask"], fields["beta_cirrus_mask"] = plane(CLOUD)[0], plane()[0]
        file["HDFEOS/GRIDS/HYP"].attrs["epsg_code"] = EPSG
        file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
            f'GROUP=GridStructure\n\tGROUP=GRID_1\n\t\tGridName="HYP"\n\t\tXDim={COLS}\n\t\tYDim={ROWS}\n'
            f"\t\tUpperLeftPointMtrs=({PLACE.c:.6f},{PLACE.f:.6f})\n"
            f"\t\tLowerRightMtrs=({PLACE.c + 30 * COLS:.6f},{PLACE.f - 30 * ROWS:.6f})\n\tEND_GROUP=GRID_1\nEND\n"
        )
    return path


# --- DESIS ---

DESIS_WAVES = np.linspace(401.275, 998.75, 235).round(3)


def desis(folder: Path, date: int) -> Path:
    out = folder / f"desis{date}"
    out.mkdir()
    stem = out / f"DESIS-HSI-L2A-DT0707652640_011-{stamp(date)}T193259-V0220"
    values = (ground(DESIS_WAVES, date) * 10000).round().clip(1).astype(np.int16)
    values[:, padding()] = -32768
    raster(Path(f"{stem}-SPECTRAL_IMAGE.tif"), values, nodata=-32768)
    bands = "".join(
        f"<band><bandNumber>{i}</bandNumber><wavelengthCenterOfBand>{wave}</wavelengthCenterOfBand>"
        "<wavelengthWidthOfBand>3.5</wavelengthWidthOfBand><gainOfBand>1.0E-4</gainOfBand><offsetOfBand>0.001"
        "</offsetOfBand></band>"
        for i, wave in enumerate(DESIS_WAVES, start=1)
    )
    Path(f"{stem}-METADATA.xml").write_text(
        '<?xml version="1.0"?><hsi_doc><base><temporalCoverage><startTime>'
        f"{stamp(date)[:4]}-04-04T19:32:59.1Z</startTime></temporalCoverage></base><specific>"
        f"<bandCharacterisation>{bands}</bandCharacterisation></specific></hsi_doc>"
    )
    quality = np.zeros((10, ROWS, COLS), dtype=np.uint8)
    quality[5][CLOUD] = 1  # cloud over land
    quality[1] = 1  # land
    raster(Path(f"{stem}-QL_QUALITY-2.tif"), quality)
    return out


# --- Hyperion ---


def hyperion_waves() -> np.ndarray:
    """Roughly those of the 242 bands: what the ground looks like at them, no more."""
    return np.concatenate([np.linspace(355.59, 1057.68, 70), np.linspace(851.92, 2577.08, 172)])


def hyperion(folder: Path, date: int) -> Path:
    out = folder / f"EO1H0410342{date}_1GST"
    out.mkdir()
    stem = f"EO1H04103{stamp(date)[:4]}219110KF"
    stored = (ground(hyperion_waves(), date) * 4000).round().clip(1).astype(np.int16)
    stored[:, padding()] = 0
    for band in range(1, 243):
        held = 8 <= band <= 57 or 77 <= band <= 224
        raster(out / f"{stem}_B{band:03d}_L1T.TIF", stored[band - 1 : band] * np.int16(held))
    (out / f"{stem}_MTL_L1T.TXT").write_text(
        "GROUP = L1_METADATA_FILE\n  GROUP = PRODUCT_METADATA\n    PRODUCT_TYPE = \"L1T\"\n"
        f"    ACQUISITION_DATE = {stamp(date)[:4]}-08-07\n  END_GROUP = PRODUCT_METADATA\n"
        "  GROUP = RADIANCE_SCALING\n    SCALING_FACTOR_VNIR = 40.000000\n    SCALING_FACTOR_SWIR = 80.000000\n"
        "  END_GROUP = RADIANCE_SCALING\nEND_GROUP = L1_METADATA_FILE\nEND\n"
    )  # fmt: skip
    return out


# --- Wyvern ---

WYVERN_WAVES = np.array([445, 464, 480, 489, 503, 510, 519, 535, 549, 570, 584, 600, 614, 635, 649, 660, 669, 679,
                         690, 699, 711, 722, 734, 750, 764, 782, 799, 814, 832, 850, 870])  # fmt: skip


def wyvern(folder: Path, date: int) -> Path:
    values = ground(WYVERN_WAVES, date).astype(np.float32)
    values[:, padding()] = -9999
    names = tuple(f"Band_{wave}" for wave in WYVERN_WAVES)
    path = folder / f"wyvern_dragonette-001_{stamp(date)}T101500_1a2b3c.tiff"
    return raster(path, values, nodata=-9999, names=names)


# --- Sentinel-2 and Landsat ---

SENTINEL_WAVES = {"B01": 443, "B02": 492, "B03": 560, "B04": 665, "B05": 704, "B06": 741, "B07": 783, "B08": 833,
                  "B8A": 865, "B09": 945, "B11": 1614, "B12": 2202}  # fmt: skip
SENTINEL_SIZES = {10: ("B02", "B03", "B04", "B08"), 20: ("B02", "B05", "B06", "B07", "B8A", "B11", "B12"),
                  60: ("B01", "B09")}  # fmt: skip


def sentinel2(folder: Path, date: int) -> Path:
    out = folder / f"S2A_MSIL2A_{stamp(date)}T104031_N0400_R008_T33UUU_{stamp(date)}T165959.SAFE"
    images = out / "GRANULE/L2A_T33UUU/IMG_DATA"
    offset = -1000 if date == 2 else 0  # date 1 before baseline 04.00
    for size, bands in SENTINEL_SIZES.items():
        (images / f"R{size}m").mkdir(parents=True)
        for band in bands:
            fine = ground(np.array([SENTINEL_WAVES[band]]), date)
            values = (fine * 10000 - offset).round().clip(1).astype(np.uint16)
            values[:, padding()] = 0
            jpeg2000(images / f"R{size}m/T33UUU_{stamp(date)}T104031_{band}_{size}m.jp2", values, size)
    jpeg2000(images / f"R20m/T33UUU_{stamp(date)}T104031_SCL_20m.jp2", 4 + 5 * plane(CLOUD), 20)
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{offset}</BOA_ADD_OFFSET>' for i in range(13))
    listed = f"<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>" if offset else ""
    (out / "MTD_MSIL2A.xml").write_text(
        '<?xml version="1.0"?><n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_'
        'Product_Level-2A.xsd"><n1:General_Info><Product_Info>'
        f"<PRODUCT_START_TIME>{stamp(date)[:4]}-07-24T10:40:31.024Z</PRODUCT_START_TIME><PROCESSING_BASELINE>"
        f"{'04.00' if offset else '03.01'}</PROCESSING_BASELINE><Datatake><SPACECRAFT_NAME>Sentinel-2"
        f"{'B' if date == 2 else 'A'}</SPACECRAFT_NAME></Datatake></Product_Info><Product_Image_Characteristics>"
        "<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>"
        f"</QUANTIFICATION_VALUES_LIST>{listed}"
        "</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>"
    )  # fmt: skip
    return out


def jpeg2000(path: Path, values: np.ndarray, size: int) -> None:
    """A band of some pixel size, without loss: the mean of its 10 m pixels, nothing where one of them is none."""
    step = size // 10
    parts = values.reshape(1, ROWS // step, step, COLS // step, step)
    coarse = np.where((parts == 0).any(axis=(2, 4)), 0, parts.mean(axis=(2, 4)).round()).astype(values.dtype)
    place = Affine(size, 0, PLACE.c, 0, -size, PLACE.f)
    raster(path, coarse, place=place, driver="JP2OpenJPEG", quality="100", reversible="yes")


LANDSAT_WAVES = {1: 443, 2: 482, 3: 561, 4: 655, 5: 865, 6: 1609, 7: 2201}


def landsat(folder: Path, date: int) -> Path:
    stem = f"LC08_L2SP_193023_{stamp(date)}_20230901_02_T1"
    out = folder / stem
    out.mkdir()
    for band, wave in LANDSAT_WAVES.items():
        values = ((ground(np.array([wave]), date) + 0.2) / 2.75e-5).round().astype(np.uint16)
        values[:, padding()] = 0
        raster(out / f"{stem}_SR_B{band}.TIF", values, nodata=0)
    raster(out / f"{stem}_ST_B10.TIF", plane(np.s_[:, :], dtype="uint16", value=40000))
    quality = plane(np.s_[:, :], dtype="uint16", value=1 << 6) + plane(CLOUD, dtype="uint16", value=1 << 3)
    raster(out / f"{stem}_QA_PIXEL.TIF", quality)
    lines = [
        f"    REFLECTANCE_MULT_BAND_{b} = 2.75e-05\n    REFLECTANCE_ADD_BAND_{b} = -0.2" for b in LANDSAT_WAVES
    ]
    old = [f"    REFLECTANCE_MULT_BAND_{b} = 2.0000E-05" for b in LANDSAT_WAVES]
    (out / f"{stem}_MTL.txt").write_text(
        "GROUP = LANDSAT_METADATA_FILE\n  GROUP = IMAGE_ATTRIBUTES\n    SPACECRAFT_ID = \"LANDSAT_8\"\n"
        f"    DATE_ACQUIRED = {stamp(date)[:4]}-07-24\n    SCENE_CENTER_TIME = \"10:02:11.1234567Z\"\n"
        "  END_GROUP = IMAGE_ATTRIBUTES\n  GROUP = LEVEL1_RADIOMETRIC_RESCALING\n" + "\n".join(old)
        + "\n  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING\n  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n"
        + "\n".join(lines) + "\n  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n"
        + "END_GROUP = LANDSAT_METADATA_FILE\nEND\n"
    )  # fmt: skip
    return out


MAKERS: dict[str, Make] = {
    "enmap": enmap, "prisma": prisma, "tanager": tanager, "desis": desis, "aviris": aviris,
    "aviris_envi": aviris_envi, "aviris_classic": aviris_classic, "neon": neon, "hyperion": hyperion,
    "wyvern": wyvern, "sentinel2": sentinel2, "landsat": landsat,
}  # fmt: skip


def zipped(folder: Path) -> Path:
    """The folder as an archive that holds it, as portals send products."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, each.relative_to(folder.parent))
    return path


def tarred(folder: Path, prefix: str = "") -> Path:
    """The files of a folder as a tar archive without the folder, as Landsat's are sent."""
    path = folder.with_name(f"{folder.stem}_{len(prefix)}.tar")  # GDAL remembers what an archive held
    with tarfile.open(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            archive.add(each, prefix + each.relative_to(folder).as_posix(), recursive=False)
    return path


def copied(path: Path, folder: Path) -> Path:
    """A copy to be spoilt."""
    target = folder / path.name
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copy(path, target)
        header = path.with_suffix(".hdr")
        if header.exists():
            shutil.copy(header, folder / header.name)
    return target
