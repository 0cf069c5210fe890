"""What a run leaves to look at."""

import base64
from pathlib import Path

import pytest
from toy_graph import toy_repository

from flows.artifacts import key, read_metrics, readable, table, with_pictures
from flows.graph import read_stages
from flows.summary import summary


def test_metrics_become_one_row_per_record_of_numbers_with_the_same_columns() -> None:
    metrics = {
        "rows": 360,
        "classes": ["a", "b"],
        "student": {"accuracy": 0.84371, "intervals": {"accuracy": [0.8, 0.9]}},
        "others": {"small": {"accuracy": 0.5, "size_bytes": 31200}},
    }
    assert list(table(metrics)) == [
        {"part": "student", "accuracy": "0.8437", "size_bytes": "", "rows": ""},
        {"part": "others small", "accuracy": "0.5000", "size_bytes": "31,200", "rows": ""},
        {"part": "all", "accuracy": "", "size_bytes": "", "rows": "360"},
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0.84371, "0.8437"), (12.345, "12.3"), (31200, "31,200"), (31200.0, "31,200"), (0, "0")]
)
def test_numbers_are_written_for_people(number: float, text: str) -> None:
    assert readable(number) == text


def test_small_numbers_in_exponent_form_are_numbers(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    (root / "small.json").write_text('{"loss": 1e-05}')
    assert read_metrics(root, "small.json") == {"loss": 1e-05}


def test_pictures_beside_a_page_are_put_into_it_and_addresses_stay(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "page.md").write_text("![one](a.png) ![two](https://example.org/b.png) [text](a.png)")
    inside = base64.b64encode(b"picture").decode()
    assert with_pictures(tmp_path / "page.md") == (
        f"![one](data:image/png;base64,{inside}) ![two](https://example.org/b.png) [text](a.png)"
    )


def test_any_stage_name_gives_a_key_that_prefect_takes() -> None:
    assert key("pretrain_transfer", "Report.v2") == "pretrain-transfer-report-v2"
    assert key("each@blue", "progress") == "each-blue-progress"


def test_the_summary_names_what_meta_announces(tmp_path: Path) -> None:
    graph = """stages:
  only:
    cmd: 'true'
    metrics: [numbers.yaml: {cache: false}]
    meta:
      announce: {result: out/student}
      headline: {accuracy: student.accuracy, rows: rows, champion: champion.accuracy, verdict: verdict.reason}
"""
    root = toy_repository(tmp_path, graph)
    verdict = "champion: null\nverdict: {reason: The first.}\n"
    (root / "numbers.yaml").write_text(f"rows: 3600\nstudent: {{accuracy: 0.5}}\n{verdict}")
    assert summary(read_stages(root), root).splitlines() == [
        f"result    {root}/out/student",
        "accuracy  0.5000",
        "rows      3,600",
        "champion  –",
        "verdict   The first.",
    ]
