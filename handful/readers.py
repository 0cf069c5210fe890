"""Reading raw tables: CSV, JSONL, Parquet, image folders, Hugging Face data sets, scikit-learn's digits."""

import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
from fsspec.implementations.local import LocalFileSystem

from handful.errors import DataError, MissingExtraError
from handful.parameters import tables
from handful.parsing import PARSERS, Rows, from_arrow, quoted

COLUMNS = ["content", "label", "key", "origin"]
CONTENT_TYPES: dict[str, type] = {"text": str, "image": bytes}
NAMES_SHOWN = 20


def read(
    table: tables.OptionalTable, raw: Path, columns: tables.Columns, label_needed: bool, modality: str
) -> pd.DataFrame:
    """Read one raw table with the columns content, label, key, origin; missing values are null.

    Paths are relative to `raw` unless they are absolute or URIs. `label_needed`: the label column must be there.

    Raises:
        DataError: the file is missing, unreadable or has no rows, or a column is missing; says which and where.
    """
    match table:
        case tables.NoTable():
            return _frame([])
        case tables.FileTable():
            place, (names, rows) = table.path, _read_file(table.path, raw)
        case tables.ImageFolderTable() | tables.DigitsTable() if CONTENT_TYPES[modality] is not bytes:
            raise DataError(
                f"The table of kind {table.kind} holds images, and modality is {modality}. Set it to image."
            )
        case tables.ImageFolderTable():
            return _frame(_read_image_folder(table.path, raw))
        case tables.HuggingFaceTable():
            place, (names, rows) = f"{table.name} {table.split}", _read_hugging_face(table, raw, columns)
        case tables.DigitsTable():
            return _frame(_read_digits())
    _require_columns(names, columns, label_needed, place)
    return _frame(_as_rows(place, rows, columns, CONTENT_TYPES[modality]))


def _frame(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=COLUMNS, dtype=object)
    return table.astype({"label": "str", "key": "str", "origin": "str"})


def _require_columns(names: list[str], columns: tables.Columns, label_needed: bool, place: str) -> None:
    needed = [columns.content, *([columns.label] if label_needed else []), *([columns.key] if columns.key else [])]
    missing = [name for name in needed if name not in names]
    if not missing:
        return
    hint = (
        " Its columns seem to be separated by something else than commas: save it with commas."
        if (len(names) == 1 and any(mark in names[0] for mark in ";\t|"))
        else ""
    )
    raise DataError(
        f"{place} has no column {quoted(missing)}. The columns that are there: {quoted(names)}.{hint}"
        " Name the right ones in params.yaml under ingest.columns, or correct the file."
    )


def _as_rows(
    place: str, rows: Iterable[tuple[int, dict[str, Any]]], columns: tables.Columns, content_type: type
) -> list[tuple[Any, str | None, str | None, str]]:
    table = []
    for number, values in rows:
        origin = f"{place} row {number}"
        content = _content(values.get(columns.content), content_type, f"{origin}, column {columns.content!r}")
        label, key = (_name(values.get(name), origin) if name else None for name in (columns.label, columns.key))
        table.append((content, label, key, origin))
    if not table:
        raise DataError(
            f"{place} has no rows. Put rows into it; to leave the unlabelled or source table empty, set it to"
            " {kind: none} in params.yaml under ingest."
        )
    return table


def _content(value: Any, content_type: type, origin: str) -> Any:
    if content_type is str and not isinstance(value, bytes):
        return _string(value, origin)
    if isinstance(value, dict) and "bytes" in value:  # an image as Hugging Face stores it: {bytes, path}
        value = value["bytes"]
    if value is None or isinstance(value, content_type):
        return value or None
    raise DataError(
        f"{origin} holds {type(value).__name__}, and this modality needs {content_type.__name__}."
        " Set modality in params.yaml to what the data is, or name another column under ingest.columns."
    )


def _name(value: Any, origin: str) -> str | None:
    """Give a label or key: a whole number is one, too, in a column that is of floats because some of it is empty."""
    name = _string(int(value) if isinstance(value, float) and value.is_integer() else value, origin)
    if name and "\0" in name:  # numpy drops it from the end of a string, so that two labels would become one
        raise DataError(f"{origin} holds a NUL in {name!r}. Remove that character from the label or key.")
    return name


