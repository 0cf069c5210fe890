"""Raw tables of every kind, and what a person is told when one cannot be read."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from handful import readers
from handful.errors import DataError
from handful.parameters import tables

COLUMNS = tables.Columns(content="text", label="label", key=None)
IMAGES = tables.Columns(content="image", label="label", key=None)


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4), grey).save(file, format="PNG")
    return file.getvalue()


def read_file(path: str, raw: Path, columns: tables.Columns = COLUMNS, modality: str = "text") -> pd.DataFrame:
    return readers.read(tables.FileTable(kind="file", path=path), raw, columns, True, modality)


def rows_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.astype(object).where(table.notna(), None).itertuples(index=False, name=None))


def error_of(path: str, raw: Path, columns: tables.Columns = COLUMNS) -> str:
    with pytest.raises(DataError) as caught:
        read_file(path, raw, columns)
    return str(caught.value)


def test_the_same_table_reads_alike_from_csv_jsonl_and_parquet(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["Grüße", "NA", "您好"], "label": ["a", None, "007"], "row": ["r1", "r2", "r3"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True, force_ascii=False)
    table.to_parquet(tmp_path / "t.parquet")
    columns = tables.Columns(content="text", label="label", key="row")
    read = [
        read_file(f"t.{ending}", tmp_path, columns).drop(columns="origin") for ending in ("csv", "jsonl", "parquet")
    ]
    assert rows_of(read[0]) == [("Grüße", "a", "r1"), ("NA", None, "r2"), ("您好", "007", "r3")]
    for other in read[1:]:
        pd.testing.assert_frame_equal(read[0], other)


def test_truth_values_read_alike_from_jsonl_and_parquet(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["one", "two"], "label": [True, False]})
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    table.to_parquet(tmp_path / "t.parquet")
    for ending in ("jsonl", "parquet"):
        assert read_file(f"t.{ending}", tmp_path)["label"].tolist() == ["true", "false"]


def test_no_number_in_a_column_of_floats_is_missing(tmp_path: Path) -> None:
    numbers = pa.array([1.0, float("nan"), None, 2.5], from_pandas=False)
    pq.write_table(pa.table({"text": list("abcd"), "label": numbers}), tmp_path / "t.parquet")
    assert rows_of(read_file("t.parquet", tmp_path)[["label"]]) == [("1",), (None,), (None,), ("2.5",)]
    content = tables.Columns(content="label", label="text", key=None)
    assert read_file("t.parquet", tmp_path, content)["content"].isna().tolist() == [False, True, True, False]


def test_the_origin_leads_to_the_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"a\nb",x\nc,y\n')
    assert read_file("t.csv", tmp_path)["origin"].tolist() == ["t.csv row 2", "t.csv row 3"]


def test_a_file_may_lie_at_an_absolute_path_or_a_uri(tmp_path: Path) -> None:
    data = b"text,label\nhello,a\n"
    (tmp_path / "t.csv").write_bytes(data)
    with fsspec.open("memory://handful/t.csv", "wb") as file:
        file.write(data)
    for path in (str(tmp_path / "t.csv"), f"file://{tmp_path}/t.csv", "memory://handful/t.csv"):
        assert read_file(path, Path("/nowhere"))["content"].tolist() == ["hello"]


def test_a_missing_file_names_the_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("text\n")
    error = error_of("train.csv", tmp_path)
    assert "train.csv" in error
    assert "training.csv" in error


def test_a_missing_folder_or_address_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "sub") in error_of("sub/train.csv", tmp_path)
    assert "memory://nothing/here.csv" in error_of("memory://nothing/here.csv", tmp_path)
    assert "notaprotocol" in error_of("notaprotocol://x/y.csv", tmp_path)


def test_a_missing_column_names_the_columns_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("utterance,intent\nhello,a\n")
    error = error_of("t.csv", tmp_path)
    for name in ("t.csv", "'text'", "'label'", "'utterance'", "'intent'", "ingest.columns"):
        assert name in error


def test_a_missing_key_column_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nhello,a\n")
    assert "'number'" in error_of("t.csv", tmp_path, tables.Columns(content="text", label="label", key="number"))


def test_a_file_with_semicolons_is_told_to_use_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text;label\nhello;a\n")
    assert "commas" in error_of("t.csv", tmp_path)


@pytest.mark.parametrize("data", [b"text,label\n", b"text,label", b"text,label\n\n\n"])
def test_a_header_without_rows_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assert "no rows" in error_of("t.csv", tmp_path)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "is empty (0 bytes)" in error_of(name, tmp_path)


def test_an_unknown_ending_names_those_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    error = error_of("t.xlsx", tmp_path)
    for ending in (".csv", ".jsonl", ".parquet"):
        assert ending in error


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_where_a_table_must_be_is_an_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "t.csv")
    assert "t.csv is no file, but a folder" in error_of("t.csv", tmp_path)


def test_half_a_surrogate_pair_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "\\ud83d", "label": "x"}\n')
    assert "t.jsonl row 2" in error_of("t.jsonl", tmp_path)


def test_a_label_that_holds_a_nul_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "x\\u0000"}\n')
    error = error_of("t.jsonl", tmp_path)
    assert "t.jsonl row 2" in error
    assert "Remove that character" in error


def test_a_nested_value_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": ["a"], "label": "x"}\n')
    assert "t.jsonl row 1" in error_of("t.jsonl", tmp_path)


def test_the_unlabelled_table_needs_no_label_column(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text("text\nhello\n")
    table = readers.read(tables.FileTable(kind="file", path="pool.csv"), tmp_path, COLUMNS, False, "text")
    assert rows_of(table) == [("hello", None, None, "pool.csv row 2")]


def test_no_table_is_an_empty_table(tmp_path: Path) -> None:
    table = readers.read(tables.NoTable(kind="none"), tmp_path, COLUMNS, True, "text")
    assert table.columns.tolist() == ["content", "label", "key", "origin"]
    assert table.empty


def test_whole_numbers_are_the_same_labels_beside_empty_ones(tmp_path: Path) -> None:
    texts = ["a", "b", "c"]
    pd.DataFrame({"text": texts, "label": [1, 2, None]}).to_parquet(tmp_path / "gaps.parquet")  # as floats
    pd.DataFrame({"text": texts, "label": [1, 2, 2.5]}).to_parquet(tmp_path / "floats.parquet")
    assert rows_of(read_file("gaps.parquet", tmp_path)[["label"]]) == [("1",), ("2",), (None,)]
    assert rows_of(read_file("floats.parquet", tmp_path)[["label"]]) == [("1",), ("2",), ("2.5",)]


def test_images_in_parquet_may_be_bytes_or_structs_of_bytes_and_path(tmp_path: Path) -> None:
    images = [png(10), png(200)]
    pd.DataFrame({"image": images, "label": ["a", "b"]}).to_parquet(tmp_path / "bytes.parquet")
    structs = [{"bytes": image, "path": "x.png"} for image in images]
    pd.DataFrame({"image": structs, "label": ["a", "b"]}).to_parquet(tmp_path / "structs.parquet")
    for name in ("bytes.parquet", "structs.parquet"):
        assert read_file(name, tmp_path, IMAGES, "image")["content"].tolist() == images


def test_content_of_the_other_modality_is_an_error(tmp_path: Path) -> None:
    pd.DataFrame({"image": [png(1)], "text": ["a"], "label": ["a"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="needs bytes"):
        read_file("t.parquet", tmp_path, COLUMNS, "image")
    with pytest.raises(DataError, match="needs str"):
        read_file("t.parquet", tmp_path, IMAGES, "text")
    with pytest.raises(DataError, match="Set it to image"):
        readers.read(tables.DigitsTable(kind="scikit_learn_digits"), tmp_path, COLUMNS, True, "text")


def test_an_image_folder_gives_labels_by_sub_folder_and_keeps_every_visible_file(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/more/2.png", "dog/3.png", "loose.png", ".hidden/4.png", "dog/.DS_Store"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(png(7))
    (tmp_path / "images/dog/broken.png").touch()
    table = readers.read(tables.ImageFolderTable(kind="image_folder", path="images"), tmp_path, IMAGES, True, "image")
    assert rows_of(table[["label", "origin"]]) == [
        ("cat", "cat/1.png"),
        ("cat", "cat/more/2.png"),
        ("dog", "dog/3.png"),
        ("dog", "dog/broken.png"),
        (None, "loose.png"),
    ]
    assert [value == png(7) for value in table["content"]] == [True, True, True, False, True]


@pytest.mark.parametrize("exists", [True, False])
def test_a_missing_or_empty_image_folder_is_an_error(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="images"):
        readers.read(tables.ImageFolderTable(kind="image_folder", path="images"), tmp_path, IMAGES, True, "image")


def read_folder(path: str, raw: Path) -> pd.DataFrame:
    return readers.read(tables.ImageFolderTable(kind="image_folder", path=path), raw, IMAGES, True, "image")


@pytest.mark.parametrize("kind", ["linked folder", "broken link", "pipe"])
def test_what_is_no_file_in_an_image_folder_is_refused_by_its_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    (tmp_path / "images/cat/1.png").write_bytes(png(7))
    place = tmp_path / "images/cat/strange"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path if kind == "linked folder" else tmp_path / "gone")
    with pytest.raises(DataError, match="images/cat/strange is no file"):
        read_folder("images", tmp_path)


def test_a_link_to_an_image_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    (tmp_path / "1.png").write_bytes(png(7))
    (tmp_path / "images/cat/linked.png").symlink_to(tmp_path / "1.png")
    assert read_folder("images", tmp_path)["content"].tolist() == [png(7)]


def test_a_file_name_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    (tmp_path / "images/cat" / os.fsdecode(b"\xff.png")).write_bytes(png(7))
    with pytest.raises(DataError, match=r"\\udcff\.png' is no UTF-8"):
        read_folder("images", tmp_path)


@pytest.mark.parametrize(("address", "said"), [("notaprotocol://x", "cannot be read"), ("oss://x/y", "Install that")])
def test_an_image_folder_at_an_address_that_cannot_be_opened_is_named(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(DataError, match=f"{address} .*{said}"):
        read_folder(address, tmp_path)


def test_the_digits_are_png_images_with_their_numbers_as_labels(tmp_path: Path) -> None:
    table = readers.read(tables.DigitsTable(kind="scikit_learn_digits"), tmp_path, IMAGES, True, "image")
    assert len(table) == 1797
    assert sorted(table["label"].unique()) == list("0123456789")
    first = np.asarray(Image.open(io.BytesIO(table["content"][0])))
    assert first.shape == (8, 8)
    assert first.max() == 239  # 15 of 16


@pytest.fixture
def quiet_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    return datasets


def test_a_saved_hugging_face_data_set_gives_labels_by_name(tmp_path: Path, quiet_data_sets: Any) -> None:
    features = quiet_data_sets.Features(
        text=quiet_data_sets.Value("string"), label=quiet_data_sets.ClassLabel(names=["no", "yes"])
    )
    data = quiet_data_sets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    data.save_to_disk(tmp_path / "one")
    quiet_data_sets.DatasetDict(train=data).save_to_disk(tmp_path / "many")
    for name in ("one", "many"):
        table = tables.HuggingFaceTable(kind="hugging_face", name=name, split="train")
        assert rows_of(readers.read(table, tmp_path, COLUMNS, True, "text"))[:3] == [
            ("a", "yes", None, f"{name} train row 1"),
            ("b", "no", None, f"{name} train row 2"),
            ("c", None, None, f"{name} train row 3"),
        ]


def test_a_folder_of_files_reads_as_a_hugging_face_data_set(tmp_path: Path, quiet_data_sets: Any) -> None:
    for number, label in enumerate(["cat", "dog"]):
        (tmp_path / "pets/train" / label).mkdir(parents=True)
        (tmp_path / "pets/train" / label / "1.png").write_bytes(png(number))
    table = tables.HuggingFaceTable(kind="hugging_face", name="pets", split="train")
    read = readers.read(table, tmp_path, IMAGES, True, "image")
    assert dict(zip(read["label"], read["content"], strict=True)) == {"cat": png(0), "dog": png(1)}


def test_an_image_that_a_data_set_names_and_that_is_gone_is_named(tmp_path: Path, quiet_data_sets: Any) -> None:
    features = quiet_data_sets.Features(image=quiet_data_sets.Image(), label=quiet_data_sets.Value("string"))
    rows = {"image": [{"path": str(tmp_path / "gone.png"), "bytes": None}], "label": ["cat"]}
    (tmp_path / "d").mkdir()
    pq.write_table(quiet_data_sets.Dataset.from_dict(rows, features=features).data.table, tmp_path / "d/train.parquet")
    table = tables.HuggingFaceTable(kind="hugging_face", name="d", split="train")
    with pytest.raises(DataError, match=r"gone\.png, which cannot be read"):
        readers.read(table, tmp_path, IMAGES, True, "image")


def test_an_unknown_split_of_a_data_set_is_an_error(tmp_path: Path, quiet_data_sets: Any) -> None:
    quiet_data_sets.DatasetDict(train=quiet_data_sets.Dataset.from_dict({"text": ["a"]})).save_to_disk(tmp_path / "d")
    with pytest.raises(DataError, match="split held_out"):
        readers.read(
            tables.HuggingFaceTable(kind="hugging_face", name="d", split="held_out"),
            tmp_path,
            COLUMNS,
            True,
            "text",
        )
