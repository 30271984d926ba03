"""Images whose every pixel has a latitude and a longitude, but that lie on no map's grid: swaths.

Their rows and columns follow the flight, so that two dates of one place do not show it in the same pixels, though
their arrays may be of one shape. As pictures they would be compared pixel by pixel, without a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsi_cd.io.variables import Variable

_LATITUDE = ("lat", "latitude", "latitudes", "latitude_vnir", "latitude_swir")
_LONGITUDE = ("lon", "long", "longitude", "longitudes", "longitude_vnir", "longitude_swir")


def swath_reason(variables: Sequence[Variable], shape: tuple[int, int]) -> str:
    """Why an image of this shape is no map, in words; empty where nothing tells a place for each pixel.

    Args:
        variables: all of the file.
        shape: rows and columns of the image.
    """
    found = [_placing(variables, names, shape) for names in (_LATITUDE, _LONGITUDE)]
    if not all(found):
        return ""
    return (
        f"its image lies in the geometry of the swath: {found[0]} and {found[1]} tell a place for each pixel, but "
        "there is no map's grid"
    )


def _placing(variables: Sequence[Variable], names: tuple[str, ...], shape: tuple[int, int]) -> str:
    """The array of the image's shape that is called so; empty where there is none."""
    for variable in variables:
        plain = variable.name.replace(".", "/").rsplit("/", 1)[-1].casefold()
        if plain in names and variable.is_numeric and variable.shape == shape:
            return variable.name
    return ""
