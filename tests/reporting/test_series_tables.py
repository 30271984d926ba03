"""What a series calls changed, in every format: the numbers, and the sentence on what counts are."""

from __future__ import annotations

import csv
import io

import pytest

from hsi_cd.errors import UnknownNameError
from hsi_cd.evaluation import BIASED, SeriesAreas
from hsi_cd.evaluation.interval_areas import ENDS, INTERVAL, IntervalArea, NamedArea
from hsi_cd.reporting.series_tables import series_table

FOUND = SeriesAreas(
    (
        IntervalArea("2019-06-01", "2020-06-01", INTERVAL, 2.5, 1234, 40000, 111.06, 3600.0),
        IntervalArea("2019-06-01", "2021-06-01", ENDS, 3.5, 0, 0, 0.0, 0.0),
    ),
    (NamedArea("came back", 77, 6.93),),
    "ha",
)


@pytest.mark.parametrize("kind", ["text", "markdown", "html", "latex"])
def test_people_read_numbers_and_what_they_are(kind: str) -> None:
    text = series_table(FOUND, format=kind)
    assert text.count(BIASED.split(":")[0].replace("'", "&#39;" if "&#39;" in text else "'")) == 2
    for word in ("1,234", "3.08", "111.06", "undefined", "came back", "77"):
        assert word in text


def test_programs_read_them_in_full() -> None:
    first, second, third = csv.DictReader(io.StringIO(series_table(FOUND, format="csv")))
    assert float(first["share"]) == 1234 / 40000 and first["threshold"] == "2.5" and first["note"] == BIASED
    assert second["share"] == "" and second["comparison"] == "first to last" and second["note"] == BIASED
    assert third["from"] == "" and third["changed_pixels"] == "77" and float(third["changed_area"]) == 6.93
    told = FOUND.to_dict()
    assert told["note"] == BIASED and told["intervals"][0]["share"] == 1234 / 40000


def test_other_formats_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="format"):
        series_table(FOUND, format="xls")
