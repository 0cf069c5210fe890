"""The page of a night on which nothing had changed, with real git and DVC."""

import shutil
from pathlib import Path

from test_flows_course import Seen
from toy_graph import SHORT, commit, toy_repository

from flows.course import pass_night
from flows.night_summary import page
from flows.telling import Hands

META = "    meta:\n      champion"
ANNOUNCED = META.replace("      champion", "      announce: {report: '${out}/evaluate/report.md'}\n      champion")


def test_an_unchanged_night_names_the_champion_and_where_the_last_versions_results_lie(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(META, ANNOUNCED))
    commit(root)
    pages, seen = [], Seen()
    hands = Hands(seen.run, lambda *known: pages.append(page(*known)), seen.said.append)
    for date in ("2026-11-22", "2026-11-23"):
        pass_night(root, date, hands)
    kept = root / ".prefect" / "results" / "2026-11-22"
    assert "v1.0.0 is at prod since " in pages[1]
    assert "| accuracy | 0.8437 |" in pages[1]
    assert f"Report: `{kept / 'report.md'}`" in pages[1]
    shutil.rmtree(kept)
    pass_night(root, "2026-11-24", hands)
    assert "This clone has kept none." in pages[2]
