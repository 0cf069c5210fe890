"""What is drawn of a large pool depends on the seed and on each row alone."""

from pathlib import Path

import pandas as pd
import yaml

from handful import parameters, storage
from handful.pool import drawn
from tasks.validate import main as validate

ROOT = Path(__file__).parents[1]


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


def test_validate_keeps_every_row_of_a_large_pool_and_sums_up_those_drawn(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["pool_rows"], values["validate"]["drift"]["embeddings"] = 20, None
    texts = {"labelled": 8, "unlabelled": 60, "test": 4, "source": 0}
    for name, count in texts.items():
        rows = [
            {"id": f"{name} {n}", "content": f"{name} {n}", "label": "ab"[n % 2], "key": None, "origin": f"row {n}"}
            for n in range(count)
        ]
        table = pd.DataFrame(rows, columns=["id", "content", "label", "key", "origin"]).astype("str")
        table = table.assign(key=pd.Series(None, index=table.index, dtype="str"))
        storage.write_table(table, tmp_path / "ingest" / f"{name}.parquet")
    storage.write_table(table[:0].assign(table=table["origin"]), tmp_path / "ingest" / "set_aside.parquet")
    (tmp_path / "champion").mkdir()
    given = parameters.parse(values, "here")
    validate(given, tmp_path / "ingest", tmp_path / "champion", tmp_path / "rows", tmp_path / "drift.json")
    assert len(storage.read_table(tmp_path / "rows" / "unlabelled.parquet")) == 60
    sizes = storage.read_json(tmp_path / "rows" / "profile.json")["sizes"]
    assert sum(sizes["unlabelled"].values()) == 20
    assert sum(sizes["labelled"].values()) == 8
