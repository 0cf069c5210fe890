"""Nights with the project's own stages: the champion of one is what the next is judged by."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import small_repository
from test_flows_course import night_of
from toy_graph import commit, toy_repository

from flows import champion, commands
from flows.commands import dvc, git
from flows.graph import read_stages
from flows.launch import StageError
from flows.night import NightError
from flows.outcome import KEPT, PROMOTED, UNCHANGED
from handful import registry

LOST = """stages:
  make:
    cmd: cp raw.txt student.txt
    deps: [raw.txt]
    outs: [student.txt]
    meta: {champion: {folder: data/champion, takes: {student: student.txt}}}
"""
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
    before = registry.read(clone).champion
    change_rows(clone, [line for line in lines if not line.endswith("wrong_invoice")])
    with pytest.raises(StageError, match=r"champion(.|\n)*classes without a row now: wrong_invoice"):
        night_of(clone, "2026-11-25")
    assert registry.read(clone).champion == before


def test_a_champion_whose_data_are_lost_stops_the_night_and_the_advice_leads_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.0, 0.0))
    root = toy_repository(tmp_path / "clone", LOST)
    dvc(root, "repro", "--quiet")
    commit(root)
    version = registry.register(root, git(root, "rev-parse", "HEAD").strip())
    registry.promote(root, None)
    shutil.rmtree(root / ".dvc" / "cache")
    with pytest.raises(NightError, match=r"Copy \.dvc/cache") as stopped:
        champion.fill(root, read_stages(root), version, print)
    [advice] = re.findall("gto deprecate .*", str(stopped.value))
    subprocess.run([Path(sys.executable).with_name("gto"), *advice.split()[1:]], cwd=root, check=True)
    assert registry.read(root).champion is None
