"""One huge scene in several parts, each mapped by a process of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hsi_cd.errors import ShardError

_TOGETHER = 64  # rows that are scored together: shards that begin where such a band does score no row twice


@dataclass(frozen=True)
class Shard:
    """A part of a scene: whole rows, side by side with those of the other parts.

    Attributes:
        number: which part, from 1 at the top.
        count: how many parts there are.

    Raises:
        ShardError: the number does not lie in 1 to count.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ShardError(
                f"there is no shard {self}: shards are counted from 1, as 1/{max(self.count, 1)} to "
                f"{max(self.count, 1)}/{max(self.count, 1)}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def rows(self, height: int) -> slice:
        """The rows of a scene that are this shard's; together the shards cover each row once.

        They are as many for each shard as multiples of 64 rows allow, or as whole rows where the scene is low.

        Args:
            height: rows of the scene.

        Raises:
            ShardError: there are more shards than rows.
        """
        if self.count > height:
            raise ShardError(
                f"a scene of {height} rows cannot be cut into {self.count} shards: give at most {height}"
            )
        unit = min(_TOGETHER, height // self.count)
        starts = [number * (height // unit) // self.count * unit for number in (self.number - 1, self.number)]
        return slice(starts[0], height if self.number == self.count else starts[1])


def parse_shard(text: str) -> Shard:
    """The shard that ``text`` names, as ``3/8``.

    Raises:
        ShardError: it names none.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if found is None:
        raise ShardError(f"{text!r} names no shard: give its number and how many there are, as 1/8 to 8/8")
    return Shard(int(found[1]), int(found[2]))
