"""``hsi-cd info``."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.cli.next_command import next_command, told_next
from hsi_cd.cli.options.area_options import area_place_options
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.pair_options import mask_of, mask_option, nodata_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.remedies import in_options
from hsi_cd.cli.telling import hint, tell

if TYPE_CHECKING:
    from hsi_cd.api.fitting_dates import NextStep
    from hsi_cd.api.looking import Comparison, Part, SeenFile, Summary

EPILOG = """\b
Examples:
  hsi-cd info scene.tif
  hsi-cd info before.mat after.mat truth.mat --png look.png
  hsi-cd info labels.gpkg
  hsi-cd info China_Change_Dataset.mat --json
"""


_VALUES = 6  # of a field that are listed
_QUANTITIES = {"reflectance": "reflectance, 0 to 1", "radiance": "radiance, W/m2/sr/um"}


@click.command(epilog=EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathType())
@click.option("--key", metavar="NAME", help="The one variable to look at in files of arrays.")
@click.option("--axes", metavar="AXES", help="Axes of an array that does not tell them, as bands,rows,cols.")
@click.option("--resample", is_flag=True, help="Bring single-band files of several pixel sizes to the finest.")
@nodata_option
@mask_option
@area_place_options
@click.option("--png", type=PathType(), metavar="FILE", help="Write a quick look.")
@json_option
@click.option("--overwrite", is_flag=True, help="Replace the quick look if it exists.")
def info(
    paths: tuple[Path, ...],
    key: str | None,
    axes: str | None,
    resample: bool,
    nodata: tuple[float, ...],
    mask: tuple[str, ...],
    area: AreaChoice,
    png: Path | None,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Say what is in files: arrays, sizes, range, gaps, wavelengths, place, labels, drawn shapes and their fields.

    A folder of rasters of one band is one image; any other folder stands for its files. Where there are two cubes,
    their grids and bands are compared and the shift between them is measured: the pair fits, fits after --register
    (of detect, train and predict, or hsi-cd register), or does not fit, because of what is said. The last line is
    the command that comes next, as it is typed.
    """
    from hsi_cd.api.fitting_dates import next_step
    from hsi_cd.api.looking import compare_cubes, look_at, write_quick_look
    from hsi_cd.io import PNG, check_outputs

    check_outputs({"--png": png}, kind=PNG, inputs=[*paths, *area.files], overwrite=overwrite)
    seen = look_at(paths, key=key, axes=axes, resample=resample, nodata=nodata, mask=mask_of(mask), area=area)
    records = [_record(file) for file in seen]
    compared = compare_cubes(seen)
    pair = None if compared is None else _pair_record(compared)
    if png is not None:
        write_quick_look(png, seen, overwrite=overwrite)
    step = next_step(seen, compared, key=key, axes=axes, resample=resample, nodata=nodata, mask=mask_of(mask))
    step = None if step is None else replace(step, contract=replace(step.contract, area=area))
    texts = [_text(record) for record in records] + ([_pair_text(pair)] if pair is not None else [])
    following = _next_record(step)
    if following is not None and following["text"]:
        texts.append(f"next: {following['text']}")
    elif following is not None and compared is not None and compared.fits:  # else the pair says why
        texts.append(f"next: nothing yet, because {following['refused']}")
    tell("\n\n".join(texts), {"files": records, "pair": pair, "next": following}, as_json=as_json)
    if png is not None:
        told = " and ".join(dict.fromkeys(each.shown for file in seen for each in file.summaries if each.shown))
        hint(f"\nquick look: {png}" + (f" (red, green and blue: {told})" if told else ""), as_json=as_json)


def _next_record(step: NextStep | None) -> dict[str, Any] | None:
    if step is None:
        return None
    if step.refused is not None:
        return {"command": None, "text": None, "refused": in_options(step.refused)}
    return {"command": next_command(step), "text": told_next(step), "refused": None}


def _record(file: SeenFile) -> dict[str, Any]:
    found = file.info
    return {
        "path": str(found.path),
        "kind": found.kind,
        "bytes": found.size,
        "arrays": [{"name": v.name, "shape": list(v.shape), "type": v.kind} for v in found.arrays],
        "images": [_image(part, summary) for part, summary in zip(file.parts, file.summaries, strict=True)],
        "layers": [
            {"name": each.name, "crs": each.crs, "shapes": each.shapes, "fields": each.fields}
            for each in found.layers
        ],
        "notes": [in_options(note) for note in found.notes],
    }


