"""How results look when they are loaded: by the style beside them, else by what the file holds."""

from __future__ import annotations

import re
from typing import ClassVar

from qgis.core import (
    QgsColorRampShader,
    QgsGradientColorRamp,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

UNCHANGED, CHANGED = QColor(230, 230, 230), QColor(200, 30, 30)
"""Ends of the ramp of scores: the colours of the change map's classes."""

_SAMPLE = 250_000
"""Pixels that the ends of the ramp are looked for in."""

_TAIL = 0.02
"""Share of the scores beyond each end: a few are a hundred times the rest."""


class StyleOnLoading(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer after QGIS has loaded it."""

    _kept: ClassVar[list[StyleOnLoading]] = []  # QGIS holds no reference to what Python made

    @staticmethod
    def create() -> StyleOnLoading:
        """One for a layer."""
        StyleOnLoading._kept[:-100] = []
        StyleOnLoading._kept.append(StyleOnLoading())
        return StyleOnLoading._kept[-1]

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer."""
        style(layer)
        layer.triggerRepaint()


def style(layer: QgsMapLayer) -> None:
    """Style a layer by the ``.qml`` beside its file or the style in its GeoPackage, else by what it holds."""
    _, found = layer.loadDefaultStyle()
    if found or not isinstance(layer, QgsRasterLayer) or layer.bandCount() != 1:
        return
    table = layer.dataProvider().colorTable(1)
    if table:
        _as_classes(layer, classes_told(layer.bandName(1)))
    else:
        _as_ramp(layer)


def classes_told(text: str) -> dict[int, str]:
    """Values and names of classes as a band's description tells them.

    Example:
        >>> classes_told("Band 1: change: 0 unchanged, 1 changed, 255 no data")
        {0: 'unchanged', 1: 'changed', 255: 'no data'}
    """
    return {int(value): name for value, name in re.findall(r"(?:^|[:,] )(\d+) ([^,:]+)", text)}


def _as_classes(layer: QgsRasterLayer, names: dict[int, str]) -> None:
    classes = QgsPalettedRasterRenderer.colorTableToClassData(layer.dataProvider().colorTable(1))
    told = [each for each in classes if not names or int(each.value) in names]
    for each in told:
        each.label = names.get(int(each.value), each.label)
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, told))


def _as_ramp(layer: QgsRasterLayer) -> None:
    data = layer.dataProvider()
    wanted = QgsRasterBandStats.Min | QgsRasterBandStats.Max
    found = data.bandStatistics(1, wanted, layer.extent(), _SAMPLE)
    if found.minimumValue >= 0 and found.maximumValue <= 1:  # probabilities
        lowest, highest = 0.0, 1.0
    else:
        lowest, highest = data.cumulativeCut(1, _TAIL, 1 - _TAIL, layer.extent(), _SAMPLE)
    function = QgsColorRampShader(lowest, highest, QgsGradientColorRamp(UNCHANGED, CHANGED))
    function.classifyColorRamp()
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(data, 1, shader)
    renderer.setClassificationMin(lowest)
    renderer.setClassificationMax(highest)
    layer.setRenderer(renderer)