def _string(value: Any, origin: str) -> str | None:
    """Give the value as it stands in the file; only an empty one is missing, and what Parquet has for no number."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (dict, list, bytes)):
        raise DataError(f"{origin} holds a {type(value).__name__} where one value must stand. Write it as a string.")
    text = str(value).lower() if isinstance(value, bool) else str(value)  # true, as JSON has it, from Parquet too
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"{origin} holds half a surrogate pair, which is no Unicode text. Correct that value."
        ) from None
    return text


# --- files ----------------------------------------------------------------------------------------


def _read_file(path: str, raw: Path) -> Rows:
    parse = PARSERS.get(Path(path).suffix.lower())
    data = _bytes_of(path, raw)
    if parse is None:
        raise DataError(f"{path} is of no known kind. Save it as one of {', '.join(PARSERS)}, with that ending.")
    if not data:
        raise DataError(f"{path} is empty (0 bytes). Put a header and rows into it, or restore it.")
    return parse(data, path)


def _bytes_of(path: str, raw: Path) -> bytes:
    with _explained(path, raw):
        filesystem, place = fsspec.core.url_to_fs(_locate(path, raw))
        if isinstance(filesystem, LocalFileSystem):
            _require_file(filesystem, filesystem.info(place), path)
        with filesystem.open(place, "rb") as file:
            data: bytes = file.read()
            return data


@contextmanager
def _explained(path: str, raw: Path) -> Iterator[None]:
    """Say of what lies at `path` why it cannot be read, and what to do."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. {_listing(path, raw)} Correct the path in params.yaml.") from None
    except ImportError as error:
        raise DataError(f"{path} cannot be opened: {error}. Install that package and run again.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Check the path and the right to read it.") from None


def _locate(path: str, raw: Path) -> str:
    return path if "://" in path else str(raw / path)


def _listing(path: str, raw: Path) -> str:
    if "://" in path:
        return "Nothing lies at that address."
    folder = (raw / path).parent
    if not folder.is_dir():
        return f"There is no folder {folder} either."
    names = sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"In {folder} there are: {', '.join(names[:NAMES_SHOWN]) or 'no files'}{more}."


# --- folders and data sets --------------------------------------------------------------------------


def _read_image_folder(path: str, raw: Path) -> list[tuple[Any, ...]]:
    """Read every visible file: the first folder is the label; what is no image is for validation to say."""
    with _explained(path, raw):
        filesystem, root = fsspec.core.url_to_fs(_locate(path, raw))
        files = filesystem.find(root, detail=True) if filesystem.isdir(root) else None
    if files is None:
        raise DataError(f"There is no image folder {path}. {_listing(path, raw)} Correct the path in params.yaml.")
    names = {file[len(root.rstrip("/")) + 1 :]: file for file in files}
    visible = sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))
    if not visible:
        raise DataError(f"The image folder {path} holds no files. Put one sub-folder of images per label into it.")
    rows = []
    for name in visible:
        with _explained(f"{path}/{name}", raw):
            _require_file(filesystem, files[names[name]], f"{path}/{name}")
            content = filesystem.cat_file(names[name]) or None
        rows.append((content, name.split("/")[0] if "/" in name else None, None, name))
    return rows


def _require_file(filesystem: Any, details: dict[str, Any], place: str) -> None:
    """Refuse what cannot be read to an end, and what no table could name; links to files are files."""
    if place.encode("utf-8", "replace").decode("utf-8") != place:
        raise DataError(f"The name of the file {place!a} is no UTF-8. Rename it.")
    if details["type"] != "file" and not filesystem.isfile(details["name"]):
        raise DataError(
            f"{place} is no file, but a folder, a link to one or to nothing, a pipe or a device. "
            "Remove it, or put the file itself in its place."
        )


def _read_hugging_face(table: tables.HuggingFaceTable, raw: Path, columns: tables.Columns) -> Rows:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "pipeline") from None
    folder = raw / table.name
    try:
        if (folder / "dataset_dict.json").exists():
            data = datasets.load_from_disk(str(folder))[table.split]
        elif (folder / "dataset_info.json").exists():
            data = datasets.load_from_disk(str(folder))
        else:
            data = datasets.load_dataset(str(folder) if folder.is_dir() else table.name, split=table.split)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The Hugging Face data set {table.name}, split {table.split}, cannot be loaded: {error}."
            " Name a data set on the hub or a local folder, and one of its splits."
        ) from None
    return _from_data_set(data, datasets, columns)


def _from_data_set(data: Any, datasets: Any, columns: tables.Columns) -> Rows:
    for name, feature in data.features.items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(name, datasets.Image(decode=False))
    names, rows = from_arrow(data.with_format("arrow")[:])
    feature = data.features.get(columns.label)
    classes = feature.names if isinstance(feature, datasets.ClassLabel) else None
    return names, ((number, _loaded(values, columns, classes)) for number, values in rows)


def _loaded(values: dict[str, Any], columns: tables.Columns, classes: list[str] | None) -> dict[str, Any]:
    """Give a row with its label by name (-1 stands for none) and its image by bytes."""
    image, label = values.get(columns.content), values.get(columns.label)
    if isinstance(image, dict) and image.get("bytes") is None and image.get("path"):
        values = {**values, columns.content: _image_beside(image["path"])}
    if classes and label is not None:
        values = {**values, columns.label: classes[label] if label >= 0 else None}
    return values


def _image_beside(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"The data set names the image {path}, which cannot be read ({error.strerror}). "
            "Put it back, or save the data set again with its images inside."
        ) from None


def _read_digits() -> list[tuple[bytes, str, None, str]]:
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = []
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True), start=1):
        png = io.BytesIO()
        Image.fromarray((image * (255 / 16)).round().astype("uint8")).save(png, format="PNG")
        rows.append((png.getvalue(), str(label), None, f"scikit-learn digits row {number}"))
    return rows
