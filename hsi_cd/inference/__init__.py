"""Scoring a scene with a fitted detector. Knows nothing of labels."""

from hsi_cd.inference.scoring import change_map, score_rows, score_scene

__all__ = ["change_map", "score_rows", "score_scene"]
