"""Miniatures of what airborne instruments deliver, true to their archives' layouts."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import rasterio
from affine import Affine
from delivered_ground import CLOUD, COLS, EPSG, PLACE, ROWS, ground, padding, plane, raster, stamp

from hsi_cd.io.raster import quiet_georeference

# --- AVIRIS ---

AVIRIS_WAVES = np.linspace(390.0, 2500.0, 284)


def aviris(folder: Path, date: int) -> Path:
    path = folder / f"AV3{stamp(date)}t193259_000_L2A_OE_abc_RFL_ORT.nc"
    values = ground(AVIRIS_WAVES, date).astype(np.float32)
    values[:, padding()] = -9999
    with h5py.File(path, "w") as file:
        image = file.create_dataset("reflectance/reflectance", data=values, chunks=(10, 16, 16))
        image.attrs.update({"_FillValue": np.float32([-9999]), "grid_mapping": "transverse_mercator"})
        file["reflectance/wavelength"] = AVIRIS_WAVES.astype(np.float32)
        file["reflectance/fwhm"] = np.full(284, 8.5, dtype=np.float32)
        file["easting"] = PLACE.c + 15 + 30 * np.arange(COLS, dtype=np.float64)
        file["northing"] = PLACE.f - 15 - 30 * np.arange(ROWS, dtype=np.float64)
        place = file.create_dataset("transverse_mercator", data=np.bytes_(b""))
        place.attrs["spatial_ref"] = rasterio.crs.CRS.from_epsg(EPSG).to_wkt()
        place.attrs["GeoTransform"] = " ".join(map(str, PLACE.to_gdal()))
    return path


ROTATED = Affine.translation(300000, 5810000) @ Affine.rotation(23.0) @ Affine.scale(5, -5)


def aviris_envi(folder: Path, date: int) -> Path:
    path = folder / f"AV3{stamp(date)}t193259_000_L2A_OE_abc_RFL_ORT"
    values = ground(AVIRIS_WAVES, date).astype(np.float32)
    values[:, padding()] = -9999
    with quiet_georeference():
        raster(path, values, driver="ENVI", place=ROTATED, interleave="bil")
    header = path.with_suffix(".hdr")
    bad = [0 if 130 <= i < 140 else 1 for i in range(284)]
    lists = {"wavelength": AVIRIS_WAVES.round(4).tolist(), "fwhm": [8.5] * 284, "bbl": bad}
    text = "".join(f"{name} = {{{', '.join(map(str, found))}}}\n" for name, found in lists.items())
    header.write_text(header.read_text() + "wavelength units = Nanometers\ndata ignore value = -9999\n" + text)
    return path


# --- AVIRIS Classic ---

# Four spectrometers, which overlap where they join: the wavelengths step back three times.
CLASSIC_WAVES = np.concatenate(
    [np.linspace(365.9, 667.5, 32), np.linspace(655.5, 1273.9, 64), np.linspace(1253.4, 1877.2, 64),
     np.linspace(1867.0, 2496.2, 64)]
).round(4)  # fmt: skip
CLASSIC_GAINS = np.repeat([300.0, 600.0, 1200.0], [110, 50, 64])


def aviris_classic(folder: Path, date: int) -> Path:
    """Radiance; the ground's reflectance serves for its numbers."""
    out = folder / f"f{stamp(date)[2:]}t01p00r11rdn_e"
    out.mkdir()
    path = out / f"{out.name}_sc01_ort_img"
    values = (ground(CLASSIC_WAVES, date) * 10 * CLASSIC_GAINS[:, None, None]).round().astype(np.int16)
    values[:, padding()] = -50
    classic_image(path, values)
    lines = (f"{gain:12.4f} {band:6d}\n" for band, gain in enumerate(CLASSIC_GAINS, start=1))
    (out / f"{out.name}.gain").write_text("".join(lines))
    (out / f"{out.name}.readme").write_text("AVIRIS Distribution Document\n")
    classic_image(out / f"{out.name}_sc01_ort_glt", np.ones((2, ROWS, COLS), dtype=np.int16))
    return out


