"""The plugin, and the provider that it brings to the Processing toolbox."""

from __future__ import annotations

import json
from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsApplication, QgsProcessingProvider

from .algorithms import ALGORITHMS
from .command_algorithm import CommandAlgorithm

COMMAND = "HSI_CD_COMMAND"
"""Name of the setting that says another command than the one that the plugin was installed from."""


def installed() -> dict[str, str]:
    """What ``hsi-cd qgis install`` wrote beside this file: ``command`` and ``version``."""
    found: dict[str, str] = json.loads(Path(__file__).with_name("installed.json").read_text(encoding="utf-8"))
    return found


class Plugin:
    """What QGIS loads, and asks to begin and to end."""

    def __init__(self) -> None:
        self._provider: Provider | None = None

    def initProcessing(self) -> None:
        """Enter the provider."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Begin in a window: there is nothing but the provider."""
        self.initProcessing()

    def unload(self) -> None:
        """Take the provider out."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None


class Provider(QgsProcessingProvider):
    """The algorithms of :data:`~.algorithms.ALGORITHMS` in the toolbox, and their setting."""

    def load(self) -> bool:
        """Begin: the setting first, then the algorithms."""
        ProcessingConfig.addSetting(
            Setting(
                self.name(),
                COMMAND,
                "Command hsi-cd (empty: the one this plugin was installed from)",
                "",
                valuetype=Setting.STRING,
                placeholder=installed()["command"],
            )
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """End."""
        ProcessingConfig.removeSetting(COMMAND)

    def loadAlgorithms(self) -> None:
        """Enter one for each entry of the table."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(CommandAlgorithm(algorithm, command))

    def id(self) -> str:
        """What scripts call it, as in ``hsi_cd:detect``."""
        return "hsi_cd"

    def name(self) -> str:
        """What the toolbox calls it."""
        return "hsi-cd"

    def longName(self) -> str:
        """What it is."""
        return "hsi-cd: hyperspectral change detection"

    def versionInfo(self) -> str:
        """The version that the plugin came with."""
        return installed()["version"]

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """What the command writes."""
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """What the command writes."""
        return ["gpkg", "geojson"]

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:
        """What keeps the scene's CRS."""
        return "gpkg"

    def supportsNonFileBasedOutput(self) -> bool:
        """A process of its own writes files."""
        return False


def command() -> tuple[str, str]:
    """The command that algorithms run, and the least version that it may have."""
    facts = installed()
    return ProcessingConfig.getSetting(COMMAND) or facts["command"], facts["version"]
