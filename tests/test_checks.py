"""Rules judged by Great Expectations: what holds, which rows break it, and how a failure reads."""

import pandas as pd

from handful.checks import Finding, Rule, examine, failure

BETWEEN = "ExpectColumnValuesToBeBetween"
SMALL = Rule("fatal", BETWEEN, {"column": "size", "min_value": 1, "max_value": 3}, "sizes out of range", "cut them")
MANY = Rule("row", "ExpectTableRowCountToBeBetween", {"min_value": 4}, "too few rows", "add rows")
TABLE = pd.DataFrame({"size": [9, 1, None, 3, 0], "shown": list("abcde")}, index=[7, 7, 7, 7, 7])


def test_the_rows_that_break_a_rule_are_given_by_position_and_nulls_pass() -> None:
    findings = examine({"one": TABLE, "two": TABLE.iloc[1:2]}, {"one": [SMALL, MANY], "two": [SMALL, MANY]})
    assert [(f.table, f.success, f.broken_by, f.observed) for f in findings] == [
        ("one", False, (0, 4), 2),
        ("one", True, (), 5),
        ("two", True, (), 0),
        ("two", False, (), 1),
    ]


def test_an_empty_table_breaks_no_rule_of_rows() -> None:
    (finding,) = examine({"none": TABLE.iloc[:0]}, {"none": [SMALL]})
    assert finding.success
    assert finding.rows == 0


def test_a_failure_shows_what_was_observed_what_is_allowed_and_what_to_do() -> None:
    text = failure([Finding("one", SMALL, False, 5, (0, 4), 2), Finding("one", MANY, False, 3, (), 3)], {"one": TABLE})
    lines = text.splitlines()
    assert [" ".join(line.split()) for line in lines[2:4]] == [
        "one sizes out of range a, e at least 1 and at most 3",
        "one too few rows 3 at least 4",
    ]
    assert lines[4:] == ["What to do: cut them", "What to do: add rows"]


def test_a_failure_of_many_rows_names_the_first_and_counts_the_rest() -> None:
    many = pd.DataFrame({"shown": [f"row{number}." for number in range(15)]})
    text = failure([Finding("one", SMALL, False, 15, tuple(range(15)), 15)], {"one": many})
    assert "row9., and 5 more" in text
    assert "row10." not in text
