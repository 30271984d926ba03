"""Styles as QGIS reads them (QML): classes of a raster, a ramp of scores, shapes by a class.

Written by hand, since QGIS, which has a writer, is no dependency. What is left out takes QGIS's defaults.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

Colour = tuple[int, int, int, int]

GREY, RED, YELLOW, CLEAR = (230, 230, 230, 255), (200, 30, 30, 255), (255, 214, 0, 255), (0, 0, 0, 0)
"""Unchanged, changed, not yet said, no data: the same in every file, whether raster or shapes."""

MARK = "<!-- written by hsi-cd -->"
"""Stands in every style of ours; QGIS leaves it out when somebody saves a style of his own."""

SHAPE_CLASSES = (("changed", "changed", RED), ("unchanged", "unchanged", GREY), ("", "to be said", YELLOW))
"""What a field says of a shape, its name and its colour; the last is of any other value."""

_VERSION = "3.22.0"
_SYMBOLS = {"Point": "marker", "LineString": "line", "Polygon": "fill"}


@dataclass(frozen=True)
class ShapeStyle:
    """How the shapes of a layer are shown.

    Attributes:
        field: whose values tell the colour; empty where all shapes are changed regions.
        title: of the style.
        classes: values of the field with their names and colours; an empty value is any other.
    """

    field: str = ""
    title: str = "hsi-cd"
    classes: tuple[tuple[str, str, Colour], ...] = SHAPE_CLASSES


def classes_qml(colours: Mapping[int, Colour], names: Mapping[int, str]) -> str:
    """The style of a raster of classes: a colour and a name for each value."""
    root, raster = _raster("paletted")
    palette = ET.SubElement(raster, "colorPalette")
    for value, colour in colours.items():
        entry = {"value": str(value), "label": names[value], "color": hexadecimal(colour)}
        ET.SubElement(palette, "paletteEntry", {**entry, "alpha": str(colour[3])})
    return _text(root)


def ramp_qml(low: float, high: float) -> str:
    """The style of a raster of numbers: from the colour of unchanged to that of changed."""
    ends = {"classificationMin": repr(low), "classificationMax": repr(high)}
    root, raster = _raster("singlebandpseudocolor", nodataColor="", **ends)
    shader = ET.SubElement(ET.SubElement(raster, "rastershader"), "colorrampshader")
    shader.attrib |= {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    shader.attrib |= {"minimumValue": repr(low), "maximumValue": repr(high)}
    ramp = ET.SubElement(shader, "colorramp", {"type": "gradient", "name": "[source]"})
    _properties(ramp, {"color1": _listed(GREY), "color2": _listed(RED), "discrete": "0", "rampType": "gradient"})
    for value, colour in ((low, GREY), (high, RED)):
        item = {"value": repr(value), "label": f"{value:.4g}", "color": hexadecimal(colour), "alpha": "255"}
        ET.SubElement(shader, "item", item)
    return _text(root)


def shapes_qml(style: ShapeStyle, geometry: str) -> str:
    """The style of a layer of shapes, of which there is an outline and a thin filling, or a point.

    Args:
        style: what is told apart.
        geometry: ``Point``, ``LineString`` or ``Polygon``.
    """
    root = _root("Symbology")
    kind = _SYMBOLS[geometry]
    if not style.field:
        renderer = ET.SubElement(root, "renderer-v2", {"type": "singleSymbol"})
        _symbol(ET.SubElement(renderer, "symbols"), "0", kind, RED)
        return _text(root)
    renderer = ET.SubElement(root, "renderer-v2", {"type": "categorizedSymbol", "attr": style.field})
    categories, symbols = ET.SubElement(renderer, "categories"), ET.SubElement(renderer, "symbols")
    for i, (value, label, colour) in enumerate(style.classes):
        entry = {"symbol": str(i), "value": value, "label": label, "render": "true"}
        ET.SubElement(categories, "category", entry)
        _symbol(symbols, str(i), kind, colour)
    return _text(root)


def _root(categories: str) -> ET.Element:
    return ET.Element("qgis", {"version": _VERSION, "styleCategories": categories})


def _raster(kind: str, **attributes: str) -> tuple[ET.Element, ET.Element]:
    """A style of a raster, and its renderer."""
    root = _root("AllStyleCategories")
    always = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1"}
    return root, ET.SubElement(ET.SubElement(root, "pipe"), "rasterrenderer", always | attributes)


def _symbol(symbols: ET.Element, name: str, kind: str, colour: Colour) -> None:
    symbol = ET.SubElement(symbols, "symbol", {"type": kind, "name": name, "alpha": "1"})
    classes = {"marker": "SimpleMarker", "line": "SimpleLine", "fill": "SimpleFill"}
    layer = ET.SubElement(symbol, "layer", {"class": classes[kind], "enabled": "1", "locked": "0", "pass": "0"})
    if kind == "marker":
        told = {"color": _listed(colour), "outline_color": "35,35,35,255", "name": "circle", "size": "2.6"}
        told |= {"size_unit": "MM", "outline_width": "0.3", "outline_width_unit": "MM"}
    elif kind == "line":
        told = {"line_color": _listed(colour), "line_width": "0.5", "line_width_unit": "MM"}
    else:
        told = {"color": _listed((*colour[:3], 50)), "style": "solid", "outline_color": _listed(colour)}
        told |= {"outline_style": "solid", "outline_width": "0.5", "outline_width_unit": "MM"}
    _properties(layer, told)


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    """As QGIS wrote them up to 3.22; all later versions read them, too."""
    for name, value in values.items():
        ET.SubElement(parent, "prop", {"k": name, "v": value})


def _text(root: ET.Element) -> str:
    ET.indent(root, " ")
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
    return f"{head}\n{MARK}\n{ET.tostring(root, encoding='unicode')}\n"


def hexadecimal(colour: Colour) -> str:
    """A colour as the web writes it, without its opacity."""
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def _listed(colour: Colour) -> str:
    return ",".join(map(str, colour))
