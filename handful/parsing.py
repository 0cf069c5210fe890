"""From the bytes of a CSV, JSONL or Parquet file to its rows, every value as it stands there."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from handful.errors import DataError

SNIFFED_BYTES = 4096
SHARE_OF_CONTROL_BYTES = 0.3  # a stray NUL in a short text is for validation to quarantine
LONGEST_CELL = 2**31 - 1

# The names of the columns that are there, and the rows as (row number, values by column).
Rows = tuple[list[str], Iterable[tuple[int, dict[str, Any]]]]


def _decode(data: bytes, path: str) -> str:
    """Decode UTF-8, with or without a byte order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is saved as UTF-16 (byte 0). Save it as UTF-8 and run again.")
    head = data[:SNIFFED_BYTES]
    binary = DataError(f"{path} is a binary file, in spite of its name. Export the table as text in UTF-8.")
    if sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head) > len(head) * SHARE_OF_CONTROL_BYTES:
        raise binary
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in head:
            raise binary from None
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at position {error.start} (line {line})"
            f" is wrong ({error.reason}). Save the file as UTF-8 and run again."
        ) from None


def _parse_csv(data: bytes, path: str) -> Rows:
    csv.field_size_limit(LONGEST_CELL)  # a text of 1 MB is for validation to judge
    reader = csv.reader(io.StringIO(_decode(data, path), newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    try:
        for number, record in enumerate(reader, start=1):
            if record:  # [] is a blank line
                _require_width(record, records, reader.line_num, path)
                records.append((number, record))
    except csv.Error as error:
        raise DataError(
            f"{path} is not valid CSV at line {reader.line_num}: {error}. Correct the quotes there."
        ) from None
    names = records[0][1] if records else []
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path} names the column {quoted(repeated)} more than once. Rename one of them.")
    return names, ((number, dict(zip(names, record, strict=True))) for number, record in records[1:])


def _require_width(record: list[str], records: list[tuple[int, list[str]]], line: int, path: str) -> None:
    if records and len(record) != len(records[0][1]):
        raise DataError(
            f"{path} line {line} has {len(record)} values, and its header names {len(records[0][1])} columns."
            " Put values that hold commas between double quotes, or complete the line."
        )


def _parse_jsonl(data: bytes, path: str) -> Rows:
    rows: list[tuple[int, dict[str, Any]]] = []
    # Only \n ends a line: str.splitlines would also cut at characters that may stand inside a JSON string.
    for number, line in enumerate(_decode(data, path).split("\n"), start=1):
        if line.strip():
            rows.append((number, _parse_json_line(line, f"{path} line {number}")))
    return list(dict.fromkeys(name for _, values in rows for name in values)), rows


def _parse_json_line(line: str, place: str) -> dict[str, Any]:
    try:
        # Numbers stay the strings they are in the file.
        values = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not valid JSON: {error}. Each line must be one object.") from None
    if not isinstance(values, dict):
        raise DataError(f'{place} is no JSON object. Write each row as {{"text": …, "label": …}}.')
    return values


def _parse_parquet(data: bytes, path: str) -> Rows:
    """A batch of rows at a time: as Python objects, a million rows at once take gigabytes."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    return file.schema_arrow.names, _parquet_rows(file, path)


def _parquet_rows(file: pq.ParquetFile, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        yield from _numbered(file.iter_batches())
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> DataError:
    return DataError(f"{path} is not a readable Parquet file ({error}). Write it again.")


PARSERS: dict[str, Callable[[bytes, str], Rows]] = {
    ".csv": _parse_csv,
    ".jsonl": _parse_jsonl,
    ".parquet": _parse_parquet,
}


def from_arrow(table: pa.Table) -> Rows:
    """Give an Arrow table's rows, counted from 1."""
    return table.column_names, _numbered(table.to_batches())


def _numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, dict[str, Any]]]:
    return enumerate((values for batch in batches for values in batch.to_pylist()), start=1)


def quoted(names: Iterable[str]) -> str:
    """List names for an error text."""
    return ", ".join(repr(name) for name in names)
