"""hsi-cd methods."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from hsi_cd.detectors.registry import METHODS

Capture = pytest.CaptureFixture[str]


def test_all_methods_with_what_they_do_and_where_they_come_from(cli: Any, capsys: Capture) -> None:
    assert cli("methods") == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {}
    for above, below in itertools.pairwise(lines):
        if re.match(r"\S+ {2,}\S", above):
            name, summary = above.split(maxsplit=1)
            listed[name] = (summary, below.strip())
    assert listed == {name: (method.summary, method.reference) for name, method in METHODS.items()}
    assert all(re.search(r"\b(19|20)\d\d\b", reference) for _, reference in listed.values())


@pytest.mark.parametrize("name", METHODS)
def test_one_method_with_its_options_and_how_to_run_it(cli: Any, name: str, capsys: Capture) -> None:
    assert cli("methods", name) == 0
    out = capsys.readouterr().out
    method = METHODS[name]
    assert out.startswith(f"{name}: {method.title}\n")
    lines = re.findall(r"^  option (\w+) = (\S*?)(?:  \((.*)\))?$", out, re.MULTILINE)
    assert {option: default for option, default, _ in lines} == {k: str(v) for k, v in method.options.items()}
    assert all(limits == str(method.ranges.get(option, "")) for option, _, limits in lines)
    command = "train" if method.needs_labels else "detect"
    assert f"Try: hsi-cd {command} --method {name} " in out.splitlines()[-1]


def test_an_unknown_method(cli: Any, capsys: Capture) -> None:
    assert cli("methods", "irmda") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "there is no method 'irmda': did you mean 'irmad'?" in err
