"""QGIS for the tests that need a real one."""

from __future__ import annotations

from typing import Any

import pytest
from qgis_process import Qgis, why_not


@pytest.fixture(scope="session")
def qgis(cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return Qgis(tmp_path_factory.mktemp("qgis"), cli)