def aviris_classic_reflectance(folder: Path, date: int, *, whole: bool) -> Path:
    """Level 2: floats with NaN beside the line, or integers with a scale in the header."""
    path = folder / f"f{stamp(date)[2:]}t01p00r11_corr_v1_img"
    values = ground(CLASSIC_WAVES, date).astype(np.float32)
    values[:, padding()] = np.nan
    if whole:
        values = np.where(padding(), -9999, (values * 10000).round()).astype(np.int16)
    classic_image(path, values, "reflectance scale factor = 10000.0\ndata ignore value = -9999\n" if whole else "")
    return path


def classic_image(path: Path, values: np.ndarray, more: str = "") -> None:
    """Big-endian, interleaved by pixel, as JPL writes it, on a rotated grid."""
    code = {"int16": 2, "float32": 4}[values.dtype.name]
    values.astype(values.dtype.newbyteorder(">")).transpose(1, 2, 0).tofile(path)
    lists = {"wavelength": CLASSIC_WAVES, "fwhm": np.full(len(CLASSIC_WAVES), 9.8)} if len(values) == 224 else {}
    text = "".join(f"{name} = {{{', '.join(map(str, found.tolist()))}}}\n" for name, found in lists.items())
    Path(f"{path}.hdr").write_text(
        f"ENVI\ndescription = {{AVIRIS orthocorrected}}\nsamples = {COLS}\nlines = {ROWS}\nbands = {len(values)}\n"
        f"header offset = 0\nfile type = ENVI Standard\ndata type = {code}\ninterleave = bip\nbyte order = 1\n"
        "map info = {UTM, 1, 1, 300000, 5810000, 15.8, 15.8, 33, North, WGS-84, units=Meters, rotation=29}\n"
        f"wavelength units = Nanometers\n{text}{more}"
    )


# --- NEON ---

NEON_WAVES = np.linspace(383.534, 2511.894, 426).round(4).astype(np.float32)


def neon(folder: Path, date: int) -> Path:
    path = folder / f"NEON_D17_SJER_DP1_{stamp(date)}_181556_reflectance.h5"
    values = (ground(NEON_WAVES, date) * 10000).round().astype(np.int16)
    values[:, padding()] = -9999
    values[200, 14, 12] = -9999
    right, bottom = PLACE @ (COLS, ROWS)
    with h5py.File(path, "w") as file:
        top = file.create_group("SJER/Reflectance")
        top.attrs["Band_Window_1_Nanometers"] = np.array([1340, 1445])
        top.attrs["Band_Window_2_Nanometers"] = np.array([1790, 1955])
        image = top.create_dataset(
            "Reflectance_Data", data=values.transpose(1, 2, 0), chunks=(12, 16, 71), compression=1
        )
        image.attrs.update({"Data_Ignore_Value": -9999.0, "Scale_Factor": 10000.0, "Interleave": "BSQ"})
        image.attrs["Spatial_Extent_meters"] = np.array([PLACE.c, right, bottom, PLACE.f])
        about = top.create_group("Metadata")
        about["Spectral_Data/Wavelength"] = NEON_WAVES
        about["Spectral_Data/Wavelength"].attrs["Units"] = "nanometers"
        about["Spectral_Data/FWHM"] = np.full(426, 5.8, dtype=np.float32)
        about["Coordinate_System/EPSG Code"] = str(EPSG).encode()
        about["Coordinate_System/Map_Info"] = (
            f"UTM,  1.000,  1.000,  {PLACE.c:.3f},  {PLACE.f:.3f},  30.0,  30.0,  33,  North,  WGS-84,  "
            "units=Meters, 0"
        ).encode()
        about["Ancillary_Imagery/Haze_Cloud_Water_Map"] = (5 + 10 * plane(CLOUD)[0]).astype(np.uint8)
        about["Ancillary_Imagery/Weather_Quality_Indicator"] = np.zeros((ROWS, COLS, 3), dtype=np.uint8)
        about[f"Logs/{stamp(date)}_181556/Solar_Zenith_Angle"] = 32.5
    return path
