"""Where a result comes from: what is written comes back, what is damaged is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.runs import file_identity, read_provenance
from hsi_cd.runs.provenance import Provenance, Session

texts = st.text(max_size=8)
sessions = st.builds(
    Session,
    command=st.lists(texts, max_size=3).map(tuple),
    started=texts,
    host=texts,
    hardware=st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none(), max_size=2),
    versions=st.dictionaries(texts, texts, max_size=2),
    commits=st.dictionaries(texts, texts, max_size=2),
    inputs=st.dictionaries(texts, st.tuples(st.integers(0), st.integers(0)) | st.just(()), max_size=2),
    seconds=st.none() | st.floats(0, 1e9),
    outcome=st.none() | texts,
)


@given(st.lists(sessions, max_size=3))
def test_what_is_written_comes_back(made: list[Session]) -> None:
    provenance = Provenance(tuple(made))
    assert Provenance.from_dict(json.loads(json.dumps(provenance.to_dict()))) == provenance


def test_the_time_of_all_sessions() -> None:
    one, two, killed = (Session(command=(), started="", host="", seconds=s) for s in (1.5, 2.0, None))
    assert Provenance((one, two)).seconds == 3.5
    assert Provenance((one, killed)).seconds is None and Provenance().seconds is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged"),
        ("[]", "expected an object"),
        ('{"version": 2, "sessions": []}', "of version 2"),
        ('{"version": 1}', "provenance.sessions is missing"),
        ('{"version": 1, "sessions": {}}', "sessions is .* expected a valid tuple"),
        ('{"version": 1, "sessions": [{}]}', r"sessions\[0\]\.command is missing"),
        ('{"version": 1, "sessions": [], "session": 1}', "did you mean 'sessions'"),
    ],
)
def test_damage_is_one_line_with_its_path(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_provenance(tmp_path)
    assert str(tmp_path / "provenance.json") in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_provenance(tmp_path)
    assert file_identity(tmp_path / "a") == ()
    (tmp_path / "a").write_bytes(b"123")
    assert file_identity(tmp_path / "a")[:2] == (3, (tmp_path / "a").stat().st_mtime_ns)
