"""Spectral libraries: miniatures of every format, written here by hand, and what is refused of them."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.prepare.library_match import in_bands, spectral_angles
from hsi_cd.scene import Bands

Floats = NDArray[np.float64]

WAVES = [400.0, 500.0, 650.0, 700.0, 900.0, 1200.0]  # nm
SOIL = [0.08, 0.10, 0.16, 0.18, 0.24, 0.31]
GRASS = [0.03, 0.05, 0.04, 0.12, 0.46, 0.38]


def envi(folder: Path, *, waves: str | None = None, units: str = "Nanometers", **header: object) -> Path:
    """An ENVI library of two spectra, big-endian float32."""
    values = [*SOIL, *GRASS]
    (folder / "lib.sli").write_bytes(struct.pack(f">{len(values)}f", *values))
    fields = {
        "samples": 6, "lines": 2, "bands": 1, "header offset": 0, "file type": "ENVI Spectral Library",
        "data type": 4, "interleave": "bsq", "byte order": 1, "wavelength units": units,
        "spectra names": "{ bare soil,\n green grass }",
        "wavelength": waves or "{" + ", ".join(map(str, WAVES)) + "}",
    } | {key.replace("_", " "): value for key, value in header.items()}  # fmt: skip
    text = "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)
    (folder / "lib.hdr").write_text(f"ENVI\n{text}")
    return folder / "lib.sli"


def by_columns(folder: Path, head: str = "wavelength (um),bare soil,green grass", end: str = "") -> Path:
    lines = [f"{w / 1000},{100 * s},{100 * g}" for w, s, g in zip(WAVES, SOIL, GRASS, strict=True)]
    (folder / "lib.csv").write_text("\n".join([head, *lines, end]))
    return folder / "lib.csv"


def by_rows(folder: Path) -> Path:
    head = ";".join(["name", *(f"X{w:g}" for w in WAVES)])
    lines = [";".join([name, *map(str, v)]) for name, v in (("bare soil", SOIL), ("green grass", GRASS))]
    (folder / "lib.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder / "lib.csv"


def ecostress(folder: Path) -> Path:
    """Two files as ECOSTRESS has them, from the longest wavelength to the shortest, in percent."""
    for name, values in (("bare soil", SOIL), ("green grass", GRASS)):
        own = [f"{w / 1000:.4f}\t{100 * v:.4f}" for w, v in zip(WAVES[::-1], values[::-1], strict=True)]
        head = [
            f"Name: {name}", "Type: Soil", "Wavelength Range: All", "First Column: X", "Second Column: Y",
            "X Units: Wavelength (micrometers)", "Y Units: Reflectance (percent)",
            f"Number of X Values: {len(own)}",
            "Additional Information: none", "",
        ]  # fmt: skip
        (folder / f"{name.replace(' ', '.')}.spectrum.txt").write_text("\n".join([*head, *own]) + "\n")
    (folder / "bare.soil.ancillary.txt").write_text("whatever\n")
    return folder


def usgs(folder: Path) -> Path:
    """A chapter of splib07: wavelengths above it, and a channel more, which is deleted."""
    chapter = folder / "ChapterX"
    chapter.mkdir()
    title = " splib07a Record=1: Wavelengths BECK Beckman 0.2-3.0 microns"
    waves = [0.21, *(w / 1000 for w in WAVES)]
    (folder / "splib07a_Wavelengths_BECK_Beckman_0.2-3.0_microns.txt").write_text(
        "\n".join([title, *(f" {w:.7e}" for w in waves)])
    )
    for name, values in (("bare soil", SOIL), ("green grass", GRASS)):
        lines = [f" splib07a Record=9: {name}          BECKb AREF", " -1.2300000e+034", *map(str, values)]
        (chapter / f"splib07a_{name.replace(' ', '_')}_BECKb_AREF.txt").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("write", [envi, by_columns, by_rows, ecostress, usgs])
def test_each_format_gives_the_same_two_spectra(write: Callable[[Path], Path], tmp_path: Path) -> None:
    library = hc.open_library(write(tmp_path))
    assert [entry.name for entry in library.entries] == ["bare soil", "green grass"]
    for entry, values in zip(library.entries, (SOIL, GRASS), strict=True):
        np.testing.assert_allclose(entry.wavelengths, WAVES, rtol=1e-9)
        np.testing.assert_allclose(entry.values / entry.values[0], np.array(values) / values[0], rtol=1e-6)


def test_how_a_table_was_read_is_told(tmp_path: Path) -> None:
    assert "2 spectra, 400 to 1200 nm; a column each" in repr(hc.open_library(by_columns(tmp_path)))
    assert "a row each" in repr(hc.open_library(by_rows(tmp_path)))


def test_the_header_of_a_library_names_it_too(tmp_path: Path) -> None:
    envi(tmp_path)
    assert len(hc.open_library(tmp_path / "lib.hdr").entries) == 2


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    library = hc.open_library(envi(tmp_path, bbl="{1, 1, 0, 1, 1, 1}", data_ignore_value=SOIL[1]))
    np.testing.assert_allclose(library.entries[1].wavelengths, [400, 500, 700, 900, 1200])


def test_a_file_that_is_none_is_told_and_the_others_stay(tmp_path: Path) -> None:
    ecostress(tmp_path)
    (tmp_path / "readme.txt").write_text("Read me.\n")
    (tmp_path / "hot.spectrum.txt").write_text(
        "Name: hot\nX Units: Wavelength (micrometers)\nY Units: Emissivity (percent)\n\n8.0 90\n9.0 91\n"
    )
    library = hc.open_library(tmp_path)
    assert len(library.entries) == 2 and library.told.startswith("a file each; 2 left out (hot.spectrum.txt holds")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda f: envi(f, wavelength=None), "tells no wavelengths"),
        (lambda f: envi(f, units="Wavenumber"), "have the unit 'Wavenumber': expected nm or um"),
        (lambda f: envi(f, units="Unknown", waves="{1, 2, 3, 4, 5, 60}"), "their numbers tell none"),
        (lambda f: envi(f, waves="{1, 2}"), "has 2 values of wavelength: expected 6"),
        (lambda f: envi(f, file_type="ENVI Standard"), "is an ENVI image, not a spectral library"),
        (lambda f: envi(f, lines=3), "it is truncated"),
        (lambda f: envi(f, lines=100_000_000), "expected at most 33,554,432"),
        (lambda f: by_columns(f, "wavenumber (cm-1),bare soil,green grass"), "have the unit 'cm-1'"),
        (lambda f: by_columns(f, "wavenumber,bare soil,green grass"), "have the unit 'wavenumber'"),
        (lambda f: by_columns(f, "0.3,0.1,0.2"), "expected a line of headings"),
        (lambda f: by_columns(f, end="1.3,7"), "line 8, has 2 cells: expected 3"),
        (lambda f: by_columns(f, end="1.3,7,much"), "line 8, has 'much': expected a number"),
        (lambda f: by_columns(f, end=",7,8"), "no wavelength in each line of its first column"),
        (lambda f: by_columns(f, end="-1.3,7,8"), "wavelength 7 is -1.3: expected a positive number"),
    ],
)
def test_what_is_no_library_is_refused(write: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as error:
        hc.open_library(write(tmp_path))
    assert said in str(error.value)


def test_values_without_wavelengths_are_refused(tmp_path: Path) -> None:
    usgs(tmp_path)
    next(tmp_path.glob("*Wavelengths*")).unlink()
    with pytest.raises(FormatError, match=r"values without wavelengths .*: expected a file of them in it"):
        hc.open_library(tmp_path)
    with pytest.raises(FormatError, match="give its folder"):
        hc.open_library(next(tmp_path.rglob("*soil*")))


def test_folders_and_files_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds no text file"):
        hc.open_library(tmp_path)
    with pytest.raises(MissingInputError, match="does not exist"):
        hc.open_library(tmp_path / "none.csv")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(FormatError, match="is no text"):
        hc.open_library(tmp_path / "noise.bin")


def test_large_files_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.io.libraries._LARGEST_TABLE", 100)
    with pytest.raises(FormatError, match="over 100 bytes"):
        hc.open_library(by_columns(tmp_path))
    monkeypatch.setattr("hsi_cd.io.libraries._MOST_FILES", 1)
    with pytest.raises(FormatError, match="holds over 1 text files"):
        hc.open_library(ecostress(tmp_path))


def test_the_angle_is_the_one_between_two_vectors() -> None:
    one, other = np.array([1.0, 0.0, np.nan]), np.array([[1.0, 1.0, 5.0], [0.0, 2.0, 1.0], [3.0, 0.0, 9.0]])
    np.testing.assert_allclose(spectral_angles(one, other), [np.pi / 4, np.pi / 2, 0], atol=1e-12)
    assert np.isnan(spectral_angles(one, np.zeros((1, 3)))[0])


def fine_library(tmp_path: Path, curve: Callable[[Floats], Floats], waves: Floats) -> hc.SpectralLibrary:
    lines = [f"{w},{v}" for w, v in zip(waves, curve(waves), strict=True)]
    (tmp_path / "fine.csv").write_text("\n".join(["nm,one", *lines]))
    return hc.open_library(tmp_path / "fine.csv")


def test_wide_bands_see_the_mean_under_their_response(tmp_path: Path) -> None:
    """A Gaussian of width s under a Gaussian response of width f has width sqrt(s2 + f2), and less height."""
    centre, sigma = 700.0, 10.0
    library = fine_library(
        tmp_path, lambda w: np.exp(-((w - centre) ** 2) / (2 * sigma**2)) + 1e-9, np.arange(400.0, 1001.0)
    )
    centres = tuple(np.arange(600.0, 801.0, 20))
    width = 40.0
    seen = in_bands(library, Bands(len(centres), centres, (width,) * len(centres))).values[0]
    spread = sigma**2 + (width / 2.35482) ** 2
    expected = sigma / np.sqrt(spread) * np.exp(-((np.array(centres) - centre) ** 2) / (2 * spread))
    np.testing.assert_allclose(seen, expected, atol=2e-4)
    narrow = in_bands(library, Bands(len(centres), centres)).values[0]
    np.testing.assert_allclose(narrow, np.exp(-((np.array(centres) - centre) ** 2) / 200), atol=1e-6)


def test_gaps_are_not_bridged_and_bands_outside_are_left_out(tmp_path: Path) -> None:
    waves = np.concatenate([np.arange(500.0, 1300.0, 5), np.arange(1450.0, 1800.0, 5)])
    library = fine_library(tmp_path, lambda w: w / 1000, waves)
    centres = (450.0, 600.0, 602.5, 1200.0, 1290.0, 1350.0, 1500.0, 1900.0)
    seen = in_bands(library, Bands(8, centres))
    np.testing.assert_allclose(seen.values[0], [np.nan, 0.6, 0.6025, 1.2, 1.29, np.nan, 1.5, np.nan])
    assert "in 5 bands, 600 to 1500 nm" in seen.told


def test_entries_over_fewer_bands_are_left_out_and_too_few_refused(tmp_path: Path) -> None:
    lines = [f"{w:g},{w},{w if w < 700 else ''}" for w in np.arange(400.0, 1001.0, 50)]
    (tmp_path / "some.csv").write_text("\n".join(["wavelength_nm,whole,half", *lines]))
    library = hc.open_library(tmp_path / "some.csv")
    seen = in_bands(library, Bands(7, tuple(np.arange(400.0, 1001.0, 100))))
    assert seen.names == ("whole",) and "1 that cover fewer are left out" in seen.told
    with pytest.raises(hc.errors.BandError, match=r"covers 1 of the 7 bands of the scene \(900 to 2700 nm\)"):
        in_bands(library, Bands(7, tuple(np.arange(900.0, 2701.0, 300)[:7])))


def test_bands_that_are_not_used_do_not_count(tmp_path: Path) -> None:
    library = hc.open_library(by_columns(tmp_path))
    bands = Bands(6, tuple(WAVES), good=(True, True, False, True, True, True))
    assert np.isnan(in_bands(library, bands).values[:, 2]).all()
    assert np.isfinite(in_bands(library, bands, used=(0, 2, 3)).values).sum() == 6


def test_a_large_public_library_is_read(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = hc.open_library(shared / "files" / "optimized.sli")
    with caplog.at_level(logging.WARNING):
        near = in_bands(library, Bands(180, tuple(library.entries[0].wavelengths)))
    for row in (0, 100, 312):
        first = near.nearest(7.5 * library.entries[row].values, 1)[0]
        assert first.name == library.entries[row].name and first.angle < 1e-6
