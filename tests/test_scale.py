"""The pools of the benchmark of sizes: distinct rows, of real texts, that grow by adding."""

from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks import scale
from handful.errors import DataError

ROOT = Path(__file__).parents[1]


def test_a_pool_has_distinct_rows_of_words_of_the_texts_and_grows_by_adding(tmp_path: Path) -> None:
    scale.prepare(ROOT / "params.yaml", tmp_path / "small", 1000, seed=1)
    scale.prepare(ROOT / "params.yaml", tmp_path / "large", 1500, seed=1)
    small, large = (pd.read_parquet(tmp_path / name / "raw" / scale.POOL)["text"] for name in ("small", "large"))
    assert large.is_unique
    assert small.tolist() == large[:1000].tolist()
    given = pd.concat([pd.read_csv(ROOT / f"data/raw/support/{name}.csv") for name in ("train", "unlabelled")])
    known = {word for text in given["text"] for word in text.split()}
    assert {word for text in small for word in text.split()} <= known
    values = yaml.safe_load((tmp_path / "small" / "params.yaml").read_text(encoding="utf-8"))
    assert values["ingest"]["unlabelled"]["path"] == scale.POOL


def test_texts_that_cannot_make_so_many_rows_are_refused() -> None:
    with pytest.raises(DataError, match="2 texts only 8 others"):
        list(islice(scale.recombined(["a b c", "d e f"], seed=0), 9))


def test_a_stage_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    scale.prepare(ROOT / "params.yaml", tmp_path, 500, seed=0)
    (measured,) = scale.run(tmp_path, ["ingest"])
    assert len(pd.read_parquet(tmp_path / "data" / "ingest" / "unlabelled.parquet")) == 500
    assert measured.stage == "ingest"
    assert 0 < measured.processor_seconds < 60
    assert measured.peak_rss_bytes > 50e6


def test_a_stage_that_is_none_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        scale.main(["--stages", "ingest,nope", "--work", str(tmp_path / "work")])
    assert "--stages: nope: not in dvc.yaml, which has ingest, validate" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
