"""A farmed landscape at two dates, from formulas: which piece of ground lies where.

The land is cut into blocks (a Voronoi partition of a jittered lattice) with roads between them; a river winds
through; each block is cut into parcels along its own direction; small houses stand in villages. Between the dates
whole parcels change their crop, and irregular patches and small objects appear on the fields.

All is drawn on a grid finer than the pixels (``SUBPIXELS`` to a side), so that pixels on borders are mixed, and
``MARGIN`` pixels beyond the scene's edges, so that no pixel knows where the scene ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.datasets.simulated.materials import Material

SUBPIXELS = 3
"""Sub-pixels to a pixel's side. Odd, so that one of them lies in the pixel's middle."""

MARGIN = 6
"""Pixels drawn beyond each edge of the scene."""

_FIELDS = ("vegetation", "dry vegetation", "soil")  # families that grow, or lie bare, on a parcel
_PATCH_SHARE, _OBJECT_SHARE = 0.15, 0.04  # of the changed area; parcels make up the rest
_STRIPS = 32  # parcels a block can have along each of its axes
_ROWS_AT_ONCE = 256  # sub-pixel rows that are computed together: bounds the memory for temporaries

Floats = NDArray[np.float64]
SegmentMap = NDArray[np.int32]


@dataclass(frozen=True)
class Landscape:
    """The ground at two dates, as pieces of one material each.

    Attributes:
        before: int32 ``((rows + 2 MARGIN) SUBPIXELS, (cols + 2 MARGIN) SUBPIXELS)``: segments on the first date.
        after: the same on the second date; what changed has segments of its own.
        material: int64 ``(segments,)``: index of each segment's material.
        truth: uint8 ``(rows, cols)``: 1 where the material that covers most of the pixel differs, else 0.
    """

    before: SegmentMap
    after: SegmentMap
    material: NDArray[np.int64]
    truth: NDArray[np.uint8]


@dataclass
class _Painter:
    """The second date while it is being painted: a map, the material of its segments, and what may be painted."""

    after: SegmentMap
    material: list[int]
    fields: NDArray[np.bool_]  # per sub-pixel: on a parcel, and not painted yet

    def paint(self, where: tuple[slice, slice], mask: NDArray[np.bool_], material: int) -> int:
        """Give the free field sub-pixels under ``mask`` that hold another material to a new segment; how many."""
        hit = mask & self.fields[where]
        old, inverse = np.unique(self.after[where][hit], return_inverse=True)
        differs = np.array([self.material[segment] != material for segment in old], dtype=bool)
        hit[hit] = differs[inverse]
        self.after[where][hit] = len(self.material)
        self.material.append(material)
        self.fields[where][hit] = False
        return int(np.count_nonzero(hit))


def make_landscape(
    shape: tuple[int, int],
    *,
    materials: Sequence[Material],
    changed: float,
    layout_seed: np.random.SeedSequence,
    change_seed: np.random.SeedSequence,
    pure: bool = False,
) -> Landscape:
    """Draw the ground at both dates.

    Args:
        shape: ``(rows, cols)`` of the scene in pixels.
        materials: the materials to lay out; at least one each of vegetation, soil, water and concrete.
        changed: share of the pixels that change, 0-1. Reached to about a small parcel.
        layout_seed: seed of the first date.
        change_seed: seed of what changes: another one changes other parcels of the same landscape.
        pure: give every pixel to the one segment it mostly holds, so that no pixel is mixed.

    Returns:
        The landscape. Takes about 80 bytes a pixel, whatever the number of bands.
    """
    rng = np.random.default_rng(layout_seed)
    families = [m.family for m in materials]
    keys, parcel_keys, block_count = _draw_keys(shape, rng)
    used = np.zeros(int(keys.max()) + 1, dtype=bool)
    used[keys.ravel()] = True
    compact = np.cumsum(used, dtype=np.int32) - 1
    before: SegmentMap = compact[keys].astype(np.int32, copy=False)
    material = _materials_of_keys(np.flatnonzero(used), parcel_keys, block_count, families, rng)
    is_parcel = np.flatnonzero(used) < parcel_keys
    after, material = _change(shape, before, material, is_parcel, families, changed, change_seed)
    changes = _majority_material(before, material) != _majority_material(after, material)
    if pure:
        before, whole = _majority_segments(before, material), _majority_segments(after, material)
        # An unchanged pixel keeps its very segment: of two alike, another one may have come to cover most of it.
        after = np.where(changes.repeat(SUBPIXELS, axis=0).repeat(SUBPIXELS, axis=1), whole, before)
    inner = slice(MARGIN, -MARGIN)
    return Landscape(before=before, after=after, material=material, truth=changes[inner, inner].astype(np.uint8))


def _draw_keys(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.int64], int, int]:
    """A number for every piece of ground, at each sub-pixel; the first number that is no parcel; the blocks."""
    rows, cols = shape
    size = float(np.clip(min(rows, cols) / 3.4, 8.0, 60.0))  # a block's width, pixels
    down, across = (int((n + 2 * MARGIN) / size) + 4 for n in shape)
    count = down * across
    lattice = np.stack(np.meshgrid(np.arange(down), np.arange(across), indexing="ij"), axis=-1).reshape(-1, 2)
    origin = -MARGIN - 1.5 * size
    centres = origin + size * (lattice + 0.5 + rng.uniform(-0.36, 0.36, (count, 2)))
    angles = rng.uniform(0, np.pi) + rng.normal(0, 0.25, count)
    widths = size * rng.uniform(0.16, 0.32, count)
    lengths = size * rng.uniform(0.45, 1.0, count)
    bricks = rng.uniform(0, 1, (count, _STRIPS))
    warps = rng.uniform(0, 2 * np.pi, 4)
    bends = rng.uniform(0, 2 * np.pi, 2)
    river = cols * rng.uniform(0.25, 0.75)
    villages = rng.permutation(count)[: max(1, round(count / 9))]
    stands = rng.uniform(size=(count, _STRIPS, _STRIPS)) < 0.7
    parcel_keys = count * _STRIPS**2
    road, water, houses = parcel_keys, parcel_keys + 1, parcel_keys + 2

    def keys_at(y: Floats, x: Floats) -> NDArray[np.int64]:
        # A slight warp bends the straight borders, as ditches and tracks are bent.
        y = y + 1.2 * np.sin(x / 17.0 + warps[0]) + 0.5 * np.sin(x / 6.1 + warps[1])
        x = x + 1.2 * np.sin(y / 19.0 + warps[2]) + 0.5 * np.sin(y / 7.3 + warps[3])
        block, to_border = _nearest_block(y, x, centres, origin, size, (down, across))
        dy, dx = y - centres[block, 0], x - centres[block, 1]
        cos, sin = np.cos(angles[block]), np.sin(angles[block])
        along, aside = cos * dx + sin * dy, cos * dy - sin * dx
        strip = np.clip(np.floor(aside / widths[block]).astype(np.int64) + _STRIPS // 2, 0, _STRIPS - 1)
        place = np.floor(along / lengths[block] + bricks[block, strip]).astype(np.int64) + _STRIPS // 2
        keys = (block * _STRIPS + strip) * _STRIPS + np.clip(place, 0, _STRIPS - 1)
        # Houses: one in most cells of a 5-pixel lattice around the village's centre.
        u, v = along / 5.0 + _STRIPS / 2, aside / 5.0 + _STRIPS / 2
        cell_u, cell_v = (np.clip(np.floor(a).astype(np.int64), 0, _STRIPS - 1) for a in (u, v))
        inside = (np.abs(u - cell_u - 0.5) < 0.28) & (np.abs(v - cell_v - 0.5) < 0.22)
        near = np.isin(block, villages) & (np.hypot(along, aside) < 0.33 * size)
        house = near & inside & stands[block, cell_u, cell_v]
        keys = np.where(house, houses + (block * _STRIPS + cell_u) * _STRIPS + cell_v, keys)
        keys = np.where(to_border < 0.014 * size + 0.15, road, keys)
        middle = river + 0.10 * cols * np.sin(y / 31.0 + bends[0]) + 0.03 * cols * np.sin(y / 11.0 + bends[1])
        return np.where(np.abs(x - middle) < 0.012 * cols + 0.6, water, keys)

    # The sub-pixels' middles, in pixels: pixel i reaches from i - 0.5 to i + 0.5.
    y, x = ((np.arange((n + 2 * MARGIN) * SUBPIXELS) + 0.5) / SUBPIXELS - 0.5 - MARGIN for n in shape)
    starts = range(0, y.size, _ROWS_AT_ONCE)
    parts = [keys_at(*np.broadcast_arrays(y[i : i + _ROWS_AT_ONCE, None], x[None, :])) for i in starts]
    return np.concatenate(parts), parcel_keys, count


def _nearest_block(
    y: Floats, x: Floats, centres: Floats, origin: float, size: float, lattice: tuple[int, int]
) -> tuple[NDArray[np.int64], Floats]:
    """The block whose centre is nearest, and the distance to the border with the second nearest, pixels."""
    down, across = lattice
    row, col = (np.floor((a - origin) / size).astype(np.int64) for a in (y, x))
    best, second = np.full((2, *y.shape), np.inf)
    first = np.zeros(y.shape, dtype=np.int64)
    other = np.zeros(y.shape, dtype=np.int64)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            index = np.clip(row + i, 0, down - 1) * across + np.clip(col + j, 0, across - 1)
            far = (y - centres[index, 0]) ** 2 + (x - centres[index, 1]) ** 2
            # At the lattice's rim clipping offers a block twice: it is not its own neighbour.
            closer = (far < best) & (index != first) | (best == np.inf)
            between = ~closer & (far < second) & (index != first)
            second = np.where(closer, best, np.where(between, far, second))
            other = np.where(closer, first, np.where(between, index, other))
            best, first = np.where(closer, far, best), np.where(closer, index, first)
    gap = np.hypot(*(centres[first] - centres[other]).transpose(2, 0, 1))
    return first, (second - best) / (2 * np.maximum(gap, 1e-9))


def _materials_of_keys(
    keys: NDArray[np.int64], parcel_keys: int, block_count: int, families: list[str], rng: np.random.Generator
) -> NDArray[np.int64]:
    """A material for every segment. Drawn for all numbers there could be, so that none depends on the others."""
    fields = [i for i, family in enumerate(families) if family in _FIELDS]
    drawn = np.asarray(fields)[rng.integers(len(fields), size=parcel_keys)]
    built = [i for i, family in enumerate(families) if family in ("concrete", "roof")]
    houses = np.asarray(built)[rng.integers(len(built), size=block_count * _STRIPS**2)]
    fixed = np.asarray([families.index("concrete"), families.index("water")])
    return np.concatenate([drawn, fixed, houses])[keys]


def _change(
    shape: tuple[int, int],
    before: SegmentMap,
    material: NDArray[np.int64],
    is_parcel: NDArray[np.bool_],
    families: list[str],
    changed: float,
    seed: np.random.SeedSequence,
) -> tuple[SegmentMap, NDArray[np.int64]]:
    """Paint the second date: patches, then objects, then whole parcels until the asked share has changed."""
    patch_seed, object_seed, parcel_seed = seed.spawn(3)
    (rows, cols), fine = shape, SUBPIXELS**2
    target = changed * rows * cols * fine
    painter = _Painter(before.copy(), material.tolist(), is_parcel[before])
    radius = min(rows, cols) / 12
    wet_or_bare = [i for i, f in enumerate(families) if f in ("water", "soil", "dry vegetation")]
    built = [i for i, f in enumerate(families) if f in ("roof", "concrete")]
    done = 0
    for kinds, sizes, share, own_seed in (
        (wet_or_bare, (min(4.0, radius), min(9.0, 2 * radius)), _PATCH_SHARE, patch_seed),
        (built, (min(0.8, radius), min(1.7, 2 * radius)), _OBJECT_SHARE, object_seed),
    ):
        rng = np.random.default_rng(own_seed)
        limit = done + share * target
        smallest = 3.0 * sizes[0] ** 2 * fine
        tries = 0
        # Roads, houses and water are never painted over: some tries paint nothing.
        while done + smallest <= limit and tries < 20 + 4 * share * target / smallest:
            centre = rng.uniform((0, 0), (rows, cols))
            where, mask = _blob(centre, rng.uniform(*sizes), rng, before.shape)
            done += painter.paint(where, mask, int(rng.choice(kinds)))
            tries += 1
    _change_parcels(painter, is_parcel, families, target - done, np.random.default_rng(parcel_seed))
    return painter.after, np.asarray(painter.material, dtype=np.int64)


def _change_parcels(
    painter: _Painter, is_parcel: NDArray[np.bool_], families: list[str], target: float, rng: np.random.Generator
) -> None:
    """Give whole parcels, in random order, another material until ``target`` sub-pixels have changed."""
    edge = MARGIN * SUBPIXELS
    inner = painter.after[edge:-edge, edge:-edge]
    areas = np.bincount(inner.ravel(), minlength=len(painter.material))
    fields = [i for i, family in enumerate(families) if family in _FIELDS]
    others = [i for i, family in enumerate(families) if family not in _FIELDS]
    renamed = np.arange(len(painter.material), dtype=np.int32)
    for segment in rng.permutation(np.flatnonzero(is_parcel)):
        # Most fields change their crop; one in ten is built over or flooded. Drawn for every parcel, taken or
        # not, so that a larger share changes the same parcels and more.
        kinds = others if rng.uniform() < 0.1 else fields
        kind = int(rng.choice([k for k in kinds if k != painter.material[segment]]))
        # A parcel that would overshoot is left for a smaller one.
        if 0 < areas[segment] <= target:
            target -= int(areas[segment])
            renamed[segment] = len(painter.material)
            painter.material.append(kind)
    painter.after = renamed[painter.after]


def _blob(
    centre: Floats, radius: float, rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """An irregular round patch: where on the sub-pixel map, and which sub-pixels there."""
    phases, strengths = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.05, 0.2, 3)
    middle = (centre + 0.5 + MARGIN) * SUBPIXELS
    reach = 1.7 * radius * SUBPIXELS
    rows, cols = (
        slice(max(0, int(m - reach)), min(n, int(m + reach) + 1)) for m, n in zip(middle, shape, strict=True)
    )
    y = np.arange(rows.start, rows.stop)[:, None] + 0.5 - middle[0]
    x = np.arange(cols.start, cols.stop)[None, :] + 0.5 - middle[1]
    angle = np.arctan2(y, x)
    wobble = 1 + sum(
        s * np.cos((k + 2) * angle + p) for k, (s, p) in enumerate(zip(strengths, phases, strict=True))
    )
    return (rows, cols), np.hypot(y, x) < radius * SUBPIXELS * wobble


def _pixels(fine: SegmentMap) -> SegmentMap:
    """The sub-pixels of each pixel in a row: ``(rows, cols, SUBPIXELS ** 2)``."""
    rows, cols = (n // SUBPIXELS for n in fine.shape)
    split = fine.reshape(rows, SUBPIXELS, cols, SUBPIXELS).swapaxes(1, 2)
    return split.reshape(rows, cols, SUBPIXELS**2)


def _majority_material(segments: SegmentMap, material: NDArray[np.int64]) -> NDArray[np.int64]:
    """The material that covers most of each pixel, ``(rows, cols)``; of equal shares, the first material."""
    inside = _pixels(material.astype(np.int32)[segments])
    best = np.zeros(inside.shape[:2], dtype=np.int64)
    most = np.zeros(inside.shape[:2], dtype=np.int64)
    for kind in range(int(material.max()) + 1):
        share = np.count_nonzero(inside == kind, axis=-1)
        best, most = np.where(share > most, kind, best), np.maximum(share, most)
    return best


def _majority_segments(segments: SegmentMap, material: NDArray[np.int64]) -> SegmentMap:
    """The same map with every pixel given whole to one segment of the material that covers most of it."""
    inside = _pixels(segments)
    kind = _majority_material(segments, material)
    chosen = np.argmax(material[inside] == kind[..., None], axis=-1)
    whole = np.take_along_axis(inside, chosen[..., None], axis=-1)[..., 0]
    return whole.repeat(SUBPIXELS, axis=0).repeat(SUBPIXELS, axis=1)
