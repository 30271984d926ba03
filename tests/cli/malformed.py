"""Malformed inputs, each made by a function: what people's disks, downloads and other programs do to files."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from scipy.io import netcdf_file, savemat

from hsi_cd.io.raster import quiet_georeference

Words = list[object]
Make = Callable[[Path], Words]

CUBE = (np.arange(12 * 10 * 6) % 251).reshape(12, 10, 6).astype(np.int16)  # rows, cols, bands
HEADER = {
    "samples": "10", "lines": "12", "bands": "6", "header offset": "0", "file type": "ENVI Standard",
    "data type": "2", "interleave": "bsq", "byte order": "0",
}  # fmt: skip


# --- Good files, to be spoilt ---


def tiff(path: Path, values: np.ndarray | None = None, **profile: Any) -> Path:
    values = CUBE.transpose(2, 0, 1) if values is None else values
    count, rows, cols = values.shape
    base = {"driver": "GTiff", "count": count, "height": rows, "width": cols, "dtype": values.dtype.name}
    with warnings.catch_warnings(), quiet_georeference(), rasterio.open(path, "w", **(base | profile)) as file:
        warnings.simplefilter("ignore")
        file.write(values)
    return path


def mat(path: Path, *, compress: bool = False, **arrays: Any) -> Path:
    savemat(path, arrays or {"cube": CUBE}, do_compression=compress)
    return path


def hdf5(path: Path, fill: Callable[[Any], object] | None = None, *, matlab: bool = True) -> Path:
    """An HDF5 file; with ``matlab``, as MATLAB v7.3 writes it."""
    with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
        if fill is None:
            data = file.create_dataset("cube", data=CUBE.transpose(), chunks=(1, 10, 12), compression="gzip")
            data.attrs["MATLAB_class"] = np.bytes_(b"int16")
        else:
            fill(file)
    if matlab:
        raw = bytearray(path.read_bytes())
        raw[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
        path.write_bytes(raw)
    return path


def npy(path: Path, values: np.ndarray = CUBE) -> Path:
    np.save(path, values)
    return path


def npz(path: Path, *, compress: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compress else np.savez)(path, **(arrays or {"cube": CUBE}))
    return path


def envi(folder: Path, data: bytes | None = None, more: str = "", **fields: str | None) -> Path:
    """An ENVI image; fields are replaced (with _ for a blank), or left out where None."""
    changed = HEADER | {key.replace("_", " "): value for key, value in fields.items()}
    text = "".join(f"{key} = {value}\n" for key, value in changed.items() if value is not None)
    (folder / "scene.hdr").write_text("ENVI\n" + text + more)
    path = folder / "scene.img"
    path.write_bytes(CUBE.transpose(2, 0, 1).tobytes() if data is None else data)
    return path


def picture(path: Path, driver: str) -> Path:
    return tiff(path, np.arange(3 * 64 * 64, dtype=np.uint8).reshape(3, 64, 64), driver=driver)


def netcdf(path: Path) -> Path:
    with netcdf_file(path, "w") as file:
        for name, size in (("a", 3), ("b", 4), ("c", 5)):  # names that tell no axes
            file.createDimension(name, size)
        file.createVariable("cube", "f4", ("a", "b", "c"))[:] = np.zeros((3, 4, 5), np.float32)
    return path


GOOD: dict[str, Callable[[Path], Path]] = {
    "v5": lambda f: mat(f / "a.mat"),
    "v5 compressed": lambda f: mat(f / "a.mat", compress=True),
    "v7.3": lambda f: hdf5(f / "a.mat"),
    "hdf5": lambda f: hdf5(f / "a.h5", matlab=False),
    "npy": lambda f: npy(f / "a.npy"),
    "npz": lambda f: npz(f / "a.npz"),
    "npz compressed": lambda f: npz(f / "a.npz", compress=True),
    "tif": lambda f: tiff(f / "a.tif"),
    "tif deflate": lambda f: tiff(f / "a.tif", compress="deflate"),
    "envi": envi,
    "jp2": lambda f: picture(f / "a.jp2", "JP2OpenJPEG"),
    "png": lambda f: picture(f / "a.png", "PNG"),
    "bmp": lambda f: picture(f / "a.bmp", "BMP"),
    "jpg": lambda f: picture(f / "a.jpg", "JPEG"),
}


def cut(make: Callable[[Path], Path], keep: float) -> Make:
    """The beginning of a good file: a share of it, or so many bytes less."""

    def words(folder: Path) -> Words:
        path = make(folder)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(keep) if keep < 0 or keep > 1 else int(len(raw) * keep)])
        return ["info", path]

    return words


def wrong_start(make: Callable[[Path], Path], start: bytes) -> Make:
    def words(folder: Path) -> Words:
        path = make(folder)
        path.write_bytes(start + path.read_bytes()[len(start) :])
        return ["info", path]

    return words


def text(name: str, content: str | bytes) -> Make:
    def words(folder: Path) -> Words:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ["info", folder / name]

    return words


def look(make: Callable[[Path], Path], *more: object) -> Make:
    return lambda folder: ["info", make(folder), *more]


def header(more: str = "", data: bytes | None = None, **fields: str | None) -> Make:
    return lambda folder: ["info", envi(folder, data, more, **fields)]


def holding(fill: Callable[[Any], object], *, matlab: bool = False) -> Make:
    return lambda folder: ["info", hdf5(folder / "a.h5", fill, matlab=matlab)]


# --- Single oddities ---


def patched(make: Callable[[Path], Path], old: bytes, new: bytes) -> Make:
    def words(folder: Path) -> Words:
        path = make(folder)
        raw = path.read_bytes()
        assert old in raw and len(old) == len(new)
        path.write_bytes(raw.replace(old, new, 1))
        return ["info", path]

    return words


def v5_element(
    kind: int, sizes: list[int], *, data: bytes = b"", code: int = 14, length: int | None = None
) -> bytes:
    """A v5 file of one matrix, from the format's description alone."""
    body = struct.pack("<IIII", 6, 8, kind, 0)
    shape = struct.pack(f"<{len(sizes)}i", *sizes)
    body += struct.pack("<II", 5, len(shape)) + shape.ljust(-(-len(shape) // 8) * 8, b"\0")
    body += struct.pack("<HH4s", 1, 1, b"x\0\0\0")
    body += struct.pack("<II", 9, len(data)) + data
    if code == 15:
        body = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    return head + struct.pack("<II", code, len(body) if length is None else length) + body


def nested(depth: int) -> Any:
    value: Any = {"end": 1}
    for _ in range(depth):
        value = {"in": value}
    return value


def npy_header(fields: str, *, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    body = fields.encode() + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(body))
    return b"\x93NUMPY" + bytes(version) + size + body + data


def cyclic(file: Any) -> None:
    group = file.create_group("a/b")
    group["up"] = file["a"]
    group["root"] = file["/"]


def maze(file: Any) -> None:
    for i in range(20_500):
        file.create_group(str(i))


def deep(file: Any) -> None:
    file.create_group("/".join("g" * 900))


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout(shape=(4, 5, 6), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", shape=(4, 5, 6))
    file.create_virtual_dataset("cube", layout)


def external(file: Any) -> None:
    file.create_dataset("cube", (4, 5, 6), "u1", external=[("/etc/passwd", 0, 120)])


def matlab_struct(file: Any) -> None:
    group = file.create_group("s")
    group.attrs["MATLAB_class"] = np.bytes_(b"struct")
    group["self"] = group
    group["list"] = np.arange(9.0)


def matlab_text(file: Any) -> None:
    file.create_dataset("t", data=np.ones((3, 4, 5), np.uint16)).attrs["MATLAB_class"] = np.bytes_(b"char")


def spoilt(**attributes: Any) -> Callable[[Any], None]:
    def fill(file: Any) -> None:
        data = file.create_dataset("cube", data=CUBE)
        data.attrs["MATLAB_class"] = np.bytes_(b"int16")
        data.attrs.update(attributes)

    return fill


def waves(values: list[float]) -> Callable[[Any], None]:
    def fill(file: Any) -> None:
        file["cube"], file["wavelength"] = CUBE, np.array(values)

    return fill


def matlab_free(file: Any) -> None:
    file.create_dataset("v", data=np.ones((5, 6, 7)))


def encrypted(path: Path) -> Path:
    """A zip archive whose first member says that it wants a password."""
    raw = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + flags] |= 1
    path.write_bytes(raw)
    return path


def alone(folder: Path, name: str) -> Words:
    """One of the two files of an ENVI image."""
    envi(folder)
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()
    return ["info", folder / name]


def zip_of(**members: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(f"{name}.npy", content)
        return folder / "a.npz"

    return make


def saved(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def tagged(**tags: str) -> Make:
    """A GeoTIFF of which the second band has such tags, the others good wavelengths."""

    def words(folder: Path) -> Words:
        path = tiff(folder / "a.tif")
        with quiet_georeference(), rasterio.open(path, "r+") as file:
            for band in file.indexes:
                file.update_tags(band, wavelength=str(400 + band), fwhm="5", bbl="1")
            file.update_tags(2, **tags)
        return ["info", path]

    return words


def tiff_field(tag: int, value: int) -> Make:
    """A GeoTIFF of which one number in the directory is another."""

    def words(folder: Path) -> Words:
        path = tiff(folder / "a.tif")
        raw = bytearray(path.read_bytes())
        at = struct.unpack_from("<I", raw, 4)[0]
        for i in range(struct.unpack_from("<H", raw, at)[0]):
            entry = at + 2 + 12 * i
            if struct.unpack_from("<H", raw, entry)[0] == tag:
                struct.pack_into("<HII", raw, entry + 2, 4, 1, value)
                path.write_bytes(raw)
                return ["info", path]
        raise AssertionError(f"the file has no tag {tag}")

    return words


def circular_tiff(folder: Path) -> Words:
    """The directory is its own successor, and has no size."""
    path = folder / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IHI", 8, 0, 8))
    return ["info", path]


def sparse_tiff(folder: Path) -> Words:
    """A file of some kilobytes that describes terabytes."""
    with quiet_georeference(), rasterio.open(
        folder / "a.tif", "w", driver="GTiff", width=2_000_000, height=2_000_000, count=3, dtype="float32",
        tiled=True, blockxsize=32_768, blockysize=32_768, SPARSE_OK=True, BIGTIFF="YES",
    ):  # fmt: skip
        pass
    return ["info", folder / "a.tif"]


def bands_in(folder: Path, *shapes: tuple[int, int], **profile: Any) -> Path:
    place = folder / "bands"
    place.mkdir()
    for i, (rows, cols) in enumerate(shapes):
        options = {"crs": "EPSG:32631", "transform": Affine(120 / cols, 0, 500_000, 0, -120 / rows, 4_000_000)}
        tiff(place / f"B{i}.tif", np.ones((1, rows, cols), np.uint16), **(options | profile))
    return place


def folder_with(fill: Callable[[Path], object]) -> Make:
    def words(folder: Path) -> Words:
        (folder / "bands").mkdir(exist_ok=True)
        fill(folder / "bands")
        return ["info", folder / "bands"]

    return words


def other_crs(folder: Path) -> Words:
    place = bands_in(folder, (12, 12), (12, 12))
    tiff(place / "B9.tif", np.ones((1, 12, 12), np.uint16), crs="EPSG:32632",
         transform=Affine(10, 0, 500_000, 0, -10, 4_000_000))  # fmt: skip
    return ["info", place]


def other_place(folder: Path) -> Words:
    place = bands_in(folder, (12, 12), (6, 6))
    tiff(place / "B9.tif", np.ones((1, 12, 12), np.uint16), crs="EPSG:32631",
         transform=Affine(10, 0, 900_000, 0, -10, 4_000_000))  # fmt: skip
    return ["info", place, "--resample"]


def damaged_band(folder: Path) -> Words:
    place = bands_in(folder, (12, 12), (12, 12))
    (place / "B1.tif").write_bytes((place / "B1.tif").read_bytes()[:200])
    (place / "B0.tif").write_bytes((place / "B0.tif").read_bytes()[:200])
    return ["info", place]


def zarr(folder: Path, **fields: Any) -> Path:
    store = folder / "a.zarr"
    (store / "cube").mkdir(parents=True)
    description = {
        "zarr_format": 2, "shape": [3, 4, 5], "chunks": [3, 4, 5], "dtype": "<f4", "compressor": None,
        "fill_value": None, "order": "C", "filters": None,
    } | fields  # fmt: skip
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / "cube/.zarray").write_text(json.dumps(description))
    (store / "cube/0.0.0").write_bytes(bytes(240))
    return store


def link(folder: Path, target: str) -> Words:
    (folder / "a.tif").symlink_to(target)
    return ["info", folder / "a.tif"]


def pipe(folder: Path) -> Words:
    os.mkfifo(folder / "a.tif")
    return ["info", folder / "a.tif"]


def listed(*makes: Callable[[Path], Path], more: tuple[object, ...] = ()) -> Make:
    """A list of files for date 1."""

    def words(folder: Path) -> Words:
        good = tiff(folder / "good.tif")
        paths = [make(folder) for make in makes]
        first = [word for path in paths for word in ("--t1", path)]
        return ["detect", *first, "--t2", good, "--output", folder / "map.tif", *more]

    return words


# --- All of them ---

CUTS = {f"{name} cut to {keep}": cut(make, keep) for name, make in GOOD.items() for keep in (5.0, 0.1, 0.5, 0.9)}
CUTS |= {f"{name} without its last byte": cut(GOOD[name], -1) for name in
         ("v5", "v5 compressed", "v7.3", "npy", "npz", "npz compressed", "tif", "envi", "bmp")}  # fmt: skip
CUTS |= {f"nothing called a.{suffix}": text(f"a.{suffix}", "") for suffix in
         ("mat", "tif", "npy", "npz", "hdr", "img", "h5", "nc", "")}  # fmt: skip

STARTS = {
    f"{name} that begins with {start[:8]!r}": wrong_start(GOOD[name], start)
    for name in ("v5", "v7.3", "npy", "npz", "tif", "jp2")
    for start in (
        b"\x89HDF\r\n\x1a\n", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\x93NUMPY\x01\x00v\x00", b"PK\x03\x04",
        b"CDF\x01\0\0\0\0", b"\x89PNG\r\n\x1a\n", bytes(16),
    )
    if not (name == "v7.3" and start in (b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", bytes(16), b"II*\0\x08\0\0\0",
                                         b"MM\0*\0\0\0\x08", b"\x93NUMPY\x01\x00v\x00", b"CDF\x01\0\0\0\0",
                                         b"\x89HDF\r\n\x1a\n"))
    and not (name == "tif" and start == b"II*\0\x08\0\0\0")
    and not (name == "npz" and start == b"PK\x03\x04")
    and not (name == "npy" and start.startswith(b"\x93NUMPY"))
}  # fmt: skip

FOREIGN = {
    "a gzip archive": text("a.tif", b"\x1f\x8b\x08" + bytes(50)),
    "a zip archive": lambda f: ["info", zip_text(f)],
    "a PDF": text("a.tif", "%PDF-1.4\n"),
    "a web page": text("a.mat", "<!DOCTYPE html><html><body>404</body></html>"),
    "a web page in small letters": text("a.mat", "\n <html><head></head></html>"),
    "a pickle": text("a.npy", pickle.dumps({"a": np.ones(3)}, protocol=4)),
    "a Git LFS pointer": text("a.mat", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
    "an HDF4 file": text("a.hdf", b"\x0e\x03\x13\x01" + bytes(300)),
    "a 7-Zip archive": text("a.mat", b"7z\xbc\xaf\x27\x1c" + bytes(30)),
    "a RAR archive": text("a.mat", b"Rar!\x1a\x07\0" + bytes(30)),
    "plain text": text("a.csv", "1,2,3\n4,5,6\n"),
    "random bytes": text("a.bin", np.random.default_rng(0).bytes(5000)),
    "zeros": text("a.bin", bytes(5000)),
    "a netCDF file without place": look(lambda f: netcdf(f / "a.nc")),
    "a truncated netCDF file": cut(lambda f: netcdf(f / "a.nc"), 0.6),
    "a Zarr store without place": look(zarr),
    "a Zarr store that lies": look(lambda f: zarr(f, shape=[3, "many", 5])),
    "a Zarr store of unknown type": look(lambda f: zarr(f, dtype="|O")),
    "a Zarr store of huge size": look(lambda f: zarr(f, shape=[10**6, 10**9, 10**9], chunks=[10**6] * 3)),
    "an empty Zarr store": folder_with(lambda f: (f / ".zgroup").write_text("{")),
}  # fmt: skip


def zip_text(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    return folder / "a.zip"


ENVI = {
    **{f"header without {key}": header(**{key.replace(" ", "_"): None})
       for key in ("samples", "lines", "bands", "data type")},
    **{f"{key} = {value}": header(**{key.replace(" ", "_"): value}) for key, values in {
        "samples": ("0", "-3", "many", "1e3", "999999999999", "9" * 5000, ""),
        "lines": ("0", "100000000000000", "nan"),
        "bands": ("0", "70000000", "-1", "{6}"),
        "header offset": ("-1", "x", "99999999999999999999"),
        "data type": ("0", "6", "9", "77", "float"),
        "interleave": ("bxq", ""),
        "byte order": ("7", "little"),
        "file compression": ("1", "x"),
        "reflectance scale factor": ("0", "-1", "nan", "inf", "ten"),
        "wavelength": ("{400, nan, 420, 430, 440, 450}", "{400, inf, 1, 1, 1, 1}", "{400, -inf, 1, 1, 1, 1}",
                       "{400, blue, 420, 430, 440, 450}", "{a, b}",
                       "{4\xff0, 410, 420, 430, 440, 450}"),
        "fwhm": ("{1, 2, nan, 4, 5, 6}", "{wide}"),
        "bbl": ("{1, 1, bad, 1, 1, 1}", "{nan, 1, 1, 1, 1, 1}"),
        "data gain values": ("{0, 1, 1, 1, 1, 1}", "{nan, 1, 1, 1, 1, 1}"),
        "data offset values": ("{inf, 1, 1, 1, 1, 1}",),
        "map info": ("{UTM, 1, 1, 38\xff851, 5819308, 9, 9, 33, North}",),
        "coordinate system string": ("{PROJCS[\xb5]}",),
    }.items() for value in values},
    "a spectral library": header(file_type="ENVI Spectral Library"),
    "data too short": header(data=bytes(100)),
    "data too long": header(data=bytes(5000)),
    "empty data": header(data=b""),
    "a header alone": lambda f: alone(f, "scene.hdr"),
    "data alone": lambda f: alone(f, "scene.img"),
    "a header of one word": text("a.hdr", "ENVI\n"),
    "a header of bytes": text("a.hdr", b"ENVI\n" + np.random.default_rng(1).bytes(4000)),
    "a header that never closes": header(wavelength="{400, 410", data_type="nonsense"),
    "a header of many braces": text("a.hdr", "ENVI\n" + "a = {" * 50_000),
    "a header of one long line": text("a.hdr", "ENVI\n" + " " * 2_000_000 + "x" * 2_000_000),
    "a header of blank lines": text("a.hdr", "ENVI\n" + "\n \t" * 500_000),
}  # fmt: skip

TIFFS = {
    "wavelength nan in a band": tagged(wavelength="nan"),
    "wavelength inf in a band": tagged(wavelength="inf"),
    "wavelength text in a band": tagged(wavelength="red"),
    "fwhm text in a band": tagged(fwhm="wide"),
    "bbl text in a band": tagged(bbl="good"),
    "complex values": look(lambda f: tiff(f / "a.tif", np.ones((2, 3, 4), np.complex64))),
    "absurd width": tiff_field(256, 4_000_000_000),
    "absurd height": tiff_field(257, 4_000_000_000),
    "no width": tiff_field(256, 0),
    "no bands": tiff_field(277, 0),
    "absurd bands": tiff_field(277, 60_000),
    "unknown compression": tiff_field(259, 61_234),
    "a directory that is its own successor": circular_tiff,
    "a directory outside the file": text("a.tif", b"II*\0" + struct.pack("<I", 4_000_000_000)),
    "terabytes of nothing": sparse_tiff,
    "scale zero": look(lambda f: scaled_tiff(f, 0.0)),
    "scale nan": look(lambda f: scaled_tiff(f, float("nan"))),
}


def scaled_tiff(folder: Path, scale: float) -> Path:
    path = tiff(folder / "a.tif")
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.scales = [scale] * file.count
    return path


MATLAB = {
    "a structure without a cube": look(lambda f: mat(f / "a.mat", s={"list": np.arange(9.0)})),
    "a deep structure": look(lambda f: mat(f / "a.mat", s=nested(60))),
    "a structure of many fields": look(lambda f: mat(f / "a.mat", s={f"f{i}": i for i in range(3000)})),
    "a huge structure": look(lambda f: mat(f / "a.mat", s={"a": np.zeros((30, 30, 30, 100))}, compress=True)),
    "cells": look(lambda f: mat(f / "a.mat", c=np.array([[1, "a"], [2, 3]], dtype=object))),
    "a list of numbers": look(lambda f: mat(f / "a.mat", v=np.arange(9))),
    "text": look(lambda f: mat(f / "a.mat", t="hello")),
    "no variable": text("a.mat", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"),
    "a 4-D array": look(lambda f: mat(f / "a.mat", x=np.ones((2, 3, 4, 5)))),
    "an empty 3-D array": look(lambda f: mat(f / "a.mat", x=np.ones((0, 3, 4)))),
    "complex values": look(lambda f: mat(f / "a.mat", x=CUBE * 1j)),
    "complex values, compressed": look(lambda f: mat(f / "a.mat", x=CUBE * 1j, compress=True)),
    "no such variable": look(lambda f: mat(f / "a.mat"), "--key", "cub"),
    "a map for a cube": listed(lambda f: mat(f / "a.mat", x=np.eye(4))),
    "several cubes": listed(lambda f: mat(f / "a.mat", a=CUBE, b=CUBE)),
    "negative sizes": text("a.mat", v5_element(6, [-4, 5, 6], data=bytes(960))),
    "sizes that overflow": text("a.mat", v5_element(6, [2**31 - 1] * 3, data=bytes(960))),
    "sizes beyond the data": text("a.mat", v5_element(6, [40, 50, 60], data=bytes(960))),
    "sizes beyond the data, compressed": text("a.mat", v5_element(6, [40, 50, 60], data=bytes(960), code=15)),
    "terabytes, compressed": text("a.mat", v5_element(6, [30_000, 30_000, 200], data=bytes(960), code=15)),
    "gigabytes in a tag": text("a.mat", v5_element(6, [4, 5, 6], data=bytes(960), length=4_000_000_000)),
    "many dimensions": text("a.mat", v5_element(6, [1] * 200, data=bytes(8))),
    "no dimensions": text("a.mat", v5_element(6, [], data=bytes(8))),
    "an unknown class": text("a.mat", v5_element(77, [4, 5, 6], data=bytes(960))),
    "an unknown element": text("a.mat", v5_element(6, [4, 5, 6], data=bytes(960), code=99)),
    "a garbled stream": patched(lambda f: mat(f / "a.mat", compress=True), b"x\x9c", b"y\x9d"),
    "nothing but tags": text("a.mat", v5_element(6, [1])[:128] + struct.pack("<II", 14, 0) * 30_000),
    "a byte order that is none": patched(lambda f: mat(f / "a.mat"), b"IM", b"XX"),
}

HDF5 = {
    "nothing": holding(lambda f: None),
    "nothing, as MATLAB": holding(lambda f: None, matlab=True),
    "groups in a circle": holding(cyclic),
    "a maze of groups": holding(maze),
    "groups in groups in groups": holding(deep),
    "a structure in a circle, as MATLAB": holding(matlab_struct, matlab=True),
    "text, as MATLAB": holding(matlab_text, matlab=True),
    "references": holding(lambda f: f.create_dataset("r", (3, 4, 5), h5py.ref_dtype)),
    "strings": holding(lambda f: f.create_dataset("s", (3, 4, 5), h5py.string_dtype())),
    "compounds": holding(lambda f: f.create_dataset("c", (3, 4, 5), [("real", "f8"), ("imag", "f8")])),
    "a list of numbers": holding(lambda f: f.create_dataset("v", data=np.arange(9.0))),
    "a scalar": holding(lambda f: f.create_dataset("v", data=1.0)),
    "no shape": holding(lambda f: f.create_dataset("v", dtype="f4", data=h5py.Empty("f4"))),
    "a 4-D array": holding(lambda f: f.create_dataset("v", (2, 3, 4, 5))),
    "no rows": holding(lambda f: f.create_dataset("v", (0, 4, 5))),
    "terabytes of nothing": holding(
        lambda f: f.create_dataset("v", (200, 10**6, 10**6), "f4", chunks=(1, 1000, 1000)), matlab=True
    ),
    "values in other files": holding(external),
    "a view of other files": holding(virtual),
    "a link to another file": holding(lambda f: f.__setitem__("v", h5py.ExternalLink("/etc/other.h5", "x"))),
    "a dangling link": holding(lambda f: f.__setitem__("v", h5py.SoftLink("/nowhere"))),
    "a scale of text": holding(spoilt(scale_factor="ten")),
    "a scale of zero": holding(spoilt(scale_factor=0.0)),
    "a scale that is nan": holding(spoilt(scale_factor=np.nan)),
    "an offset that is inf": holding(spoilt(add_offset=np.inf)),
    "a fill value of text": holding(spoilt(_FillValue="none")),
    "wavelengths with a nan": holding(waves([1, 2, np.nan, 4, 5, 6])),
    "axes that nothing tells": lambda f: both(hdf5(f / "a.h5", matlab_free, matlab=False)),
}  # fmt: skip

NUMPY = {
    "objects": look(lambda f: npy(f / "a.npy", np.array([[[1, None]]], dtype=object))),
    "records": look(lambda f: npy(f / "a.npy", np.zeros((2, 3, 4), [("a", "f4"), ("b", "i2")]))),
    "text": look(lambda f: npy(f / "a.npy", np.full((2, 3, 4), "a"))),
    "complex values": look(lambda f: npy(f / "a.npy", np.ones((2, 3, 4), complex))),
    "dates": look(lambda f: npy(f / "a.npy", np.zeros((2, 3, 4), "datetime64[s]"))),
    "a scalar": look(lambda f: npy(f / "a.npy", np.array(1.0))),
    "a list of numbers": look(lambda f: npy(f / "a.npy", np.arange(5))),
    "a 4-D array": look(lambda f: npy(f / "a.npy", np.ones((2, 3, 4, 5)))),
    "no bands": look(lambda f: npy(f / "a.npy", np.ones((3, 4, 0)))),
    "code in a header": text("a.npy", npy_header("__import__('os').system('true')")),
    "a header of text": text("a.npy", npy_header("hello")),
    "a header without shape": text("a.npy", npy_header("{'descr': '<f4', 'fortran_order': False}")),
    "a header of deep brackets": text("a.npy", npy_header("(" * 9000)),
    "negative sizes": text("a.npy", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 4, -5)}",
                                               data=bytes(240))),
    "absurd sizes": text("a.npy", npy_header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000)}")),
    "sizes of text": text("a.npy", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 4, 5)}")),
    "an unknown type": text("a.npy", npy_header("{'descr': '<q9', 'fortran_order': False, 'shape': (3, 4, 5)}")),
    "an unknown version": text("a.npy", npy_header("{}", version=(9, 9))),
    "a huge header": text("a.npy", npy_header("{" + " " * 60_000 + "}")),
    "axes that nothing tells": lambda f: both(npy(f / "a.npy")),
    "axes that contradict the other date": listed(lambda f: npy(f / "a.npy", np.ones((3, 4, 5)))),
    "npz: objects": look(lambda f: npz(f / "a.npz", a=np.array([[[1, None]]], dtype=object))),
    "npz: nothing 3-D": look(lambda f: npz(f / "a.npz", a=np.arange(4))),
    "npz: several cubes": listed(lambda f: npz(f / "a.npz", a=CUBE, b=CUBE)),
    "npz: no such array": look(lambda f: npz(f / "a.npz"), "--key", "cub"),
    "npz: text for an array": look(zip_of(cube=b"hello")),
    "npz: an array cut off": look(zip_of(cube=saved(CUBE)[:300])),
    "npz: terabytes in a header": look(zip_of(cube=npy_header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000, 1000)}"))),
    "npz: an encrypted member": lambda f: ["info", encrypted(npz(f / "a.npz"))],
}  # fmt: skip

PLACES = {
    "a missing file": lambda f: ["info", f / "none.tif"],
    "a missing folder": lambda f: ["info", f / "none/none.tif"],
    "a file for a folder": lambda f: ["info", tiff(f / "a.tif") / "b.tif"],
    "an empty folder": folder_with(lambda f: None),
    "a folder of folders": folder_with(lambda f: (f / "IMG_DATA").mkdir()),
    "a folder of text": folder_with(lambda f: (f / "a.txt").write_text("hello")),
    "band files of two sizes": lambda f: listed_folder(bands_in(f, (12, 12), (6, 6))),
    "band files of two places": other_place,
    "band files of two CRS": other_crs,
    "damaged band files": damaged_band,
    "a list with a missing file": listed(lambda f: tiff(f / "a.tif"), lambda f: f / "b.tif"),
    "a list with an array": listed(lambda f: tiff(f / "a.tif"), lambda f: npy(f / "b.npy")),
    "a list of two sizes": listed(
        lambda f: tiff(f / "a.tif"), lambda f: tiff(f / "b.tif", np.ones((1, 3, 4), "u1"))
    ),
    "a list of two sizes to resample": listed(
        lambda f: tiff(f / "a.tif"), lambda f: tiff(f / "b.tif", np.ones((1, 3, 4), "u1")), more=("--resample",)
    ),
    "a folder of a list": listed(lambda f: tiff(f / "a.tif"), lambda f: f),
    "a list with a key": listed(lambda f: tiff(f / "a.tif"), lambda f: tiff(f / "b.tif"), more=("--t1-key", "x")),
    "a link to itself": lambda f: link(f, "a.tif"),
    "a link to nothing": lambda f: link(f, "none.tif"),
    "a pipe": pipe,
    "an endless device": lambda f: ["info", "/dev/zero"],
    "a file that cannot be read": lambda f: ["info", "/proc/self/mem"],
    "an empty device": lambda f: ["info", "/dev/null"],
    "a name too long": lambda f: ["info", f / ("a" * 300)],
    "axes of a GeoTIFF": look(lambda f: tiff(f / "a.tif"), "--key", "x"),
    "axes misspelt": look(lambda f: npy(f / "a.npy"), "--axes", "row,col,band"),
    "axes twice": look(lambda f: npy(f / "a.npy"), "--axes", "rows,rows,bands"),
    "two axes": look(lambda f: npy(f / "a.npy"), "--axes", "rows,cols"),
    "axes for a dataset": lambda f: ["detect", "--dataset", "river", "--axes", "rows,cols,bands", "--output", "m"],
    "axes for rasters": listed(lambda f: tiff(f / "a.tif"), more=("--axes", "rows,cols,bands")),
    "a quick look that exists": look(lambda f: tiff(f / "a.tif"), "--png", __file__),
    "a quick look nowhere": look(lambda f: tiff(f / "a.tif"), "--png", "none/look.png"),
    "no path": lambda f: ["info"],
}  # fmt: skip


def both(path: Path) -> Words:
    """The same array for both dates."""
    return ["detect", "--t1", path, "--t2", path, "--output", path.parent / "map.tif"]


def listed_folder(folder: Path) -> Words:
    good = tiff(folder.parent / "good.tif")
    return ["detect", "--t1", folder, "--t2", good, "--output", folder.parent / "map.tif"]


CASES: dict[str, Make] = {
    f"{group}: {name}": make
    for group, cases in {
        "cut": CUTS, "start": STARTS, "foreign": FOREIGN, "envi": ENVI, "tiff": TIFFS, "matlab": MATLAB,
        "hdf5": HDF5, "numpy": NUMPY, "place": PLACES,
    }.items()
    for name, make in cases.items()
}  # fmt: skip
