"""Files as bytes: CSV, JSONL and Parquet keep every value as it stands, or say where they are broken."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import DataError
from handful.parsing import PARSERS


def rows_of(data: bytes, ending: str = ".csv") -> list[dict[str, object]]:
    return [values for _, values in PARSERS[ending](data, f"file{ending}")[1]]


def numbers_of(data: bytes, ending: str = ".csv") -> list[int]:
    return [number for number, _ in PARSERS[ending](data, f"file{ending}")[1]]


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=10))
def test_csv_gives_back_every_string_that_was_written(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    assert [(row["text"], row["label"]) for row in rows_of(file.getvalue().encode())] == rows


def test_words_that_look_like_nothing_and_numbers_stay_strings() -> None:
    rows = rows_of(b"text,label\nNA,None\nnull,007\nnan,1e5\nTRUE, x \n")
    assert [list(row.values()) for row in rows] == [["NA", "None"], ["null", "007"], ["nan", "1e5"], ["TRUE", " x "]]


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert rows_of(b"\xef\xbb\xbftext\nhello\n") == [{"text": "hello"}]


def test_a_quoted_line_break_and_a_nul_byte_are_part_of_the_text() -> None:
    assert rows_of(b"text\na\0b") == [{"text": "a\0b"}]
    assert rows_of(b'text,label\n"one\ntwo",a\nx\0y,b\n') == [
        {"text": "one\ntwo", "label": "a"},
        {"text": "x\0y", "label": "b"},
    ]


def test_rows_are_counted_as_a_spreadsheet_does() -> None:
    assert numbers_of(b'text\n"one\ntwo"\n\nthree\n') == [2, 4]


def test_a_text_of_a_megabyte_is_read_whole() -> None:
    assert rows_of(b"text\n" + b"x" * 1_000_000)[0]["text"] == "x" * 1_000_000


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"text,label\na,b\nc\n", ["file.csv line 3", "1 values", "2 columns"]),
        (b"text,label\na,b\nc,d,e\n", ["file.csv line 3", "3 values"]),
        (b'text,label\n"a,b\n', ["file.csv", "line 2", "quotes"]),
        (b"text,text\na,b\n", ["'text'", "more than once"]),
        ("text,label\ngood,a\ncafé,b\n".encode("latin-1"), ["position 21", "line 3", "0xe9", "UTF-8"]),
        ("text,label\ngood,a\n".encode("utf-16"), ["UTF-16", "UTF-8"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(32)) * 40, ["binary"]),
        (bytes(5000), ["binary"]),
    ],
)
def test_a_broken_csv_says_where_and_what(data: bytes, parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        rows_of(data)
    for part in parts:
        assert part in str(caught.value)


def test_jsonl_keeps_numbers_as_written_and_fields_that_are_missing_as_missing() -> None:
    data = b'{"text": "a\\u2028b", "label": 1.50}\n\n{"text": "c"}\n{"text": true, "label": null}\n'
    names, rows = PARSERS[".jsonl"](data, "file.jsonl")
    assert names == ["text", "label"]
    assert list(rows) == [
        (1, {"text": "a\u2028b", "label": "1.50"}),
        (3, {"text": "c"}),
        (4, {"text": True, "label": None}),
    ]


@pytest.mark.parametrize("line", [b'{"text": ', b"[1, 2]", b'"text"', b"[" * 100_000])
def test_a_broken_line_of_jsonl_is_named(line: bytes) -> None:
    with pytest.raises(DataError, match=r"file\.jsonl line 2"):
        rows_of(b'{"text": "a"}\n' + line + b"\n", ".jsonl")


def test_parquet_gives_rows_counted_from_one() -> None:
    data = pd.DataFrame({"text": ["a", None], "label": [3, 4]}).to_parquet()
    names, rows = PARSERS[".parquet"](data, "file.parquet")
    assert names == ["text", "label"]
    assert list(rows) == [(1, {"text": "a", "label": 3}), (2, {"text": None, "label": 4})]


def test_a_truncated_parquet_file_is_an_error() -> None:
    with pytest.raises(DataError, match="not a readable Parquet file"):
        rows_of(pd.DataFrame({"text": ["a"]}).to_parquet()[:-20], ".parquet")
