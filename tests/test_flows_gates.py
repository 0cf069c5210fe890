"""What the page of a night says of the gates."""

import json
from pathlib import Path

from toy_graph import PROJECT, toy_repository

from flows.gates import named, said
from flows.graph import read_stages
from flows.night import Night

GRAPH = """stages:
  check:
    cmd: 'true'
    meta:
      gates:
        Rows let in: {file: rows.json, inside: tables, columns: [name, rows_in]}
        Drift: {file: drift.json, inside: checks, columns: [name, observed, success]}
  choose:
    cmd: 'true'
    meta: {gates: {Offered: {file: offers.json, columns: [name, used, reason]}}}
"""
FILES = {
    "rows.json": {"tables": {"labelled": {"rows_in": 1200, "accepted": 3}}, "classes": ["a"]},
    "drift.json": {"checks": [], "problem": None},
    "offers.json": {"pool": {"used": False, "reason": "it fell"}, "source": {"used": True, "reason": "0.1 | 0.2"}},
}


def test_each_gate_with_something_to_say_is_a_table_of_its_records(tmp_path: Path) -> None:
    night = Night(tmp_path, "2026-11-22")
    toy_repository(night.folder, GRAPH)
    for name, content in FILES.items():
        (night.folder / name).write_text(json.dumps(content))
    assert list(said(night, named(read_stages(night.folder)), None)) == [
        "## Rows let in",
        "| name | rows in |\n| --- | --- |\n| labelled | 1,200 |",
        "## Offered",
        "| name | used | reason |\n| --- | --- | --- |\n| pool | no | it fell |\n| source | yes | 0.1 \\| 0.2 |",
    ]


def test_the_projects_gates_are_in_outputs_of_the_stages_that_name_them() -> None:
    gates = {stage.name: ([gate.file for gate in stage.gates.values()], stage.outs) for stage in read_stages(PROJECT)}
    named = [(file, outs) for files, outs in gates.values() for file in files]
    assert len(named) == 3
    assert all(any(Path(file).is_relative_to(out) for out in outs) for file, outs in named)
