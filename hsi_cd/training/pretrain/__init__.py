"""Encoders that learn from a scene without labels, for a training to start from."""