def _image(part: Part, summary: Summary) -> dict[str, Any]:
    from hsi_cd.api.looking import mask_shares, scenes_of_shape
    from hsi_cd.scene.surface import middle_area

    cube, bands, grid = part.cube, part.cube.bands, part.cube.grid
    pixel, area = grid.transform, middle_area(grid)
    return {
        "name": cube.name,
        "is_map": part.is_map,
        "rows": grid.rows,
        "cols": grid.cols,
        "bands": bands.count,
        "type": cube.dtype.name,
        "low": _finite(summary.low),
        "high": _finite(summary.high),
        "missing": summary.missing,
        "empty": summary.empty,
        "dead_bands": [i + 1 for i in summary.dead],
        "nodata": _finite(cube.nodata) if cube.nodata is None or math.isfinite(cube.nodata) else str(cube.nodata),
        "marked_by": cube.marks or None,
        "declared": list(cube.fill),
        "fill": None if summary.fill is None else summary.fill.value,
        "fill_text": None if summary.fill is None else in_options(summary.fill.advise()),
        "scale": sorted(set(cube.scale)),
        "offset": sorted(set(cube.offset)),
        "labels": None if summary.counts is None else {str(v): n for v, n in sorted(summary.counts.items())},
        "wavelengths": list(bands.centres),
        "fwhm": list(bands.fwhm),
        "bad_bands": [i + 1 for i, good in enumerate(bands.good) if not good],
        "band_names": list(bands.names),
        "acquired": cube.acquired or None,
        "product": None if cube.product is None else cube.product.title,
        "quantity": None if cube.product is None else cube.product.quantity,
        "told": [] if cube.product is None else list(cube.product.told),
        "masks": mask_shares(cube),
        "crs": _crs_name(grid.crs or grid.gcp_crs),
        "transform": None if pixel is None else list(pixel)[:6],
        "pixel_area": None if area is None else {"value": area[0], "unit": area[1]},
        "gcps": len(grid.gcps),
        "rpcs": grid.rpcs is not None,
        "memory": 4 * grid.rows * grid.cols * bands.count,
        "shown": summary.shown or None,
        "shape_of": scenes_of_shape(part),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _crs_name(crs: Any) -> str | None:
    if crs is None:
        return None
    code = crs.to_epsg()
    wkt = str(crs.to_wkt())
    return f"EPSG:{code}" if code else (wkt.split('"')[1] if '"' in wkt else wkt[:40])


def _shown(text: str) -> str:
    """A name or a value as it stands in the file, where it is plain text."""
    return text[:40] if text.isprintable() else repr(text[:40])


def _text(record: dict[str, Any]) -> str:
    from hsi_cd.api.looking import gigabytes

    lines = [f"{record['path']}: {record['kind']}, {gigabytes(record['bytes'])}"]
    for array in record["arrays"]:
        sizes = " x ".join(map(str, array["shape"])) or "1"
        lines.append(f"  array       {array['name'] or '(no name)'} ({sizes} {array['type']})")
    for layer in record["layers"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in layer["shapes"].items()) or "no shape"
        lines.append(f"  layer       {_shown(layer['name'])}: {kinds}, {layer['crs']}")
        for name, values in layer["fields"].items():
            said = ", ".join(f"{_shown(value)} ({count:,})" for value, count in list(values.items())[:_VALUES])
            said += f" and {len(values) - _VALUES} more" if len(values) > _VALUES else ""
            lines.append(f"    field     {_shown(name)}: {said or 'empty'}")
    for image in record["images"]:
        lines += _image_lines(image, titled=len(record["images"]) > 1 or bool(record["arrays"]))
    return "\n".join([*lines, *(f"  note        {note}" for note in record["notes"])])


def _image_lines(image: dict[str, Any], *, titled: bool) -> list[str]:
    from hsi_cd.api.looking import gigabytes

    what = "map" if image["is_map"] else "image"
    title = f"{image['name']}: " if titled else ""
    bands = "" if image["is_map"] else f" x {image['bands']} bands"
    lines = [f"  {what:<12}{title}{image['rows']} rows x {image['cols']} cols{bands}, {image['type']}"]
    low, high = image["low"], image["high"]
    lines.append(f"    range     {low:.6g} to {high:.6g}" if low is not None else "    range     no value at all")
    if image["scale"] or image["offset"]:
        scale = ", ".join(f"{v:g}" for v in image["scale"][:3]) or "1"
        offset = f" + {', '.join(f'{v:g}' for v in image['offset'][:3])}" if image["offset"] else ""
        lines[-1] += f" (stored values x {scale}{offset})"
    marks = [f"stored as {image['nodata']}"] if image["nodata"] is not None else []
    marks += [f"marked by {image['marked_by']}"] if image["marked_by"] else []
    marks += [f"declared as {', '.join(f'{value:g}' for value in image['declared'])}"] if image["declared"] else []
    declared = f", {', '.join(marks) or 'none declared'}"
    empty = f"; {100 * image['empty']:.4g} % of pixels are empty" if image["empty"] else ""
    lines.append(f"    no data   {100 * image['missing']:.4g} % of values{declared}{empty}")
    if image["fill_text"]:
        lines.append(f"    fill      {image['fill_text']}")
    if image["labels"] is not None:
        lines.append("    labels    " + ", ".join(f"{v}: {n:,} pixels" for v, n in image["labels"].items()))
    if image["quantity"]:
        lines.append(f"    values    {_QUANTITIES.get(image['quantity'], image['quantity'])}")
    if not image["is_map"]:
        lines += _band_lines(image)
    if image["masks"]:
        told = {
            kind: "missing" if share is None else f"{100 * share:.3g} %" for kind, share in image["masks"].items()
        }
        lines.append("    masks     " + ", ".join(f"{kind} {share}" for kind, share in told.items()))
    lines.append(f"    grid      {_grid_text(image)}")
    if image["acquired"]:
        lines.append(f"    acquired  {image['acquired']}")
    lines.append(
        f"    memory    {gigabytes(image['memory'])} as float32; read by windows where the format has them"
    )
    if image["shape_of"]:
        lines.append(f"    shape of  {', '.join(image['shape_of'])} (hsi-cd datasets NAME)")
    return lines


def _band_lines(image: dict[str, Any]) -> list[str]:
    from hsi_cd.api.looking import ranges

    waves, widths = image["wavelengths"], image["fwhm"]
    if waves:
        text = f"{min(waves):g} to {max(waves):g} nm"
        text += f", fwhm {min(widths):g} to {max(widths):g} nm" if widths else ""
        text += "" if waves == sorted(waves) else ", not in ascending order"
    else:
        text = "not told"
    lines = [f"    waves     {text}"]
    if image["band_names"]:
        names = image["band_names"]
        lines.append(f"    names     {', '.join(names[:3])}{f' ... {names[-1]}' if len(names) > 3 else ''}")
    for what in image["told"]:
        kept = what.removeprefix("nothing of ")  # bands that are kept, and were brought to other pixels
        lines.append(f"    left out  {what}" if kept == what else f"    kept      {kept}")
    for title, bands in (("bad", image["bad_bands"]), ("dead", image["dead_bands"])):
        if bands:
            why = "flagged by the sensor" if title == "bad" else "without data, or one value everywhere"
            lines.append(f"    {title:<10}{len(bands)} bands {why}: {ranges(bands)}")
    return lines


def _grid_text(image: dict[str, Any]) -> str:
    placed = image["transform"]
    if placed is not None:
        a, b, left, d, e, top = placed
        size, area = f"{math.hypot(a, d):.6g} x {math.hypot(b, e):.6g}", image["pixel_area"]
        text = f"{image['crs'] or 'no CRS'}, pixels of {size}, upper left corner at {left:.10g}, {top:.10g}"
        text += "" if area is None else f", one covers {area['value']:.4g} {area['unit']}"
    elif image["gcps"]:
        text = f"{image['crs'] or 'no CRS'}, {image['gcps']} ground control points"
    else:
        text = "no georeference"
    return text + (", RPCs" if image["rpcs"] else "")


def _pair_record(found: Comparison) -> dict[str, Any]:
    return {
        "names": list(found.names),
        "grid": None if found.grid is None else in_options(found.grid),
        "bands": None if found.bands is None else in_options(found.bands),
        "matched_by": found.matched_by,
        "shift": None if found.shift is None else list(found.shift),
        "shift_text": found.shift_text,
        "verdict": in_options(found.verdict),
    }


def _pair_text(pair: dict[str, Any]) -> str:
    why_not = "grid or bands differ" if pair["grid"] or pair["bands"] else "see below"
    grid, bands = pair["grid"] or "the same", f"the same, by {pair['matched_by']}"
    if not pair["matched_by"]:  # two products that are no pair, whatever their grids and bands are
        grid = bands = "not compared"
        why_not = "see below"
    return "\n".join(
        [
            f"{pair['names'][0]} and {pair['names'][1]}:",
            f"  grid        {grid}",
            f"  bands       {pair['bands'] or bands}",
            f"  shift       {pair['shift_text'] or 'not measured: ' + why_not}",
            f"  pair        {pair['verdict']}",
        ]
    )
