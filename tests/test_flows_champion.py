"""Nights with the project's own stages: the champion of one is what the next is judged by."""

from pathlib import Path

import pytest
from conftest import small_repository
from test_flows_course import night_of
from toy_graph import commit

from flows.launch import StageError
from flows.outcome import KEPT, PROMOTED, UNCHANGED
from handful import registry

ROWS = "data/raw/small/train.csv"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return small_repository(tmp_path / "clone")


def change_rows(clone: Path, lines: list[str]) -> None:
    (clone / ROWS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    commit(clone)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_new_rows_are_judged_beside_the_champion_and_a_class_that_vanished_stops_the_night(
    clone: Path,
) -> None:
    first, _ = night_of(clone, "2026-11-22")
    assert (first.kind, first.verdict.decision) == (PROMOTED, "first")
    assert night_of(clone, "2026-11-23")[0].kind == UNCHANGED
    lines = (clone / ROWS).read_text(encoding="utf-8").splitlines()
    change_rows(clone, [*lines, '"the courier never came with my parcel",late_parcel'])
    second, _ = night_of(clone, "2026-11-24")
    assert second.kind in (PROMOTED, KEPT)
    assert second.verdict.champion == "v1.0.0"
    champion = registry.read(clone).champion
    change_rows(clone, [line for line in lines if not line.endswith("wrong_invoice")])
    with pytest.raises(StageError, match=r"champion(.|\n)*classes without a row now: wrong_invoice"):
        night_of(clone, "2026-11-25")
    assert registry.read(clone).champion == champion
