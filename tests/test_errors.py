import pytest

from hsi_cd import errors
from hsi_cd.errors import HsiCdError, UnknownNameError, unknown_name

CONCRETE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HsiCdError) and value is not HsiCdError
]


@pytest.mark.parametrize("error", CONCRETE, ids=lambda error: error.__name__)
def test_every_error_is_also_a_builtin(error: type[HsiCdError]) -> None:
    builtin = [base for base in error.__mro__ if base.__module__ == "builtins"]
    assert builtin[0] not in (Exception, BaseException, object)


@pytest.mark.parametrize("error", CONCRETE, ids=lambda error: error.__name__)
def test_a_message_stays_as_it_was_written(error: type[HsiCdError]) -> None:
    # LookupError's child KeyError, for one, would show the message in quotes.
    assert str(error("what was found: what to do")) == "what was found: what to do"


def test_a_wrong_name_lists_the_right_ones_and_suggests_the_nearest() -> None:
    error = unknown_name("dataset", "farmlnd", ["river", "farmland"])
    assert isinstance(error, UnknownNameError)
    assert str(error) == "there is no dataset 'farmlnd': did you mean 'farmland'? known are farmland, river"


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert "did you mean" not in str(unknown_name("dataset", "zzzz", ["river", "farmland"]))
