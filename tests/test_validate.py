"""Validate: rows in = accepted + quarantined, each with its reasons, and unusable tables stop the stage."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from handful.errors import DataError
from handful.parameters.tables import Validate
from handful.profile import profile
from handful.storage import write_json, write_table
from handful.text import content
from tasks.validate import Validated, validate

ROOT = Path(__file__).parent.parent
TABLES = ["labelled", "unlabelled", "test", "source"]
Row = tuple[str | None, str | None] | tuple[str | None, str | None, str | None]

LABELLED: list[Row] = [("hello", "greeting"), ("hi there", "greeting"), ("stop it", "cancel"), ("no more", "cancel")]
TEST: list[Row] = [("good day", "greeting"), ("end this", "cancel")]


NOTHING = pd.DataFrame(columns=["id", "content", "label", "key", "origin", "table", "reason"], dtype="str")


def table_of(rows: list[Row], name: str) -> pd.DataFrame:
    columns = ["id", "content", "label", "key", "origin"]
    lines = [
        (f"{name}{number}", row[0], row[1], row[2] if len(row) == 3 else None, f"{name}.csv row {number}")
        for number, row in enumerate(rows, start=2)
    ]
    return pd.DataFrame(lines, columns=columns, dtype=object).astype({"label": "str", "key": "str", "origin": "str"})


def bounds(**changes: Any) -> Validate:
    values = {"minimum_size": 2, "maximum_size": 1000, "minimum_rows_per_class": 2, "maximum_share_quarantined": 0.9}
    return Validate.model_validate(values | {"drift": {"labels": None, "sizes": None, "embeddings": None}} | changes)


def run(
    labelled: list[Row] = LABELLED,
    unlabelled: list[Row] | None = None,
    test: list[Row] = TEST,
    source: list[Row] | None = None,
    set_aside: pd.DataFrame = NOTHING,
    **changes: Any,
) -> Validated:
    given = {"labelled": labelled, "unlabelled": unlabelled or [], "test": test, "source": source or []}
    tables = {name: table_of(rows, name) for name, rows in given.items()}
    return validate({**tables, "set_aside": set_aside}, bounds(**changes), content)


def reasons_of(validated: Validated) -> dict[str, str]:
    return dict(zip(validated.quarantined["origin"], validated.quarantined["reasons"], strict=True))


def problem_of(validated: Validated) -> str:
    with pytest.raises(DataError) as caught:
        validated.require_usable()
    return str(caught.value)


def test_good_tables_are_accepted_whole() -> None:
    validated = run(unlabelled=[("a pool row", None)], source=[("a source row", "other")])
    validated.require_usable()
    assert validated.quarantined.empty
    assert {name: len(table) for name, table in validated.tables.items()} == {
        "labelled": 4, "unlabelled": 1, "test": 2, "source": 1,
    }  # fmt: skip
    assert validated.report["classes"] == ["cancel", "greeting"]
    assert validated.report["warnings"] == []
    assert all(finding["success"] for finding in validated.report["expectations"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((None, "greeting"), "content is missing"),
        (("  \n", "greeting"), "empty text"),
        (("a\0b", "greeting"), "holds a NUL character"),
        (("x", "greeting"), "shorter than 2 characters"),
        (("x" * 1_000_000, "greeting"), "longer than 1000 characters"),
        (("hello", "greeting"), "exact repeat of an earlier row"),
        (("good day", "greeting"), "content of a test row"),
        (("of no label", None), "label is missing"),
    ],
)
def test_a_bad_labelled_row_is_quarantined_with_its_reason_and_the_others_are_not(row: Row, reason: str) -> None:
    validated = run([*LABELLED, row])
    validated.require_usable()
    assert reasons_of(validated) == {"labelled.csv row 6": reason}
    assert validated.quarantined["content"].isna().tolist() == [row[0] is None]
    assert validated.report["reasons"] == {reason: 1}
    assert validated.report["tables"]["labelled"] == {"rows_in": 5, "accepted": 4, "quarantined": 1}


def test_the_size_is_an_expectation_of_its_own_and_its_reason_is_given_once() -> None:
    validated = run([*LABELLED, ("x" * 1001, "greeting"), (" " * 1000, "greeting")])
    found = [f for f in validated.report["expectations"] if f["arguments"].get("column") in ("size", "unusable")]
    assert [f["unexpected"] for f in found if f["table"] == "labelled"] == [1, 2]
    assert reasons_of(validated) == {
        "labelled.csv row 6": "longer than 1000 characters",
        "labelled.csv row 7": "empty text",
    }


def test_all_rows_of_one_content_with_different_labels_are_quarantined() -> None:
    conflict = "same content with different labels"
    validated = run([*LABELLED, ("which one", "cancel"), ("which one", "greeting")])
    assert reasons_of(validated) == {"labelled.csv row 6": conflict, "labelled.csv row 7": conflict}


def test_a_repeat_of_a_row_that_lacks_its_label_is_kept() -> None:
    assert reasons_of(run([*LABELLED, ("again", None), ("again", "cancel")])) == {
        "labelled.csv row 6": "label is missing"
    }


def test_rows_with_a_key_that_an_earlier_row_has_are_quarantined() -> None:
    keyed: list[Row] = [(*row[:2], key) for row, key in zip(LABELLED, ["k1", "k2", "k1", None], strict=True)]
    validated = run([*keyed, ("and one more", "cancel", None), ("and another", "cancel", None)])
    assert reasons_of(validated) == {"labelled.csv row 4": "key of an earlier row"}


def test_a_key_is_compared_with_those_of_its_own_raw_table_alone() -> None:
    pool = pd.concat(
        [
            table_of([("left over", None, "1"), ("also left over", None, "2")], "train"),
            table_of([("from the pool", None, "1"), ("once more", None, "2"), ("the third", None, "2")], "pool"),
        ],
        ignore_index=True,
    )
    tables = {"labelled": table_of(LABELLED, "train"), "unlabelled": pool, "test": table_of(TEST, "test")}
    validated = validate({**tables, "source": table_of([], "source"), "set_aside": NOTHING}, bounds(), content)
    assert reasons_of(validated) == {"pool.csv row 4": "key of an earlier row"}


def test_a_quarantined_row_takes_its_key_from_no_later_row() -> None:
    keyed: list[Row] = [("  ", "cancel", "k"), ("the same, corrected", "cancel", "k"), ("a third", "cancel", "k")]
    assert reasons_of(run([*LABELLED, *keyed])) == {
        "labelled.csv row 6": "empty text",
        "labelled.csv row 8": "key of an earlier row",
    }


def test_a_test_row_needs_a_label_that_the_labelled_rows_have() -> None:
    validated = run(test=[*TEST, ("surprise", "unheard"), ("nothing", None)])
    assert reasons_of(validated) == {
        "test.csv row 4": "label that no labelled row has",
        "test.csv row 5": "label is missing",
    }


def test_a_row_that_breaks_two_rules_has_both_reasons() -> None:
    assert reasons_of(run([*LABELLED, ("x", None)])) == {
        "labelled.csv row 6": "shorter than 2 characters; label is missing"
    }


def test_pool_rows_need_no_label_but_may_not_repeat_each_other_or_the_test() -> None:
    validated = run(unlabelled=[("pool", None), ("pool", None), ("end this", None)])
    assert reasons_of(validated) == {
        "unlabelled.csv row 3": "exact repeat of an earlier row",
        "unlabelled.csv row 4": "content of a test row",
    }


def test_a_label_that_occurs_once_is_fatal_and_named_with_its_row() -> None:
    problem = problem_of(run([*LABELLED, ("just me", "lonely")]))
    for part in ("classes with too few rows", "'lonely': 1 accepted", "labelled.csv row 6", "at least 2", "What to do"):
        assert part in problem
    assert "'greeting'" not in problem


def test_a_class_that_lost_all_its_rows_is_fatal() -> None:
    assert "'gone': 0 accepted" in problem_of(run([*LABELLED, ("x", "gone"), ("y", "gone")]))


def aside(rows: list[Row]) -> pd.DataFrame:
    return table_of(rows, "train").assign(table="labelled", reason="nearly repeats test.csv row 2")


def test_a_class_whose_rows_were_all_set_aside_is_fatal() -> None:
    gone = aside([("so long", "farewell"), ("goodbye", "farewell")])
    problem = problem_of(run(test=[*TEST, ("so long!", "farewell")], set_aside=gone))
    assert "'farewell': 0 accepted, 2 set aside (first in train.csv row 2)" in problem
    assert "set_aside.parquet" in problem
    assert "no labelled row has" not in problem


def test_rows_of_a_class_that_were_set_aside_stop_nothing_where_others_are_left() -> None:
    run(set_aside=aside([("hey there", "greeting")])).require_usable()


def test_a_table_of_which_every_row_was_set_aside_is_not_called_empty() -> None:
    problem = problem_of(run([], set_aside=aside([("good day", "greeting"), ("end this", "cancel")])))
    assert "0 of 0 rows accepted: 2 more were set aside by ingest" in problem
    assert "it was empty" not in problem


def test_one_class_only_is_fatal() -> None:
    problem = problem_of(run([("hello", "greeting"), ("hi there", "greeting")], test=[("good day", "greeting")]))
    assert "too few classes" in problem
    assert "at least 2" in problem


def test_when_all_rows_are_quarantined_the_reasons_are_counted() -> None:
    problem = problem_of(run([("a", "greeting"), ("b", "cancel"), ("c", "cancel")]))
    assert "0 of 3 rows accepted: shorter than 2 characters (3)" in problem
    assert "quarantined.parquet" in problem


def test_too_large_a_share_of_quarantined_rows_is_fatal_in_any_table() -> None:
    pool: list[Row] = [("x", None), ("y", None), ("pool", None)]
    run(unlabelled=pool, maximum_share_quarantined=0.7).require_usable()
    problem = problem_of(run(unlabelled=pool, maximum_share_quarantined=0.6))
    assert "unlabelled" in problem
    assert "at most 0.6" in problem


def test_an_empty_test_table_is_fatal() -> None:
    assert "0 of 0 rows accepted: it was empty" in problem_of(run(test=[]))


def test_no_labelled_rows_at_all_are_fatal() -> None:
    assert "too few classes" in problem_of(run([]))


def test_all_problems_are_told_at_once() -> None:
    problem = problem_of(run([("just me", "lonely")], test=[]))
    for part in ("classes with too few rows", "too few classes", "no rows left"):
        assert part in problem


def test_labels_that_differ_in_case_or_space_alone_are_reported_by_name_and_nothing_is_stopped() -> None:
    validated = run([*LABELLED, ("one", "Greeting "), ("two", "Greeting ")])
    validated.require_usable()
    assert "Greeting " in validated.report["classes"]
    warned = [f for f in validated.report["expectations"] if f["severity"] == "warning"]
    assert [(f["success"], f["unexpected"]) for f in warned] == [(False, 2)]
    (warning,) = validated.report["warnings"]
    for part in ("'Greeting ': 2 accepted (first in labelled.csv row 6)", "'greeting': 2 accepted"):
        assert part in warning
    assert "cancel" not in warning


def test_a_table_without_a_column_names_the_columns_it_has() -> None:
    tables = {name: table_of(TEST, name) for name in TABLES}
    tables["test"] = tables["test"].drop(columns="key")
    with pytest.raises(DataError, match=r"test +wrong columns +\['content', 'id', 'label', 'origin'\]"):
        validate({**tables, "set_aside": NOTHING}, bounds(), content)


TEXT = st.one_of(st.none(), st.sampled_from(["hello", "Hello", "card", "a\0b", "", "x"]), st.text(max_size=5))
LABEL = st.one_of(st.none(), st.sampled_from(["a", "A", "b", "NA"]))
ROWS = st.lists(st.tuples(TEXT, LABEL, st.one_of(st.none(), st.sampled_from(["k", "l"]))), max_size=8)


# Not shrunk: each of many more runs would take a tenth of a second.
@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(ROWS, ROWS.map(lambda rows: [(text, None, key) for text, _, key in rows]), ROWS, ROWS)
def test_every_row_is_either_accepted_or_quarantined(labelled: Any, unlabelled: Any, test: Any, source: Any) -> None:
    given = {"labelled": labelled, "unlabelled": unlabelled, "test": test, "source": source}
    tables = {name: table_of(rows, name) for name, rows in given.items()}
    validated = validate({**tables, "set_aside": NOTHING}, bounds(), content)
    assert validated.quarantined["reasons"].str.len().gt(0).all()
    for name, table in tables.items():
        quarantined = validated.quarantined[validated.quarantined["table"] == name]
        origins = [*validated.tables[name]["origin"], *quarantined["origin"]]
        assert Counter(origins) == Counter(table["origin"])
        kept = validated.tables[name]
        pd.testing.assert_frame_equal(kept, table[table["id"].isin(kept["id"])].reset_index(drop=True))
        assert len(kept) == validated.report["tables"][name]["accepted"]
        assert not kept["content"].isna().any()
        assert name == "unlabelled" or kept["label"].notna().all()
        assert not kept["content"].duplicated().any()


def command(ingested: Path, output: Path) -> subprocess.CompletedProcess[str]:
    champion = output.with_name("champion")
    champion.mkdir(exist_ok=True)
    folders = [ingested, champion, output / "rows", output / "drift.json"]
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["validate"]["drift"]["embeddings"] = None
    params = output.with_name("params.yaml")
    params.write_text(yaml.safe_dump(values), encoding="utf-8")
    arguments = ["-m", "tasks.validate", str(params), *map(str, folders)]
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_stage_that_fails_leaves_the_quarantined_rows_and_the_report_to_look_at(tmp_path: Path) -> None:
    rows: dict[str, list[Row]] = {
        "labelled": [*LABELLED, (" ", "lonely")],
        "unlabelled": [],
        "test": TEST,
        "source": [],
    }
    for name, table in rows.items():
        write_table(table_of(table, name), tmp_path / f"ingest/{name}.parquet")
    write_table(NOTHING, tmp_path / "ingest/set_aside.parquet")
    ended = command(tmp_path / "ingest", tmp_path / "out")
    assert ended.returncode == 1
    assert "'lonely': 0 accepted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert pd.read_parquet(tmp_path / "out/rows/quarantined.parquet")["reasons"].tolist() == ["empty text"]
    assert json.loads((tmp_path / "out/rows/validation.json").read_text())["problem"] in ended.stderr


def test_a_stage_that_succeeds_writes_every_table_and_nothing_elsewhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    rows: dict[str, list[Row]] = {"labelled": LABELLED, "unlabelled": [], "test": TEST, "source": []}
    for name, table in rows.items():
        write_table(table_of(table, name), tmp_path / f"ingest/{name}.parquet")
    write_table(NOTHING, tmp_path / "ingest/set_aside.parquet")
    ended = command(tmp_path / "ingest", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drift.json", "rows"]
    names = sorted(path.name for path in (tmp_path / "out/rows").iterdir())
    tables = [f"{name}.parquet" for name in [*TABLES, "quarantined"]]
    assert names == sorted([*tables, "validation.json", "profile.json"])
    assert list((tmp_path / "temporary").iterdir()) == []
    assert pd.read_parquet(tmp_path / "out/rows/labelled.parquet")["content"].tolist() == [row[0] for row in LABELLED]


def test_drift_from_the_champions_data_ends_the_stage_with_a_table_and_leaves_its_record(tmp_path: Path) -> None:
    rows: dict[str, list[Row]] = {"labelled": LABELLED, "unlabelled": [], "test": TEST, "source": []}
    for name, table in rows.items():
        write_table(table_of(table, name), tmp_path / f"ingest/{name}.parquet")
    write_table(NOTHING, tmp_path / "ingest/set_aside.parquet")
    tables = {name: table_of(table, name) for name, table in rows.items()}
    tables["labelled"] = table_of([*LABELLED, ("where is it", "parcel"), ("still waiting", "parcel")], "labelled")
    write_json(profile(tables, "text", content, None).model_dump(mode="json"), tmp_path / "champion/profile.json")
    write_json({"version": "v3", "revision": "0" * 40}, tmp_path / "champion/version.json")
    ended = command(tmp_path / "ingest", tmp_path / "out")
    assert ended.returncode == 1
    assert "classes without a row now: parcel" in ended.stderr
    assert "Traceback" not in ended.stderr
    record = json.loads((tmp_path / "out/drift.json").read_text())
    assert (record["reference"], record["problem"] in ended.stderr) == ("v3", True)
    assert [check["name"] for check in record["checks"] if not check["success"]] == ["classes"]


def test_a_missing_table_says_which_stage_makes_it(tmp_path: Path) -> None:
    ended = command(tmp_path, tmp_path / "out")
    assert ended.returncode == 1
    assert "labelled.parquet" in ended.stderr
    assert "dvc repro" in ended.stderr
    assert "Traceback" not in ended.stderr
