"""Runs in QGIS's own Python, without a display: does what its orders say, and prints what came of each as JSON.

    /usr/bin/python3 in_qgis.py PROFILE < orders.json

An order names an algorithm and its parameters; ``{"raster": path}`` and ``{"vector": path}`` are layers of the
project, ``{"memory": path}`` a scratch layer with the features of a file, ``{"edited": path}`` one whose last
edit is not saved. ``load`` adds results to the project and tells how they look; ``cancel`` cancels at the first
progress that has the word.
"""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsFeatureRequest,
    QgsPalettedRasterRenderer,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRenderContext,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)

PLUGINS = "/usr/share/qgis/python/plugins"
MISLEADING = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "GDAL_DATA": "/nowhere", "PROJ_LIB": "/nowhere"}


class Feedback(QgsProcessingFeedback):
    """Keeps what it is told, and cancels when it is to."""

    def __init__(self, *, cancels: str | None) -> None:
        super().__init__()
        self.cancels = cancels
        self.told: dict[str, list[Any]] = {"progress": [], "warning": [], "command": [], "console": []}
        self.progressChanged.connect(self.told["progress"].append)

    def setProgressText(self, text: str) -> None:
        self.told["progress"].append(text)
        if self.cancels is not None and self.cancels in text:
            self.cancel()

    def pushWarning(self, text: str) -> None:
        self.told["warning"].append(text)

    def pushCommandInfo(self, text: str) -> None:
        self.told["command"].append(text)

    def pushConsoleInfo(self, text: str) -> None:
        self.told["console"].append(text)


def value_of(value: Any) -> Any:
    if isinstance(value, list):
        return [value_of(each) for each in value]
    if not isinstance(value, dict):
        return value
    (kind, path), *_ = value.items()
    layer = QgsRasterLayer(path, "a raster") if kind == "raster" else QgsVectorLayer(path, "a drawing", "ogr")
    assert layer.isValid(), path
    if kind == "memory":
        layer = layer.materialize(QgsFeatureRequest())
        layer.setName("a scratch layer")
    if kind == "edited":
        layer.startEditing()
        layer.deleteFeature(next(layer.getFeatures()).id())
    QgsProject.instance().addMapLayer(layer)
    return layer.id()


def table_of(path: str) -> list[list[str]]:
    """Value and name of each row of a raster's attribute table, as this GDAL reads it."""
    from osgeo import gdal

    gdal.UseExceptions()
    file = gdal.Open(path)
    table = file.GetRasterBand(1).GetDefaultRAT()
    rows = range(0 if table is None else table.GetRowCount())
    return [[table.GetValueAsString(row, col) for col in (0, 1)] for row in rows]


def standard_colours(layer: Any) -> list[list[int]]:
    """Colours of a GeoPackage's layer by its style in the standard's words (SLD), as QGIS reads it."""
    with closing(sqlite3.connect(layer.source().partition("|")[0])) as file:
        ((told,),) = file.execute("SELECT styleSLD FROM layer_styles")
    other = layer.clone()
    with tempfile.NamedTemporaryFile(suffix=".sld") as style:
        style.write(told.encode())
        style.flush()
        message, fits = other.loadSldStyle(style.name)
    assert fits, message
    return [symbol.color().getRgb()[:3] for symbol in other.renderer().symbols(QgsRenderContext())]


def look_of(layer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": layer.name(), "file": Path(layer.source()).name}
    renderer = layer.renderer()
    if isinstance(renderer, QgsPalettedRasterRenderer):
        found["classes"] = {
            int(c.value): [c.label, c.color.getRgb()[:3], c.color.alpha()] for c in renderer.classes()
        }
        found["table"] = table_of(layer.source())
    elif isinstance(renderer, QgsSingleBandPseudoColorRenderer):
        found["ramp"] = [renderer.classificationMin(), renderer.classificationMax()]
    elif isinstance(layer, QgsVectorLayer):
        found["features"] = layer.featureCount()
        found["colours"] = [symbol.color().getRgb()[:3] for symbol in renderer.symbols(QgsRenderContext())]
        found["standard"] = standard_colours(layer) if layer.source().partition("|")[0].endswith(".gpkg") else None
        found["fields"] = [field.name() for field in layer.fields()]
    return found


def obey(order: dict[str, Any]) -> dict[str, Any]:
    import processing
    from processing.core.ProcessingConfig import ProcessingConfig

    project = QgsProject.instance()
    project.clear()
    ProcessingConfig.setSettingValue("HSI_CD_COMMAND", order.get("setting", ""))
    parameters = {name: value_of(value) for name, value in order["parameters"].items()}
    inputs = set(project.mapLayers())
    feedback = Feedback(cancels=order.get("cancel"))
    run = processing.runAndLoadResults if order.get("load") else processing.run
    try:
        results = run(order["algorithm"], parameters, feedback=feedback)
    except QgsProcessingException as error:
        return {"error": str(error), **feedback.told, "loaded": len(set(project.mapLayers()) - inputs)}
    layers = [layer for name, layer in project.mapLayers().items() if name not in inputs]
    tree = [each.name() for each in project.layerTreeRoot().findLayers() if each.layerId() not in inputs]
    return {"results": results, "looks": [look_of(layer) for layer in layers], "tree": tree, **feedback.told}


def main() -> None:
    profile = sys.argv[1]
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False, profile)
    application.initQgis()
    sys.path[:0] = [PLUGINS, f"{profile}/python/plugins"]
    from processing.core.Processing import Processing

    Processing.initialize()
    plugin = importlib.import_module("hsi_cd_qgis").classFactory(None)
    plugin.initProcessing()
    importlib.import_module("hsi_cd_qgis.command").INTERVAL = 0  # each step is told, of the smallest scene
    os.environ.update(MISLEADING)  # as QGIS sets for itself on other systems
    provider = QgsApplication.processingRegistry().providerById("hsi_cd")
    done: dict[str, Any] = {
        "algorithms": {each.name(): each.displayName() for each in provider.algorithms()},
        "extensions": [provider.supportedOutputRasterLayerExtensions(), provider.versionInfo()],
        "may be empty": [
            each.name()
            for each in provider.algorithm("report").parameterDefinitions()
            if each.type() == "raster" and each.checkValueIsAcceptable(None)  # as the dialog asks
        ],
        "orders": [obey(order) for order in json.load(sys.stdin)],
        "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    }
    plugin.unload()
    done["unloaded"] = QgsApplication.processingRegistry().providerById("hsi_cd") is None
    print(json.dumps(done, default=str))
    sys.stdout.flush()
    os._exit(0)  # QGIS's own end crashes in some versions where Python still holds layers


if __name__ == "__main__":
    main()
