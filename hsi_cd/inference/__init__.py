"""Scoring a scene with a fitted detector. Knows nothing of labels."""

from hsi_cd.inference.scoring import classify, score_rows, score_scene

__all__ = ["classify", "score_rows", "score_scene"]
