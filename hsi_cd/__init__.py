"""hsi-cd: hyperspectral change detection, from two cubes to a georeferenced change map and its scores."""

__version__ = "0.1.0"
