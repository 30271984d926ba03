r"""The pictures of docs/qgis.md: the dialog of an algorithm, and QGIS's window after it has run.

    xvfb-run -a -s "-screen 0 1280x860x24" qgis --nologo --noversioncheck \
        --profiles-path FOLDER --code scripts/docs/qgis_pictures.py

QGIS runs this file when its window is open; hsi-cd qgis install --profile FOLDER/profiles/default went before. Two
GeoTIFFs of two dates and the folder for the pictures are named by HSI_CD_T1, HSI_CD_T2 and HSI_CD_PICTURES.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QDockWidget, QTreeView, QWidget
from qgis.utils import iface

PATIENCE = 600
"""Seconds that the algorithm may take."""


def wait(milliseconds: int) -> None:
    """Let QGIS go on."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()


def save(widget: QWidget, path: Path) -> None:
    """A picture of a window, as small as PNG makes it."""
    widget.grab().toImage().convertToFormat(QImage.Format_RGB888).save(str(path), "PNG", 0)


def take(t1: str, t2: str, folder: Path) -> None:
    """Both pictures."""
    window: Any = iface.mainWindow()
    window.resize(1280, 820)
    project = QgsProject.instance()
    for path, name in ((t1, "before"), (t2, "after")):
        project.addMapLayer(QgsRasterLayer(path, name))
    before, after = (project.mapLayersByName(name)[0] for name in ("before", "after"))
    processing = importlib.import_module("processing")
    work = tempfile.mkdtemp()
    outputs = {"OUTPUT": f"{work}/change.tif", "SCORE": f"{work}/score.tif"}
    dialog = processing.createAlgorithmDialog("hsi_cd:detect", {"T1": before.id(), "T2": after.id(), **outputs})
    dialog.resize(900, 700)
    dialog.show()
    wait(3000)
    save(dialog, folder / "qgis-dialog.png")
    dialog.runAlgorithm()
    for _ in range(2 * PATIENCE):
        wait(500)
        if dialog.wasExecuted():
            break
    if not Path(outputs["OUTPUT"]).is_file() or not project.mapLayersByName("Change map"):
        raise RuntimeError(f"the algorithm did not run, or its map is not loaded: {sorted(dialog.results())}")
    dialog.close()
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() in ("Layers", "ProcessingToolbox"))
    window.resizeDocks([window.findChild(QDockWidget, "Layers")], [400], Qt.Horizontal)  # names are seen whole
    unfold(window)
    iface.zoomFull()
    wait(6000)
    save(window, folder / "qgis-map.png")


def unfold(window: QWidget) -> None:
    """Show the plugin's algorithms in the toolbox."""
    tree = window.findChild(QDockWidget, "ProcessingToolbox").findChild(QTreeView)
    rows = [tree.model().index(row, 0) for row in range(tree.model().rowCount())]
    for index in rows:
        if index.data() == "hsi-cd":
            tree.expandRecursively(index)
            tree.scrollTo(index, QTreeView.PositionAtTop)


def main() -> None:
    """Take the pictures and leave QGIS."""
    try:
        take(os.environ["HSI_CD_T1"], os.environ["HSI_CD_T2"], Path(os.environ["HSI_CD_PICTURES"]))
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)  # without questions about the project that is not saved


QTimer.singleShot(3000, main)
