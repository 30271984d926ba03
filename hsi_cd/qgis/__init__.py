"""The commands of hsi-cd in QGIS's Processing toolbox.

This folder is a QGIS plugin: ``hsi-cd qgis install`` copies it into a profile. It runs in QGIS's own Python, where
the package is not, so it imports QGIS and the standard library alone, names its own files relatively, and is
written for Python 3.9, the oldest that QGIS 3.22 and later bring. All that it knows of the package is the command.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """The plugin; ``iface`` is QGIS's window, or None where it runs without one."""
    from .provider import Plugin

    return Plugin()
