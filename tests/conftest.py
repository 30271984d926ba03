"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real files beside the repository; tests that need them are skipped where they are absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no real files: {_SHARED} is absent")
    return _SHARED
