"""A parameter of the table as a field of QGIS, and the files behind the layers that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from .algorithms import Parameter
from .layer_sources import RASTERS, VECTORS, Bounds, Source, SourceError, raster_source, vector_source

_DRAWN = ["gpkg", "geojson", "json", "shp", "fgb", "kml"]
"""Files of drawn shapes that the command reads; layers of other kinds are written to one of the first."""

_AUTHORITIES = ("EPSG", "ESRI", "OGC")
"""Whose numbers of a CRS others than QGIS know."""

FIELDS: dict[str, Callable[[Parameter], QgsProcessingParameterDefinition]] = {
    "date": lambda p: QgsProcessingParameterRasterLayer(p.name, p.title, optional=not p.needed),
    "map": lambda p: QgsProcessingParameterRasterLayer(p.name, p.title, optional=not p.needed),
    "mask": lambda p: QgsProcessingParameterMapLayer(p.name, p.title, optional=True),
    "polygons": lambda p: QgsProcessingParameterVectorLayer(
        p.name, p.title, [QgsProcessing.TypeVectorPolygon], optional=not p.needed
    ),
    "points": lambda p: QgsProcessingParameterVectorLayer(
        p.name, p.title, [QgsProcessing.TypeVectorPoint], optional=not p.needed
    ),
    "extent": lambda p: QgsProcessingParameterExtent(p.name, p.title, optional=not p.needed),
    "labels": lambda p: QgsProcessingParameterMultipleLayers(
        p.name, p.title, QgsProcessing.TypeMapLayer, optional=not p.needed
    ),
    "file": lambda p: QgsProcessingParameterFile(
        p.name, p.title, extension="".join(p.choices), optional=not p.needed
    ),
    "folder": lambda p: QgsProcessingParameterFile(
        p.name, p.title, behavior=QgsProcessingParameterFile.Folder, optional=not p.needed
    ),
    "choice": lambda p: QgsProcessingParameterEnum(
        p.name, p.title, options=list(p.choices), defaultValue=p.default, usesStaticStrings=True
    ),
    "text": lambda p: QgsProcessingParameterString(p.name, p.title, p.default, optional=True),
    "further": lambda p: QgsProcessingParameterString(p.name, p.title, p.default, optional=True),
    "switch": lambda p: QgsProcessingParameterBoolean(p.name, p.title, p.default),
    "number": lambda p: _number(p, QgsProcessingParameterNumber.Double),
    "whole": lambda p: _number(p, QgsProcessingParameterNumber.Integer),
    "raster": lambda p: QgsProcessingParameterRasterDestination(
        p.name, p.title, optional=not p.needed, createByDefault=p.needed
    ),
    "vector": lambda p: QgsProcessingParameterVectorDestination(
        p.name, p.title, optional=not p.needed, createByDefault=p.needed
    ),
    "page": lambda p: QgsProcessingParameterFileDestination(
        p.name, p.title, fileFilter="HTML files (*.html)", optional=True
    ),
    "html": lambda p: QgsProcessingParameterFileDestination(
        p.name, p.title, fileFilter="HTML files (*.html)", optional=not p.needed, createByDefault=p.needed
    ),
    "json": lambda p: QgsProcessingParameterFileDestination(
        p.name, p.title, fileFilter="JSON files (*.json)", optional=True, createByDefault=False
    ),
    "csv": lambda p: QgsProcessingParameterFileDestination(
        p.name, p.title, fileFilter="CSV files (*.csv)", optional=True, createByDefault=False
    ),
    "run": lambda p: QgsProcessingParameterFolderDestination(p.name, p.title),
}
"""How QGIS asks for each kind of parameter."""


class _RasterOrFolder(QgsProcessingParameterRasterLayer):
    """A raster that may be left empty, since a folder stands in for it: whether one does is known when it runs."""

    def checkValueIsAcceptable(self, value: Any, context: QgsProcessingContext | None = None) -> bool:
        return True


def field(parameter: Parameter, *, stood_for: bool = False) -> QgsProcessingParameterDefinition:
    """The field of a parameter; ``stood_for`` tells whether a folder may stand in for it."""
    made: QgsProcessingParameterDefinition
    if stood_for and parameter.kind in ("date", "map"):
        made = _RasterOrFolder(parameter.name, parameter.title, optional=not parameter.needed)
    else:
        made = FIELDS[parameter.kind](parameter)
    if parameter.advanced:
        made.setFlags(made.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return made


def _number(parameter: Parameter, kind: Any) -> QgsProcessingParameterDefinition:
    lowest, highest = parameter.limits
    limits = {"minValue": lowest, "maxValue": highest}
    return QgsProcessingParameterNumber(
        parameter.name,
        parameter.title,
        kind,
        parameter.default,
        optional=parameter.default is None,
        **{name: value for name, value in limits.items() if value is not None},
    )


def find_sources(
    value: Any, title: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
) -> list[Source]:
    """The files behind several layers, or behind one."""
    several = value if isinstance(value, (list, tuple)) else [value]
    found = [find_source(each, title, context, feedback) for each in several]
    return [source for source in found if source is not None]


def find_source(
    value: Any,
    title: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    *,
    alone: bool = False,
) -> Source | None:
    """The file behind a layer, or the file or folder that was named; None where the field is empty.

    Args:
        value: of the field.
        title: of the field, for messages.
        context: of the run.
        feedback: of the run.
        alone: whether the command reads every layer of a file of shapes: one of several is written to its own.

    Raises:
        SourceError: no file is behind the layer, or edits of it are not saved.
    """
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        value = value.source.staticValue()
    if value is None or value == "":
        return None
    layer = value if isinstance(value, QgsMapLayer) else None
    if layer is None:
        layer = QgsProcessingUtils.mapLayerFromString(str(value), context, False)
    if isinstance(layer, QgsVectorLayer):
        return _drawn(layer, title, context, feedback, alone=alone)
    if isinstance(layer, QgsRasterLayer):
        return raster_source(layer.source(), layer.providerType(), f"{title} ({layer.name()})")
    if layer is not None:
        raise SourceError(f"{title} ({layer.name()}): neither raster nor vector; choose one of these")
    text = str(value)
    if "|layername=" in text:
        source = vector_source(text, VECTORS, title)
        layer = QgsVectorLayer(text, source.layer, VECTORS) if alone else None
        return (
            source if layer is None or not layer.isValid() else _drawn(layer, title, context, feedback, alone=True)
        )
    return raster_source(text, RASTERS, title)


def _drawn(
    layer: QgsVectorLayer,
    title: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    *,
    alone: bool = False,
) -> Source:
    """The file of drawn shapes; what lies in no file that the command reads, or is filtered, is written to one."""
    if layer.isModified():
        raise SourceError(f"{title} ({layer.name()}): edits are not saved: save the layer's edits first")
    path, name = QgsProcessingUtils.convertToCompatibleFormatAndLayerName(
        layer, False, "labels", _DRAWN, "gpkg", context, feedback
    )
    own = path == layer.source().partition("|")[0]
    if not own or _layers_in(path) < 2:
        return Source(path)
    if alone:
        return _drawn(layer.materialize(QgsFeatureRequest()), title, context, feedback)
    return Source(path, name)


def bounds_of(rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> Bounds | None:
    """An extent as the command takes it; None for an empty one."""
    if rectangle.isNull():
        return None
    known = crs.authid().partition(":")[0] in _AUTHORITIES
    edges = (rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum())
    return Bounds(edges, crs.authid() if known else crs.toWkt(QgsCoordinateReferenceSystem.WKT_PREFERRED))


def _layers_in(path: str) -> int:
    """How many layers of shapes a file has; a layer's own provider counts but itself."""
    return sum(each.providerKey() == VECTORS for each in QgsProviderRegistry.instance().querySublayers(path))
