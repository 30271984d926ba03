"""One thread while it lasts, whatever was loaded when; then as before."""

import subprocess
import sys

from threadpoolctl import threadpool_info, threadpool_limits

from hsi_cd.prepare.single_threaded import single_threaded

LATER = """
from threadpoolctl import threadpool_info
from hsi_cd.prepare.single_threaded import single_threaded

def loaded():
    return [each for each in threadpool_info() if each["user_api"] == "blas"]

with single_threaded("blas"):
    before = len(loaded())
import scipy.linalg
with single_threaded("blas"):
    assert len(loaded()) > before and {each["num_threads"] for each in loaded()} == {1}
"""


def test_it_lasts_as_long_as_the_context() -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with single_threaded("blas"), single_threaded("blas"):
            assert threads() == {1}
        assert threads() == {2}


def test_a_library_that_was_loaded_later_is_one_of_them() -> None:
    done = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
