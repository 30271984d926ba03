"""The settings that come with many scenes, as a scene of the catalogue brings its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MANY_SCENES: Mapping[str, Any] = {
    "prepare": {"projection": "none", "score": True},
    "train": {"sampler": "scenes", "max_steps": 500, "validate_every": 2, "save_every": 1},
}
"""What changes where several scenes teach; docs/many-scenes.md says how it was chosen.

A projection of one scene alone means nothing on another, and the bands themselves do. So many labels are passed
over a few times alone, so that the training is validated and saved after fewer passes.
"""
