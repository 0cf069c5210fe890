"""One parent, several, or a label's name: which rows know of a held-out one."""

from hypothesis import given
from hypothesis import strategies as st

from handful import lineage

IDS = st.lists(st.text("0123456789abcdef-", min_size=1, max_size=8), min_size=1, max_size=4)


@given(IDS)
def test_parents_come_back_as_they_were_joined(ids: list[str]) -> None:
    assert lineage.parents(lineage.joined(ids)) == tuple(sorted(set(ids)))


@given(IDS, st.text("0123456789abcdef-", min_size=1, max_size=8))
def test_a_row_descends_from_each_of_its_parents_and_from_no_other(ids: list[str], other: str) -> None:
    column = [lineage.joined(ids)]
    assert all(lineage.descends(column, [one]).tolist() == [True] for one in ids)
    assert lineage.descends(column, [other]).tolist() == [other in ids]


def test_a_part_of_an_id_is_not_that_id() -> None:
    assert lineage.descends(["ab-1;cd", "ab"], ["ab"]).tolist() == [False, True]


def test_rows_of_a_labels_name_or_of_nothing_have_no_parents() -> None:
    assert lineage.parents(lineage.of_label("a;b")) == ()
    assert lineage.descends([lineage.of_label("a;b"), None, float("nan")], ["a", "b", "label:a", "nan"]).sum() == 0
    assert lineage.descends([], ["a"]).shape == (0,)
