"""Styles of shapes in the standard's words (OGC SLD 1.1.0), for a GIS that does not read QGIS's.

They look as those of :mod:`hsi_cd.io.qml`: a GeoPackage holds both, as QGIS writes them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hsi_cd.io.qml import RED, Colour, ShapeStyle, hexadecimal

_SLD, _SE = "http://www.opengis.net/sld", "http://www.opengis.net/se"
_SPACES = {"xmlns": _SLD, "xmlns:se": _SE, "xmlns:ogc": "http://www.opengis.net/ogc"}
_FILLING, _WIDTH, _SIZE = "0.2", "2", "9"  # share that covers; pixels
_OUTLINE = (35, 35, 35, 255)


def shapes_sld(style: ShapeStyle, geometry: str, *, layer: str) -> str:
    """The style of a layer of shapes.

    Args:
        style: what is told apart.
        geometry: ``Point``, ``LineString`` or ``Polygon``.
        layer: its name.
    """
    root = ET.Element("StyledLayerDescriptor", {**_SPACES, "version": "1.1.0"})
    named = _named(ET.SubElement(root, "NamedLayer"), layer)
    user = _named(ET.SubElement(named, "UserStyle"), style.title)
    rules = ET.SubElement(user, "se:FeatureTypeStyle")
    if not style.field:
        _symbol(_named(ET.SubElement(rules, "se:Rule"), style.title), geometry, RED)
    for value, label, colour in style.classes if style.field else ():
        rule = _named(ET.SubElement(rules, "se:Rule"), label)
        if value:
            equal = ET.SubElement(ET.SubElement(rule, "ogc:Filter"), "ogc:PropertyIsEqualTo")
            ET.SubElement(equal, "ogc:PropertyName").text = style.field
            ET.SubElement(equal, "ogc:Literal").text = value
        else:
            ET.SubElement(rule, "se:ElseFilter")
        _symbol(rule, geometry, colour)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _named(element: ET.Element, name: str) -> ET.Element:
    ET.SubElement(element, "se:Name").text = name
    return element


def _symbol(rule: ET.Element, geometry: str, colour: Colour) -> None:
    if geometry == "Point":
        graphic = ET.SubElement(ET.SubElement(rule, "se:PointSymbolizer"), "se:Graphic")
        mark = ET.SubElement(graphic, "se:Mark")
        ET.SubElement(mark, "se:WellKnownName").text = "circle"
        _told(mark, "se:Fill", {"fill": hexadecimal(colour)})
        _told(mark, "se:Stroke", {"stroke": hexadecimal(_OUTLINE), "stroke-width": "1"})
        ET.SubElement(graphic, "se:Size").text = _SIZE
        return
    drawn = ET.SubElement(rule, "se:LineSymbolizer" if geometry == "LineString" else "se:PolygonSymbolizer")
    if geometry == "Polygon":
        _told(drawn, "se:Fill", {"fill": hexadecimal(colour), "fill-opacity": _FILLING})
    _told(drawn, "se:Stroke", {"stroke": hexadecimal(colour), "stroke-width": _WIDTH})


def _told(parent: ET.Element, what: str, values: dict[str, str]) -> None:
    element = ET.SubElement(parent, what)
    for name, value in values.items():
        ET.SubElement(element, "se:SvgParameter", {"name": name}).text = value
