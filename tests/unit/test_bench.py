"""The frame of the measurements: what a row says, and which measurements there are."""

import json
from pathlib import Path

import pytest

from bench.__main__ import names, run
from bench.result import Row, report

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("row", "ratio", "ok"),
    [
        (Row("rate", 60, "requests/s", must=0.5, aim=0.7, reference=100), 0.6, True),
        (Row("rate", 40, "requests/s", must=0.5, aim=0.7, reference=100), 0.4, False),
        (Row("cost", 60, "us", must=2.2, aim=1.5, reference=30, lower=True), 2.0, True),
        (Row("cost", 90, "us", must=2.2, aim=1.5, reference=30, lower=True), 3.0, False),
        (Row("alone", 90_000, "events/s", must=80_000, aim=200_000), None, True),
        (Row("alone", 70_000, "events/s", must=80_000, aim=200_000), None, False),
    ],
)
def test_a_row_is_judged_by_its_ratio_or_without_a_reference_by_its_value(
    row: Row, ratio: float | None, ok: bool
) -> None:
    assert (row.ratio, row.ok) == (ratio, ok)


def test_a_measurement_ends_with_one_line_of_json_that_is_right_only_if_all_rows_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = Row("a", 3, "x", must=2, aim=4)
    bad = Row("b", 3.14159, "us", must=1, aim=1, reference=2, lower=True)
    assert not report([good, bad], note="busy")
    line = json.loads(capsys.readouterr().out)
    assert {name: line[name] for name in ("bench", "value", "unit", "reference", "ratio", "must", "aim", "ok")} == {
        "bench": "a",
        "value": 3,
        "unit": "x",
        "reference": None,
        "ratio": None,
        "must": ">= 2",
        "aim": ">= 4",
        "ok": False,
    }
    assert [(row["value"], row["ratio"], row["must"]) for row in line["rows"]] == [(3.142, 1.571, "<= 1")]
    assert line["note"] == "busy"
    assert report([good])


def test_every_measurement_is_in_the_docs_and_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    told = (ROOT / "docs/benchmarks.md").read_text()
    assert names()
    assert [name for name in names() if f"NAME={name}" not in told] == []
    assert run(["nothing"]) == 2
    assert "say which" in capsys.readouterr().err
