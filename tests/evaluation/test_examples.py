"""The examples in the docstrings run."""

import doctest
import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        ("hsi_cd.evaluation.counts", 1),
        ("hsi_cd.evaluation.scores", 11),
        ("hsi_cd.evaluation.kind_confusion", 1),
        ("hsi_cd.evaluation.kind_scores", 7),
        ("hsi_cd.evaluation.continuous", 4),
        ("hsi_cd.evaluation.baselines", 2),
        ("hsi_cd.evaluation.intervals", 4),
        ("hsi_cd.evaluation.significance", 3),
        ("hsi_cd.reporting.captions", 1),
    ],
)
def test_examples(module, functions):
    loaded = importlib.import_module(module)
    with_examples = [test for test in doctest.DocTestFinder().find(loaded) if test.examples]
    assert len(with_examples) == functions
    outcome = doctest.testmod(loaded)
    assert outcome.failed == 0


@pytest.mark.slow
def test_counting_needs_no_matplotlib_and_no_scikit_learn():
    code = (
        "import sys, hsi_cd.evaluation; print([m for m in ('matplotlib', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
