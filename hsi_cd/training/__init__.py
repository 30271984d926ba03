"""The loop, its checkpoints, its randomness, and the run around it."""
