"""The orchestration reads its graph from dvc.yaml."""

import shlex
from pathlib import Path

import pytest
from dvc.repo import Repo
from toy_graph import PROJECT, toy_repository

from flows.graph import GraphError, read_stages


def test_every_stage_stands_behind_those_it_waits_for(tmp_path: Path) -> None:
    stages = read_stages(toy_repository(tmp_path))
    assert next(stage.name for stage in stages) == "ingest"
    assert {stage.name: set(stage.upstream) for stage in stages} == {
        "ingest": set(),
        "validate": {"ingest"},
        "augment": {"validate"},
        "select": {"validate", "augment"},
        "pretrain_transfer": {"select"},
        "distill": {"pretrain_transfer"},
        "evaluate": {"distill"},
    }
    done: set[str] = set()
    for stage in stages:
        assert set(stage.upstream) <= done
        done.add(stage.name)


def test_a_stage_added_to_dvc_yaml_appears_with_its_edges(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    page = "    deps: ['${out}/evaluate/report.md']\n    outs: ['${out}/page.md']\n"
    added = f"  publish:\n    cmd: cp ${{out}}/evaluate/report.md ${{out}}/page.md\n{page}"
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text() + added)
    last = read_stages(root)[-1]
    assert (last.name, last.upstream) == ("publish", ("evaluate",))


def test_templates_loops_and_matrices_are_resolved_as_dvc_does(tmp_path: Path) -> None:
    graph = """stages:
  draw:
    foreach: [red, blue]
    do:
      cmd: echo ${item} > ${out}-${item}
      outs: ['${out}-${item}']
      meta: {pool: 'pool-${item}'}
  join:
    matrix: {size: [1, 2]}
    cmd: cat ${out}-red > joined-${item.size}
    deps: ['${out}-red']
    outs: ['joined-${item.size}']
"""
    stages = {stage.name: stage for stage in read_stages(toy_repository(tmp_path, graph))}
    assert set(stages) == {"draw@red", "draw@blue", "join@1", "join@2"}
    assert stages["join@2"].upstream == ("draw@red",)
    assert stages["draw@blue"].pool == "pool-blue"


def test_meta_metrics_and_templated_paths_are_read(tmp_path: Path) -> None:
    stages = {stage.name: stage for stage in read_stages(toy_repository(tmp_path))}
    assert stages["evaluate"].metrics == ("data/evaluate/metrics.json",)
    assert stages["evaluate"].show == "data/evaluate/report.md"
    assert stages["distill"].announce == {"student": "data/distill"}
    assert (stages["pretrain_transfer"].timeout_seconds, stages["pretrain_transfer"].retries) == (600, 0)
    assert stages["ingest"].pool == "gpu"


def test_every_mistake_in_meta_is_named_with_its_stage_and_key(tmp_path: Path) -> None:
    graph = "stages:\n  only:\n    cmd: 'true'\n    meta: {retries: -1, pol: cpu}\n"
    with pytest.raises(GraphError) as caught:
        read_stages(toy_repository(tmp_path, graph))
    assert all(part in str(caught.value) for part in ("stage only", "retries", "-1", "pol", "cpu"))


def test_a_file_that_dvc_cannot_read_is_named_in_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"dvc\.yaml.*validation failed.*dvc status"):
        read_stages(toy_repository(tmp_path, "stages:\n  only:\n    cmd: 'true'\n    outs: y\n"))


def test_a_file_that_dvc_tracks_is_no_stage(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    (root / "raw.txt.dvc").write_text("outs:\n- path: raw.txt\n  hash: md5\n")
    assert next(stage.name for stage in read_stages(root)) == "ingest"


def test_the_projects_own_graph_names_a_pool_and_a_time_limit_for_every_stage() -> None:
    stages = read_stages(PROJECT)
    assert len(stages) >= 7
    assert all(stage.pool and stage.timeout_seconds for stage in stages)


def test_a_raw_folder_may_have_a_space_in_its_name(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, (PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
    (root / "params.yaml").write_text("raw: my messages\n", encoding="utf-8")
    with Repo(str(root)) as repo:
        command = next(stage.cmd for stage in repo.index.stages if stage.name == "ingest")
    assert shlex.split(command)[-2:] == ["my messages", "data/ingest"]


def test_no_stage_of_the_projects_own_graph_is_tried_again() -> None:
    """What a second try may help is what goes over a network, and that is tried again by itself."""
    assert {stage.name: stage.retries for stage in read_stages(PROJECT) if stage.retries} == {}
