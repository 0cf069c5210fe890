"""Ingest: every raw row lands in exactly one table, and none that nearly repeats a test row reaches training."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.parameters.tables import Ingest
from handful.text import content
from tasks.ingest import ingest

ROOT = Path(__file__).parent.parent
COLUMNS = ["id", "content", "label", "key", "origin"]


def raw_table(rows: list[tuple[str | None, str | None]], name: str) -> pd.DataFrame:
    table = pd.DataFrame(
        [(text, label, None, f"{name} row {number}") for number, (text, label) in enumerate(rows, start=2)],
        columns=["content", "label", "key", "origin"],
        dtype=object,
    )
    return table.astype({"label": "str", "key": "str", "origin": "str"})


def wanted(shots: int | None = None, share: float | None = None, similarity: float = 0.9) -> Ingest:
    file = {"kind": "file", "path": "t.csv"}
    return Ingest.model_validate(
        {
            "training": file,
            "unlabelled": {"kind": "none"},
            "test": file if share is None else {"kind": "split", "share": share},
            "source": {"kind": "none"},
            "columns": {"content": "text", "label": "label", "key": None},
            "shots": shots,
            "near_duplicate_similarity": similarity,
        }
    )


def run(
    training: list[tuple[str | None, str | None]],
    test: list[tuple[str | None, str | None]] | None,
    pool: list[tuple[str | None, str | None]] | None = None,
    source: list[tuple[str | None, str | None]] | None = None,
    seed: int = 1,
    **choices: Any,
) -> dict[str, pd.DataFrame]:
    return ingest(
        raw_table(training, "train.csv"),
        raw_table(pool or [], "pool.csv"),
        None if test is None else raw_table(test, "test.csv"),
        raw_table(source or [], "source.csv"),
        wanted(**choices),
        content,
        seed,
    )


def numbered(classes: int, rows: int) -> list[tuple[str | None, str | None]]:
    """Texts that are far from each other."""
    random = np.random.default_rng(0)
    return [
        ("".join(random.choice(list("abcdefghijklmnopqrstuvwxyz "), 30)), f"class {label}")
        for label in range(classes)
        for _ in range(rows)
    ]


TEST: list[tuple[str | None, str | None]] = [
    ("where is my parcel right now", "delivery"),
    ("cancel everything", "cancel"),
]


def test_rows_without_a_label_join_the_pool() -> None:
    tables = run([("hello there", "greeting"), ("what about this", None)], TEST, [("from the pool", "a label to hide")])
    assert tables["labelled"]["content"].tolist() == ["hello there"]
    assert sorted(tables["unlabelled"]["content"]) == ["from the pool", "what about this"]
    assert tables["unlabelled"]["label"].isna().all()


def test_shots_draw_that_many_rows_per_class_and_hide_the_labels_of_the_rest() -> None:
    tables = run([*numbered(3, 10), ("the only one of its kind", "rare")], TEST, shots=4)
    counts = {"class 0": 4, "class 1": 4, "class 2": 4, "rare": 1}
    assert tables["labelled"]["label"].value_counts().to_dict() == counts
    assert len(tables["unlabelled"]) == 18
    assert tables["unlabelled"]["label"].isna().all()


def test_another_seed_draws_other_rows_and_the_same_seed_the_same() -> None:
    first, again, other = (
        run(numbered(2, 20), TEST, shots=5, seed=seed)["labelled"]["id"].tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("choices", [{"shots": 3}, {"share": 0.3}, {"share": 0.3, "shots": 3}])
def test_the_order_of_the_rows_does_not_decide_which_are_drawn(choices: dict[str, Any]) -> None:
    rows = numbered(3, 12)
    test = None if "share" in choices else TEST
    tables, reversed_tables = run(rows, test, **choices), run(rows[::-1], test, **choices)
    for name in ("labelled", "test", "unlabelled"):
        assert set(tables[name]["content"]) == set(reversed_tables[name]["content"])


def test_a_repeated_row_is_drawn_only_after_all_different_ones() -> None:
    rows = [("same words again", "a")] * 10 + [
        ("something quite other", "a"),
        (None, "a"),
        ("a third thing entirely", "a"),
    ]
    assert run(rows, TEST, shots=3)["labelled"]["content"].nunique() == 3


def test_a_split_takes_the_share_of_each_class_and_never_its_last_row() -> None:
    tables = run([*numbered(2, 10), ("once only", "rare")], None, share=0.3)
    assert tables["test"]["label"].value_counts().to_dict() == {"class 0": 3, "class 1": 3}
    assert tables["labelled"]["label"].value_counts().to_dict() == {"class 0": 7, "class 1": 7, "rare": 1}


def test_near_duplicates_of_test_rows_leave_every_table_that_training_sees() -> None:
    near = ("Where is my parcel right now?!", "delivery")
    far: tuple[str | None, str | None] = ("good morning to all of you", "greeting")
    unheard: tuple[str | None, str | None] = ("quite something else", None)
    foreign: tuple[str | None, str | None] = ("what a lovely morning", "greeting")
    tables = run([near, far], TEST, [near, unheard], [near, foreign])
    for name, kept in (("labelled", far), ("unlabelled", unheard), ("source", foreign)):
        assert tables[name]["content"].tolist() == [kept[0]]
    aside = tables["set_aside"]
    assert aside["table"].tolist() == ["labelled", "unlabelled", "source"]
    assert set(aside["reason"]) == {"nearly repeats test.csv row 2"}
    assert aside["id"].is_unique


def test_a_row_of_the_pool_that_has_its_label_by_now_leaves_the_pool() -> None:
    asked: tuple[str | None, str | None] = ("may I pay by card", None)
    other: tuple[str | None, str | None] = ("quite something else", None)
    tables = run(
        [("where is it", "delivery"), (asked[0], "payment"), (None, "payment")], TEST, [asked, other, (None, None)]
    )
    assert tables["labelled"]["content"].dropna().tolist() == ["where is it", asked[0]]
    assert tables["unlabelled"]["content"].dropna().tolist() == [other[0]]
    aside = tables["set_aside"]
    assert aside[["content", "table", "origin", "reason"]].to_numpy().tolist() == [
        [asked[0], "unlabelled", "pool.csv row 2", "has its label in train.csv row 3"]
    ]


def test_a_row_of_the_source_that_nearly_repeats_a_labelled_row_leaves_the_source() -> None:
    training: list[tuple[str | None, str | None]] = [("I would like to pay by card", "payment"), (None, "payment")]
    near, other = ("i would like to PAY by card!", "payment"), ("quite something else", "payment")
    tables = run(training, TEST, source=[training[0], near, other, (None, "payment")])
    assert tables["source"]["content"].dropna().tolist() == [other[0]]
    assert tables["set_aside"][["content", "table", "origin", "reason"]].to_numpy().tolist() == [
        [training[0][0], "source", "source.csv row 2", "nearly repeats train.csv row 2"],
        [near[0], "source", "source.csv row 3", "nearly repeats train.csv row 2"],
    ]


def test_a_row_of_the_source_may_repeat_a_row_whose_label_is_hidden() -> None:
    rows = numbered(2, 6)
    tables = run(rows, TEST, source=rows, shots=2)
    assert set(tables["source"]["content"]) == set(tables["unlabelled"]["content"])


def test_near_duplicates_are_set_aside_before_the_shots_are_drawn() -> None:
    rows = [*numbered(1, 8)]
    tables = run(rows, rows[:5], shots=3)
    assert set(tables["labelled"]["content"]) == {text for text, _ in rows[5:]}


def test_ids_are_fingerprints_and_repeats_are_numbered_in_reading_order() -> None:
    tables = run([("twice", "a"), ("once", "a"), ("twice", "a"), (None, "a"), (None, "b")], TEST)
    twice, missing = content.fingerprint("twice"), content.fingerprint("")
    ids = [twice, content.fingerprint("once"), f"{twice}-1", missing, f"{missing}-1"]
    assert tables["labelled"]["id"].tolist() == ids


TEXT = st.one_of(
    st.none(), st.sampled_from(["card", "my card", "my card!", "refund", "退款", "a\0b"]), st.text(max_size=8)
)
ROW = st.tuples(TEXT, st.one_of(st.none(), st.sampled_from(["a", "b", "c"])))
ROWS = st.lists(ROW, max_size=12)


@settings(deadline=None)
@given(ROWS, ROWS, ROWS, ROWS, st.one_of(st.none(), st.integers(2, 4)), st.one_of(st.none(), st.floats(0.1, 0.9)))
def test_every_row_that_goes_in_comes_out_once(
    training: Any, pool: Any, test: Any, source: Any, shots: int | None, share: float | None
) -> None:
    tables = run(training, test if share is None else None, pool, source, shots=shots, share=share)
    given = {"train.csv": training, "pool.csv": pool, "test.csv": test if share is None else [], "source.csv": source}
    origins = Counter(f"{name} row {number + 2}" for name, rows in given.items() for number in range(len(rows)))
    assert Counter(origin for table in tables.values() for origin in table["origin"]) == origins
    for table in tables.values():
        assert table["id"].is_unique
        for origin, text in zip(table["origin"], table["content"], strict=True):
            name, number = origin.split(" row ")
            assert text == given[name][int(number) - 2][0]
    assert tables["labelled"]["label"].notna().all()


def command(parameters_file: Path, raw: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = [str(parameters_file), str(raw), str(output), *options]
    return subprocess.run(
        [sys.executable, "-m", "tasks.ingest", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def written(tmp_path: Path, **changes: Any) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["ingest"] = {**wanted().model_dump(), **changes}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return tmp_path / "params.yaml"


def test_the_stage_writes_the_same_bytes_every_time(tmp_path: Path) -> None:
    rows = "".join(f"{text},{label}\n" for text, label in numbered(2, 6))
    (tmp_path / "t.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    file = written(tmp_path, test={"kind": "split", "share": 0.5})
    for name in ("first", "second"):
        assert command(file, tmp_path, tmp_path / name).returncode == 0
    names = {path.name for path in (tmp_path / "first").iterdir()}
    assert names == {f"{name}.parquet" for name in ("labelled", "unlabelled", "test", "source", "set_aside")} | {
        "ingest.json"
    }
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert pd.read_parquet(tmp_path / "first/source.parquet").columns.tolist() == COLUMNS
    rows_written = json.loads((tmp_path / "first/ingest.json").read_text())["rows"]
    assert rows_written == {"labelled": 6, "unlabelled": 0, "test": 6, "source": 0, "set_aside": 0}


def test_a_wrong_file_ends_the_stage_with_one_paragraph_and_debug_shows_the_traceback(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    file = written(tmp_path)
    plain, debug = command(file, tmp_path, tmp_path / "out"), command(file, tmp_path, tmp_path / "out", "--debug")
    assert plain.returncode == 1
    assert "t.csv is a binary file" in plain.stderr
    assert "Traceback" not in plain.stderr + plain.stdout
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr
    assert not (tmp_path / "out").exists()
