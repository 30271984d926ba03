from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import ShardError
from hsi_cd.scene import Shard, parse_shard


@given(data=st.data(), height=st.integers(1, 5000))
def test_shards_cover_each_row_once(data: st.DataObject, height: int) -> None:
    count = data.draw(st.integers(1, min(height, 300)))
    rows = [Shard(number, count).rows(height) for number in range(1, count + 1)]
    assert [row for own in rows for row in range(own.start, own.stop)] == list(range(height))
    assert all(own.start < own.stop for own in rows)


@given(count=st.integers(1, 100), units=st.integers(1, 50), rest=st.integers(0, 63))
def test_shards_of_a_tall_scene_begin_where_bands_of_64_rows_do(count: int, units: int, rest: int) -> None:
    height = 64 * count * units + rest
    sizes = []
    for number in range(1, count + 1):
        rows = Shard(number, count).rows(height)
        assert rows.start % 64 == 0
        sizes.append(rows.stop - rows.start)
    assert max(sizes) - min(sizes) < 128


@pytest.mark.parametrize(("text", "number", "count"), [("1/1", 1, 1), ("3/8", 3, 8), (" 12 / 40 ", 12, 40)])
def test_a_shard_by_its_name(text: str, number: int, count: int) -> None:
    assert parse_shard(text) == Shard(number, count)
    assert parse_shard(str(Shard(number, count))) == Shard(number, count)


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "3", "a/b", "-1/8", "1/8/2", "", "1.5/8", "8/"])
def test_what_names_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ShardError, match=r"as 1/[18] to [18]/[18]"):
        parse_shard(text)


def test_more_shards_than_rows_are_refused() -> None:
    assert [Shard(number, 5).rows(5) for number in (1, 5)] == [slice(0, 1), slice(4, 5)]
    with pytest.raises(ShardError, match="a scene of 5 rows cannot be cut into 6 shards: give at most 5"):
        Shard(1, 6).rows(5)
