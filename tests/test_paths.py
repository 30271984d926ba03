"""Names that no file can have are refused where they come in, on the command line and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hsi_cd as hc
from hsi_cd.errors import ConfigError
from hsi_cd.paths import as_path
from hsi_cd.reporting.figures import save_figure
from hsi_cd.runs.identity import file_identity, is_same_file

REFUSED = {"": "is empty", "a\0b.tif": "holds a zero byte", "x" * 256: "at most 255 bytes", "ab/" * 1400: "4095"}


@pytest.mark.parametrize(("name", "message"), REFUSED.items(), ids=["empty", "zero byte", "name", "path"])
def test_names_that_no_file_can_have(
    cli: Any, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    """An empty one is that of a shell's variable that is not set: it is not the current folder."""
    with pytest.raises(ConfigError, match=message):
        as_path(name)
    with pytest.raises(ConfigError, match=message):
        hc.open_pair(name, name)
    for words in (["table", name], ["info", name], ["simulate", name], ["config", "--output", name]):
        assert cli(*words) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1 and "unexpected" not in said


def test_the_longest_names(tmp_path: Path) -> None:
    """Drafts and what may lie beside a file have longer names, which must not be asked for."""
    from matplotlib.figure import Figure

    image = tmp_path / ("x" * 251 + ".png")
    save_figure(Figure(figsize=(0.1, 0.1)), image)
    before = file_identity(image)
    assert before and is_same_file(image, before)
    image.write_bytes(b"another")
    assert not is_same_file(image, before)


def test_a_url_of_a_file_is_its_path() -> None:
    assert (
        as_path("file:///data/a%20b%23c.tif")
        == as_path("FILE://localhost/data/a%20b%23c.tif")
        == Path("/data/a b#c.tif")
    )
    assert as_path("file:a.tif") == Path("file:a.tif")
    for name in ("file://host/a.tif", "file://", "file:///a%00b"):
        with pytest.raises(ConfigError, match="names no file of this machine: expected file:///folder/name"):
            as_path(name)
