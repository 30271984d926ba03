from pathlib import Path

import pytest

from hsi_cd.io import memory


def test_no_more_is_free_than_there_is() -> None:
    assert 0 <= memory.free_memory() < 2**50


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("1000000", "400000", 600000), ("1000", "5000", 0), ("max", "5000", 16 << 10), ("10000000", "0", 16 << 10)],
)
def test_a_container_has_what_is_left_of_its_limit(monkeypatch, limit: str, used: str, expected: int) -> None:
    texts = {
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:      16 kB\n",
        "/sys/fs/cgroup/memory.max": limit,
        "/sys/fs/cgroup/memory.current": used,
    }
    if limit == "1000000":
        texts["/proc/meminfo"] = "MemAvailable: 99999 kB\n"

    def read(path: Path, encoding: str) -> str:
        if str(path) not in texts:
            raise FileNotFoundError(path)
        return texts[str(path)]

    monkeypatch.setattr(Path, "read_text", read)
    assert memory.free_memory() == expected
