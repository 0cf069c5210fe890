"""The measurements that the rules judge."""

import pandas as pd

from handful import rules


def test_classes_are_those_that_came_in_with_the_rows_that_were_accepted() -> None:
    given = pd.DataFrame({"label": ["b", "a", "b", None], "origin": ["r1", "r2", "r3", "r4"]}).astype("str")
    classes = rules.measure_classes(given, given.iloc[:0], given.iloc[:1])
    assert classes[["label", "rows"]].to_numpy().tolist() == [["a", 0], ["b", 1]]
    assert "r1" in classes["shown"][1]


def test_spellings_count_labels_that_case_and_white_space_alone_tell_apart() -> None:
    given = pd.DataFrame({"label": ["Late  order", "late order ", "late-order"], "origin": ["1", "2", "3"]})
    assert sorted(rules.measure_classes(given, given.iloc[:0], given)["spellings"]) == [1, 2, 2]


def test_spellings_count_labels_of_which_unicode_has_two_forms() -> None:
    given = pd.DataFrame({"label": ["caf\u00e9", "cafe\u0301", "cafe"], "origin": ["1", "2", "3"]})
    assert sorted(rules.measure_classes(given, given.iloc[:0], given)["spellings"]) == [1, 2, 2]


def test_the_share_quarantined_of_an_empty_table_is_nothing() -> None:
    assert rules.measure_table(0, 0, {}, 0)["share_quarantined"].tolist() == [0.0]
    assert rules.measure_table(4, 1, {"empty text": 3}, 0)["share_quarantined"].tolist() == [0.75]
