"""How results look when they are loaded (by the style beside them, else by what a file holds), and their order."""

from __future__ import annotations

import re
from typing import ClassVar

from qgis.core import (
    QgsColorRampShader,
    QgsGradientColorRamp,
    QgsLayerTree,
    QgsLayerTreeLayer,
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
    """Styles a layer after QGIS has loaded it, and lays it in its place among those of the run."""

    _kept: ClassVar[list[StyleOnLoading]] = []  # QGIS holds no reference to what Python made

    @staticmethod
    def create(place: int, loaded: dict[str, int]) -> StyleOnLoading:
        """One for a layer.

        Args:
            place: of the layer, from the top, among those of the run.
            loaded: the places of the run's layers that are loaded, by their ids; each adds its own.
        """
        StyleOnLoading._kept[:-100] = []
        StyleOnLoading._kept.append(StyleOnLoading())
        kept = StyleOnLoading._kept[-1]
        kept._place, kept._loaded = place, loaded
        return kept

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer."""
        style(layer)
        layer.triggerRepaint()
        self._loaded[layer.id()] = self._place
        if context.project() is not None:
            tree = context.project().layerTreeRoot()
            lay_in_place(layer.id(), self._loaded, tree)
            node = tree.findLayer(layer.id())
            if node is not None and isinstance(layer, QgsRasterLayer):
                node.setExpanded(isinstance(layer.renderer(), QgsPalettedRasterRenderer))  # classes are to be seen


def lay_in_place(layer: str, wanted: dict[str, int], tree: QgsLayerTree) -> None:
    """Move a layer, that QGIS has put where it does, under those of its group that are wanted above it.

    Args:
        layer: its id.
        wanted: places from the top, by ids of layers, its own among them; the others lie as they are wanted.
        tree: of the project.
    """
    node = tree.findLayer(layer)
    if node is None:
        return
    group = node.parent()
    rows = {each.layerId(): i for i, each in enumerate(group.children()) if isinstance(each, QgsLayerTreeLayer)}
    above = [rows[name] for name, place in wanted.items() if name in rows and place < wanted[layer]]
    below = [rows[name] for name, place in wanted.items() if name in rows and place > wanted[layer]]
    lowest, highest = max(above, default=-1), min(below, default=len(rows))
    if not lowest < rows[layer] < highest:
        group.insertChildNode(lowest + 1 if above else highest, node.clone())
        group.removeChildNode(node)


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
