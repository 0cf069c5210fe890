"""Tables and documents are written whole or not at all, and the same content gives the same bytes."""

from pathlib import Path

import pandas as pd
import pytest

from handful import storage
from handful.errors import DataError

ROWS = pd.DataFrame({"id": ["a", "b"], "content": ["我的包裹", b"\x89PNG".hex()], "weight": [0.5, 1.0]})


def test_a_table_comes_back_as_it_was_written_without_its_index(tmp_path: Path) -> None:
    storage.write_table(ROWS[::-1], tmp_path / "new" / "rows.parquet")
    pd.testing.assert_frame_equal(
        storage.read_table(tmp_path / "new" / "rows.parquet"), ROWS[::-1].reset_index(drop=True)
    )


def test_bytes_and_missing_values_survive(tmp_path: Path) -> None:
    table = pd.DataFrame({"content": [b"\x00\xff", b""], "label": ["x", None]})
    storage.write_table(table, tmp_path / "rows.parquet")
    read = storage.read_table(tmp_path / "rows.parquet")
    assert read["content"].tolist() == [b"\x00\xff", b""]
    assert read["label"].isna().tolist() == [False, True]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        storage.write_table(ROWS.copy(), tmp_path / f"{name}.parquet")
    storage.write_json({"b": 1, "a": [1.5, "é"]}, tmp_path / "one.json")
    storage.write_json({"a": [1.5, "é"], "b": 1}, tmp_path / "two.json")
    for suffix in ("parquet", "json"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    assert storage.read_json(tmp_path / "one.json") == {"a": [1.5, "é"], "b": 1}


def test_what_fails_half_way_leaves_what_was_there_and_no_rest(tmp_path: Path) -> None:
    storage.write_text("yesterday", tmp_path / "report.md")

    def fail() -> None:
        with storage.replacing(tmp_path / "report.md") as unfinished:
            unfinished.write_text("half of tod", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "yesterday"


def test_a_missing_table_and_a_broken_one_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    for name in ("missing", "broken"):
        with pytest.raises(DataError, match=f"{name}.parquet"):
            storage.read_table(tmp_path / f"{name}.parquet")
