"""What is drawn of a large pool depends on the seed and on each row alone."""

import pandas as pd

from handful.pool import drawn


def pool(numbers: range) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"row {number}" for number in numbers], "content": [str(number) for number in numbers]})


def test_a_pool_within_the_bound_or_without_one_is_taken_whole() -> None:
    whole = pool(range(50))
    assert drawn(whole, 50, 0) is whole
    assert drawn(whole, None, 0) is whole


def test_so_many_rows_are_drawn_in_the_order_of_the_pool() -> None:
    some = drawn(pool(range(1000)), 100, 0)
    assert len(some) == 100
    assert some["content"].astype(int).is_monotonic_increasing
    assert some.index.tolist() == list(range(100))
    assert set(some["id"]) != set(drawn(pool(range(1000)), 100, 1)["id"])


def test_the_order_of_the_pool_does_not_decide_which_rows_are_drawn() -> None:
    shuffled = pool(range(1000)).sample(frac=1, random_state=0)
    assert set(drawn(shuffled, 100, 0)["id"]) == set(drawn(pool(range(1000)), 100, 0)["id"])


def test_rows_that_are_added_to_a_pool_change_few_of_those_drawn() -> None:
    before, after = (set(drawn(pool(range(rows)), 1000, 0)["id"]) for rows in (10_000, 10_100))
    assert 0 < len(after - before) <= 30
